"""What a ledger answers: hosts, scans, waivers, and chains that travel."""

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from hardpan.errors import HardpanError, InputError, TrustError
from hardpan.scanners.history import ledger, transfer
from hardpan.scanners.history.chain import Row
from hardpan.scanners.history.record import Record, pack, unpack
from hardpan.scanners.history.store import opened
from hardpan.scanners.trials import Held as HeldName
from hardpan.scanners.trials import Paired, PairVerdict
from tests.unit.evidence import samples
from tests.unit.history.books import NOW, OTHER_KEY, entry, host, on_day, put, three
from tests.unit.history.scans import side

A, B = samples.HOST_KEY, OTHER_KEY
MACHINE_B = "b" * 64
WEB2 = host(hostname="web-2", host_key_sha256=B, machine_id_hmac=MACHINE_B)


RECORD = pack(Record(side=side(samples.scan()), proofs={"proof.sig": b"\x00\x01\xff"}))


def vouch(_row: Row, _statement: bytes, _bundle: bytes, _record: Record) -> None:
    """Trusts everyone."""


def _found(path: Path, query: str, **more: bool) -> list[str]:
    with opened(path) as store:
        rows = ledger.of_host(ledger.held(store), query, **more)
    return [h.row.finished[8:10] for h in rows]


def test_the_same_evidence_is_added_once(tmp_path: Path) -> None:
    path = three(tmp_path)
    with opened(path, write=True) as store:
        held, new = ledger.add(store, entry(on_day(2)), NOW)

    assert (held.row.seq, new) == (2, False)
    with opened(path) as store:
        assert len(store.chains["own"].rows) == 3


def test_rows_are_told_in_the_order_of_their_scans(tmp_path: Path) -> None:
    path = tmp_path / "l"
    put(path, on_day(5), on_day(2), on_day(9))

    assert _found(path, "lab") == ["02", "05", "09"]


@pytest.mark.parametrize("query", [B, MACHINE_B, MACHINE_B[:8], "web-2", "web"])
def test_a_host_is_found_by_key_machine_or_name(tmp_path: Path, query: str) -> None:
    path = tmp_path / "l"
    put(path, on_day(1), on_day(2, **WEB2), on_day(3))

    assert _found(path, query) == ["02"]


def test_a_whole_name_comes_before_the_beginning_of_another(tmp_path: Path) -> None:
    path = tmp_path / "l"
    put(path, on_day(1), on_day(2, **host(hostname="lab-2", host_key_sha256=B)))

    assert _found(path, "lab") == ["01"]


def test_a_name_that_means_two_hosts_is_told_and_a_rekeyed_machine_is_one(tmp_path: Path) -> None:
    path = tmp_path / "l"
    put(path, on_day(1), on_day(2, **host(host_key_sha256=B)))

    assert _found(path, "lab") == ["01", "02"]  # the same machine id
    put(path, on_day(3, **host(host_key_sha256="SHA256:" + "C" * 43, machine_id_hmac=MACHINE_B)))
    with pytest.raises(InputError, match="'lab' may mean 3 hosts:\n  lab  SHA256:AAA"):
        _found(path, "lab")
    assert _found(path, "lab", by_name=True) == ["01", "02", "03"]


def test_machines_that_told_no_id_are_not_one(tmp_path: Path) -> None:
    path = tmp_path / "l"
    none = {"machine_id_hmac": ""}
    put(path, on_day(1, **host(**none)), on_day(2, **host(host_key_sha256=B, **none)))

    with pytest.raises(InputError, match="may mean 2 hosts"):
        _found(path, "lab")


@pytest.mark.parametrize("query", ["", "nobody", "SHA256:", "lab%", "2d71"])
def test_a_host_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, query: str) -> None:
    with pytest.raises(InputError, match="no host is known as") as caught:
        _found(three(tmp_path), query)

    assert caught.value.hint == "known: lab"


@pytest.mark.parametrize("reference", ["0", "4", "", "abc", "0" * 64, "²"])
def test_a_scan_that_is_not_there_is_told(tmp_path: Path, reference: str) -> None:
    with (
        opened(three(tmp_path)) as store,
        pytest.raises(InputError, match="means 0 of this host's"),
    ):
        ledger.one(ledger.held(store), reference)


def test_a_scan_is_meant_by_number_or_digest(tmp_path: Path) -> None:
    with opened(three(tmp_path)) as store:
        rows = ledger.held(store)
        digest = rows[1].row.statement_sha256

        assert ledger.one(rows, "2") is ledger.one(rows, digest[:8]) is rows[1]
        assert ledger.one(rows, f"sha256:{digest}") is rows[1]


@pytest.mark.parametrize(
    ("days", "told"),
    [(70, []), (71, [("r003", 71)]), (400, [("r003", 71)])],
)
def test_a_waiver_that_ends_soon_is_told(
    tmp_path: Path, days: int, told: list[tuple[str, int]]
) -> None:
    with opened(three(tmp_path)) as store:
        found = ledger.expiring(store, ledger.held(store), date(2026, 11, 21), days)

    assert [(e.name[-4:], e.days_left) for e in found] == told


def test_a_waiver_that_is_over_and_one_of_a_pair_are_told(tmp_path: Path) -> None:
    over = replace(samples.WAIVER, expires="2026-11-01", holds=False)
    pair = samples.pair(
        "egress",
        PairVerdict.FAIL,
        samples.half(HeldName.BROKEN),
        samples.half(HeldName.HOLDS),
        content=("r003",),
    )
    scan = on_day(
        3,
        waivers={samples.RULES[2].rule_id: over},
        paired=Paired(confinement="none", pairs=(pair,)),
    )
    path = tmp_path / "l"
    put(path, on_day(1), scan)
    with opened(path) as store:
        found = ledger.expiring(store, ledger.held(store), date(2026, 11, 21), 0)

    assert [(e.name[-4:], e.days_left) for e in found] == [("ress", -20), ("r003", -20)]


def test_only_the_latest_scan_of_a_host_counts_for_its_waivers(tmp_path: Path) -> None:
    path = tmp_path / "l"
    put(path, on_day(1), on_day(2, waivers={}), on_day(3, **WEB2))
    with opened(path) as store:
        found = ledger.expiring(store, ledger.held(store), date(2026, 11, 21), 365)

    assert [e.held.row.hostname for e in found] == ["web-2"]


def test_a_record_keeps_what_a_comparison_needs(tmp_path: Path) -> None:
    made = side(samples.scan(paired=samples.PAIRED))
    stored = unpack(pack(Record(side=made, proofs={"proof.sig": b"\x00\xff"})), what="record")
    back = stored.side

    assert stored.proofs == {"proof.sig": b"\x00\xff"}
    assert back.packages == made.packages
    assert back.smoke == made.smoke
    assert back.findings.counts == made.findings.counts
    assert back.findings.rules[1].verdict == "fail"
    assert back.findings.rules[1].fix_text == ""
    assert back.findings.paired == made.findings.paired


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (b"", "damaged"),
        (b"no", "damaged: cannot be unpacked"),
        (RECORD[:-5], "damaged"),
        (RECORD + b"x", "damaged"),
        (
            zlib.compress(zlib.decompress(RECORD).replace(b"AAH/", b"AAH==")),
            "record: proofs: base64",
        ),
        (zlib.compress(zlib.decompress(RECORD).replace(b'"AAH/"', b"7")), "record: proofs.proof.s"),
        (zlib.compress(b"0" * (49 << 20)), "unpacks to more than"),
        (zlib.compress(b"[]"), "record: "),
        (zlib.compress(b'{"findings":{}}'), "record: smoke: Field required|findings"),
    ],
)
def test_what_is_no_record_is_refused(packed: bytes, problem: str) -> None:
    with pytest.raises(TrustError, match=problem):
        unpack(packed, what="record")


def _export(path: Path, out: Path) -> Path:
    with opened(path) as store:
        transfer.export(store, store.chains["own"], out)
    return out


def _import(path: Path, file: Path, **more: object) -> transfer.Imported:
    with opened(path, write=True) as store:
        return transfer.import_(store, file, vouch, **more)  # type: ignore[arg-type]


def test_a_chain_travels_and_is_continued(tmp_path: Path) -> None:
    ours, theirs = three(tmp_path), tmp_path / "theirs.sqlite"
    file = _export(ours, tmp_path / "a.jsonl")
    put(theirs, on_day(9))

    assert _import(theirs, file, name="office").new == 3
    assert _import(theirs, file).new == 0  # known by its id, whatever it is called
    put(ours, on_day(4))
    made = _import(theirs, _export(ours, file))
    assert (made.chain, made.new, made.rows) == ("office", 1, 4)
    with opened(theirs) as store, opened(ours) as origin:
        assert store.chains["office"].rows == origin.chains["own"].rows
        assert len(store.chains["own"].rows) == 1
        assert [h.row.finished[8:10] for h in ledger.held(store)] == ["01", "02", "03", "04", "09"]
        assert ledger.side(store, store.chains["office"].rows[3].model_copy())


def test_an_older_export_adds_nothing(tmp_path: Path) -> None:
    ours = three(tmp_path)
    file = _export(ours, tmp_path / "a.jsonl")
    put(ours, on_day(4))

    assert _import(ours, file) == transfer.Imported(chain="own", new=0, rows=4)


def test_a_new_machine_continues_the_own_chain_and_comes_back(tmp_path: Path) -> None:
    ours, moved = three(tmp_path), tmp_path / "moved.sqlite"
    file = _export(ours, tmp_path / "a.jsonl")

    assert _import(moved, file, own=True).chain == "own"
    put(moved, on_day(4))
    assert _import(ours, _export(moved, file)).new == 1
    with opened(ours) as store, opened(moved) as other:
        assert store.chains["own"].anchor == other.chains["own"].anchor


def test_two_continuations_of_one_chain_are_never_mixed(tmp_path: Path) -> None:
    ours, moved = three(tmp_path), tmp_path / "moved.sqlite"
    _import(moved, _export(ours, tmp_path / "a.jsonl"), own=True)
    put(ours, on_day(4))
    put(moved, on_day(5))

    with pytest.raises(TrustError, match="row 4: is another one than in chain 'own'"):
        _import(ours, _export(moved, tmp_path / "b.jsonl"))


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"own": True}, "has an own chain already"),
        ({"name": "own"}, "is the name of this ledger's own chain"),
        ({"name": "No Name"}, "not a chain's name"),
        ({"name": "taken"}, "a chain 'taken' is there already"),
    ],
)
def test_a_name_that_cannot_be_given_is_refused(
    tmp_path: Path, more: dict[str, object], problem: str
) -> None:
    file = _export(three(tmp_path), tmp_path / "a.jsonl")
    theirs, third = tmp_path / "theirs.sqlite", tmp_path / "third.sqlite"
    put(theirs, on_day(9))
    put(third, on_day(8))
    _import(theirs, _export(third, tmp_path / "c.jsonl"), name="taken")

    with pytest.raises(InputError, match=problem):
        _import(theirs, file, **more)


Lines = list[dict[str, object]]


def _swap(lines: Lines) -> None:
    lines[1], lines[2] = lines[2], lines[1]


def _row(**more: object) -> Callable[[Lines], object]:
    return lambda x: x[2]["row"].update(more)  # type: ignore[attr-defined]


def _blob(index: int, data: object) -> Callable[[Lines], object]:
    return lambda x: x[2]["blobs"].__setitem__(index, data)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_swap, "row 1: is missing or out of order, found 2"),
        (lambda x: x.pop(2), "row 2: is missing or out of order, found 3"),
        (lambda x: x.pop(), "expected 3 rows, found 2: cut short"),
        (lambda x: x.append(x[3]), "row 4: is missing or out of order"),
        (_row(score="99.99"), "row 2: was changed"),
        (_row(hash="0" * 64), "row 2: was changed"),
        (_row(more=1), "row 2: more: Extra inputs are not permitted"),
        (_row(statementSha256="0" * 64), "row 2: statementSha256: Extra inputs"),
        (lambda x: x[2]["row"].pop("chain"), "row 2: chain: Field required"),  # type: ignore[attr-defined]
        (_row(seq="2"), "row 2: seq"),
        (_row(seq=2.0), "line 3: not strict JSON: 2.0 is not a plain number"),
        (_blob(0, "AAAA"), "row 2: a blob was changed"),
        (_blob(1, 7), "row 2: expected base64"),
        (_blob(2, "A"), "row 2: not base64|wrong padding"),
        (lambda x: x[2]["blobs"].pop(), "row 2: expected a row and its three blobs"),  # type: ignore[attr-defined]
        (lambda x: x[0]["chain"].update(salt="0" * 64), "not the digest of the chain's"),  # type: ignore[attr-defined]
        (lambda x: x[0].update(head="0" * 64), "expected 3 rows, found 3"),
        (lambda x: x[0].update(count="3"), "expected chain, count and head"),
        (lambda x: x[0].update(format="other"), "not an exported ledger"),
        (lambda x: x.__setitem__(1, []), "line 2: expected an object"),  # type: ignore[call-overload]
        (lambda x: x.clear(), "not an exported ledger"),
    ],
)
def test_an_export_that_was_changed_is_refused_and_leaves_nothing(
    tmp_path: Path, change: Callable[[Lines], object], problem: str
) -> None:
    file = _export(three(tmp_path), tmp_path / "a.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    change(lines)
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    theirs = tmp_path / "theirs.sqlite"
    put(theirs, on_day(9))

    with pytest.raises(HardpanError, match=problem):
        _import(theirs, file)
    with opened(theirs) as store:
        assert list(store.chains) == ["own"]


def test_a_record_that_tells_of_another_scan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l"
    forged = replace(entry(on_day(1)), side=side(on_day(2)))
    with opened(path, write=True) as store:
        held, _ = ledger.add(store, forged, NOW)
        with pytest.raises(TrustError, match="started: the row and its findings disagree"):
            ledger.check_told(held.row, side(on_day(1)), what="row 1")


def test_an_export_that_is_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    def cut(row: Row, _statement: bytes, _bundle: bytes, _record: Record) -> None:
        if row.seq == 3:
            file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))

    theirs = tmp_path / "theirs.sqlite"
    file = _export(three(tmp_path), tmp_path / "a.jsonl")
    put(theirs, on_day(9))
    with (
        pytest.raises(TrustError, match="row 3: a blob was changed"),
        opened(theirs, write=True) as store,
    ):
        transfer.import_(store, file, cut)
    with opened(theirs) as store:
        assert list(store.chains) == ["own"]


def test_a_statement_that_nobody_vouches_for_keeps_the_whole_chain_out(tmp_path: Path) -> None:
    def refuse(row: Row, _statement: bytes, _bundle: bytes, _record: Record) -> None:
        if row.seq == 3:
            # Nothing was written yet: SQLite has no journal to roll back.
            assert not theirs.with_name("theirs.sqlite-journal").exists()
            raise TrustError("nobody")

    theirs = tmp_path / "theirs.sqlite"
    file = _export(three(tmp_path), tmp_path / "a.jsonl")
    put(theirs, on_day(9))
    with pytest.raises(TrustError, match="nobody"), opened(theirs, write=True) as store:
        transfer.import_(store, file, refuse)
    with opened(theirs) as store:
        assert list(store.chains) == ["own"]
