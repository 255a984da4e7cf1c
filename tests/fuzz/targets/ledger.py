"""Damaged ledgers, and damaged journals and logs next to a good one.

None is accepted with other rows than the good one or its beginning, and no other file is touched.
"""

import shutil
from pathlib import Path

from hypothesis import strategies as st

from hardpan.core.errors import HardpanError
from hardpan.scanners.ledger.entries import load_snapshot
from hardpan.scanners.ledger.rollback_journal import MAGIC
from hardpan.scanners.ledger.store import open_ledger
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.unit.ledger.journal_samples import (
    LOCK_PAGE,
    build_hot_journal,
    build_super_journal_record,
    create_half_written_ledger,
)

VICTIM = "victim.txt"
_TEXT = "not hardpan's"
_NUMBERS = tuple(n.to_bytes(4, "big") for n in (0, 1, 2, 512, 4096, LOCK_PAGE, 2**31, 2**32 - 1))
_PIECES = (*_NUMBERS, b"\0", b"\1\1", b"\2\2", b"\2", b"\5", b"\x0a", b"\x0d", bytes(64))
Files = dict[str, bytes]


def target(folder: Path) -> FuzzTarget:
    """Files for a reader and then for a writer, who must agree with each other."""
    interrupted, good = create_half_written_ledger(folder)
    journal = interrupted.with_name(f"{interrupted.name}-journal")
    workdir = folder / "tried"
    path, victim = workdir / interrupted.name, workdir / VICTIM
    path.parent.mkdir()
    path.write_bytes(good)
    with open_ledger(path) as store:
        chain = store.chains["local"]
    accepted_checkpoints = {f"{row.seq}:{row.hash}" for row in chain.rows} | {
        f"0:{chain.header.id}"
    }

    def check(files: Files) -> str:
        shutil.rmtree(workdir)
        workdir.mkdir()
        victim.write_text(_TEXT)
        for suffix, data in files.items():
            path.with_name(f"{path.name}{suffix}").write_bytes(data)
        before = {p.name: p.read_bytes() for p in workdir.iterdir()}
        try:
            is_read = _is_opened(path, accepted_checkpoints, write=False)
            assert {p.name: p.read_bytes() for p in workdir.iterdir()} == before
            is_written = _is_opened(path, accepted_checkpoints, write=True)
        finally:
            assert victim.read_text() == _TEXT
            assert {p.name for p in workdir.iterdir()} <= before.keys()
        assert is_written or not is_read
        if is_read:
            return "accepted with known rows"
        return "rolled back to known rows" if is_written else "refused"

    named = build_super_journal_record(str(victim))
    pieces = (*_PIECES, MAGIC, named, named[:-8], named[-16:])
    hot = build_hot_journal(path)
    journals = mutate_samples([hot, journal.read_bytes(), hot + named, bytes(512) + named], pieces)
    logs = mutate_samples([bytes(32), hot], pieces)
    return FuzzTarget(
        name="ledger",
        inputs=st.one_of(
            st.fixed_dictionaries({"": mutate_samples([good], _PIECES)}),
            st.fixed_dictionaries({"": mutate_samples([good], _PIECES), "-journal": journals}),
            st.fixed_dictionaries({"": st.just(good), "-journal": journals}),
            st.fixed_dictionaries({"": st.just(interrupted.read_bytes()), "-journal": journals}),
            st.fixed_dictionaries({"": st.just(good), "-wal": logs}),
        ),
        check=check,
    )


def _is_opened(path: Path, accepted_checkpoints: set[str], *, write: bool) -> bool:
    """True when hardpan takes the ledger, whose rows must be known; False when it refuses it."""
    try:
        with open_ledger(path, write=write) as store:
            for chain in store.chains.values():
                assert chain.checkpoint in accepted_checkpoints
                for row in chain.rows:
                    load_snapshot(store, row)
            store.check_integrity()
    except HardpanError:
        return False
    return True
