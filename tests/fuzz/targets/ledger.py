"""Damaged ledgers, and damaged journals and logs next to a good one.

None is accepted with other rows than the good one or its beginning, and no other file is touched.
"""

import shutil
from pathlib import Path

from hypothesis import strategies as st

from hardpan.errors import HardpanError
from hardpan.scanners.history.journal import MAGIC
from hardpan.scanners.history.ledger import side
from hardpan.scanners.history.store import opened
from tests.fuzz.target import FuzzTarget, mutated
from tests.unit.history.journals import LOCK_PAGE, half_written, plain, super_journal_record

VICTIM = "victim.txt"
_TEXT = "not hardpan's"
_NUMBERS = tuple(n.to_bytes(4, "big") for n in (0, 1, 2, 512, 4096, LOCK_PAGE, 2**31, 2**32 - 1))
_PIECES = (*_NUMBERS, b"\0", b"\1\1", b"\2\2", b"\2", b"\5", b"\x0a", b"\x0d", bytes(64))
Files = dict[str, bytes]


def target(folder: Path) -> FuzzTarget:
    """Files for a reader and then for a writer, who must agree with each other."""
    killed, good = half_written(folder)
    journal = killed.with_name(f"{killed.name}-journal")
    tried = folder / "tried"
    path, victim = tried / killed.name, tried / VICTIM
    path.parent.mkdir()
    path.write_bytes(good)
    with opened(path) as store:
        chain = store.chains["own"]
    heads = {f"{row.seq}:{row.hash}" for row in chain.rows} | {f"0:{chain.link.id}"}

    def judge(files: Files) -> str:
        shutil.rmtree(tried)
        tried.mkdir()
        victim.write_text(_TEXT)
        for suffix, data in files.items():
            path.with_name(f"{path.name}{suffix}").write_bytes(data)
        before = {p.name: p.read_bytes() for p in tried.iterdir()}
        try:
            is_read = _is_opened(path, heads, write=False)
            assert {p.name: p.read_bytes() for p in tried.iterdir()} == before
            is_written = _is_opened(path, heads, write=True)
        finally:
            assert victim.read_text() == _TEXT
            assert {p.name for p in tried.iterdir()} <= before.keys()
        assert is_written or not is_read
        if is_read:
            return "accepted with known rows"
        return "rolled back to known rows" if is_written else "refused"

    named = super_journal_record(str(victim))
    pieces = (*_PIECES, MAGIC, named, named[:-8], named[-16:])
    hot = plain(path)
    journals = mutated([hot, journal.read_bytes(), hot + named, bytes(512) + named], pieces)
    logs = mutated([bytes(32), hot], pieces)
    return FuzzTarget(
        name="ledger",
        inputs=st.one_of(
            st.fixed_dictionaries({"": mutated([good], _PIECES)}),
            st.fixed_dictionaries({"": mutated([good], _PIECES), "-journal": journals}),
            st.fixed_dictionaries({"": st.just(good), "-journal": journals}),
            st.fixed_dictionaries({"": st.just(killed.read_bytes()), "-journal": journals}),
            st.fixed_dictionaries({"": st.just(good), "-wal": logs}),
        ),
        judge=judge,
    )


def _is_opened(path: Path, heads: set[str], *, write: bool) -> bool:
    """True when hardpan takes the ledger, whose rows must be known; False when it refuses it."""
    try:
        with opened(path, write=write) as store:
            for chain in store.chains.values():
                assert chain.anchor in heads
                for row in chain.rows:
                    side(store, row)
            store.check_pages()
    except HardpanError:
        return False
    return True
