"""What a ledger answers: hosts, scans, waivers, and chains that travel."""

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from hardpan.core.errors import HardpanError, InputError, TrustError
from hardpan.scanners.ledger import entries, exchange
from hardpan.scanners.ledger.chain import LedgerRow
from hardpan.scanners.ledger.expiring_waivers import find_expiring_waivers
from hardpan.scanners.ledger.scan_record import ScanRecord, compress_record, decompress_record
from hardpan.scanners.ledger.store import open_ledger
from hardpan.scanners.model.results import CompatibilityOutcome as EntryName
from hardpan.scanners.model.results import CompatibilityReport, CompatibilityVerdict
from hardpan.ssh.host_key_trust import HostKeyTrust
from tests.unit.evidence import samples
from tests.unit.ledger.fixtures import (
    NOW,
    OTHER_KEY,
    add_scans,
    create_ledger,
    other_host,
    scan_on_day,
    verified_scan,
)
from tests.unit.ledger.samples import snapshot

A, B = samples.HOST_KEY, OTHER_KEY
MACHINE_B = "b" * 64
WEB2 = other_host(hostname="web-2", host_key_sha256=B, machine_id_hmac=MACHINE_B)


RECORD = compress_record(
    ScanRecord(snapshot=snapshot(samples.scan()), signature_files={"proof.sig": b"\x00\x01\xff"})
)


def trust_everything(
    _row: LedgerRow, _statement: bytes, _bundle: bytes, _record: ScanRecord
) -> None:
    """Trusts everyone."""


def _find_days(path: Path, query: str, **options: bool) -> list[str]:
    with open_ledger(path) as store:
        rows = entries.find_host_entries(entries.list_entries(store), query, **options)
    return [h.row.finished[8:10] for h in rows]


def test_same_evidence_is_added_once(tmp_path: Path) -> None:
    path = create_ledger(tmp_path)
    with open_ledger(path, write=True) as store:
        entry, is_new = entries.add_scan(store, verified_scan(scan_on_day(2)), NOW)

    assert (entry.row.seq, is_new) == (2, False)
    with open_ledger(path) as store:
        assert len(store.chains["local"].rows) == 3


def test_entries_are_sorted_by_scan_time(tmp_path: Path) -> None:
    path = tmp_path / "l"
    add_scans(path, scan_on_day(5), scan_on_day(2), scan_on_day(9))

    assert _find_days(path, "lab") == ["02", "05", "09"]


@pytest.mark.parametrize("query", [B, MACHINE_B, MACHINE_B[:8], "web-2", "web"])
def test_host_is_matched_by_key_machine_id_or_name(tmp_path: Path, query: str) -> None:
    path = tmp_path / "l"
    add_scans(path, scan_on_day(1), scan_on_day(2, **WEB2), scan_on_day(3))

    assert _find_days(path, query) == ["02"]


def test_exact_name_takes_precedence_over_prefix(tmp_path: Path) -> None:
    path = tmp_path / "l"
    add_scans(
        path, scan_on_day(1), scan_on_day(2, **other_host(hostname="lab-2", host_key_sha256=B))
    )

    assert _find_days(path, "lab") == ["01"]


def test_ambiguous_name_is_rejected_and_rekeyed_machine_is_the_same_host(tmp_path: Path) -> None:
    path = tmp_path / "l"
    add_scans(path, scan_on_day(1), scan_on_day(2, **other_host(host_key_sha256=B)))

    assert _find_days(path, "lab") == ["01", "02"]  # the same machine id
    add_scans(
        path,
        scan_on_day(
            3, **other_host(host_key_sha256="SHA256:" + "C" * 43, machine_id_hmac=MACHINE_B)
        ),
    )
    with pytest.raises(InputError, match="'lab' matches 3 hosts:\n  lab  SHA256:AAA"):
        _find_days(path, "lab")
    assert _find_days(path, "lab", by_name=True) == ["01", "02", "03"]


def test_machines_without_id_are_distinct(tmp_path: Path) -> None:
    path = tmp_path / "l"
    no_machine_id = {"machine_id_hmac": ""}
    add_scans(
        path,
        scan_on_day(1, **other_host(**no_machine_id)),
        scan_on_day(2, **other_host(host_key_sha256=B, **no_machine_id)),
    )

    with pytest.raises(InputError, match="matches 2 hosts"):
        _find_days(path, "lab")


@pytest.mark.parametrize("query", ["", "nobody", "SHA256:", "lab%", "2d71"])
def test_unknown_host_error_lists_known_hosts(tmp_path: Path, query: str) -> None:
    with pytest.raises(InputError, match="no host is known as") as caught:
        _find_days(create_ledger(tmp_path), query)

    assert caught.value.hint == "known: lab"


@pytest.mark.parametrize("reference", ["0", "4", "", "abc", "0" * 64, "²"])
def test_unknown_scan_reference_is_rejected(tmp_path: Path, reference: str) -> None:
    with (
        open_ledger(create_ledger(tmp_path)) as store,
        pytest.raises(InputError, match="matches 0 scans of this host"),
    ):
        entries.resolve_entry(entries.list_entries(store), reference)


def test_entry_resolves_by_number_or_digest(tmp_path: Path) -> None:
    with open_ledger(create_ledger(tmp_path)) as store:
        rows = entries.list_entries(store)
        digest = rows[1].row.statement_sha256

        assert (
            entries.resolve_entry(rows, "2") is entries.resolve_entry(rows, digest[:8]) is rows[1]
        )
        assert entries.resolve_entry(rows, f"sha256:{digest}") is rows[1]


@pytest.mark.parametrize(
    ("days", "expected"),
    [(70, []), (71, [("r003", 71)]), (400, [("r003", 71)])],
)
def test_expiring_waiver_is_listed(
    tmp_path: Path, days: int, expected: list[tuple[str, int]]
) -> None:
    with open_ledger(create_ledger(tmp_path)) as store:
        waivers = find_expiring_waivers(
            store, entries.list_entries(store), date(2026, 11, 21), days
        )

    assert [(e.name[-4:], e.days_left) for e in waivers] == expected


def test_expired_and_compatibility_waivers_are_listed(tmp_path: Path) -> None:
    expired = replace(samples.WAIVER, expires="2026-11-01", is_active=False)
    pair = samples.compatibility_result(
        "egress",
        CompatibilityVerdict.FAIL,
        samples.check_result(EntryName.VIOLATED),
        samples.check_result(EntryName.SATISFIED),
        content=("r003",),
    )
    scan = scan_on_day(
        3,
        waivers={samples.RULES[2].rule_id: expired},
        compatibility=CompatibilityReport(confinement="none", results=(pair,)),
    )
    path = tmp_path / "l"
    add_scans(path, scan_on_day(1), scan)
    with open_ledger(path) as store:
        waivers = find_expiring_waivers(store, entries.list_entries(store), date(2026, 11, 21), 0)

    assert [(e.name[-4:], e.days_left) for e in waivers] == [("ress", -20), ("r003", -20)]


def test_only_latest_scan_counts_for_waivers(tmp_path: Path) -> None:
    path = tmp_path / "l"
    add_scans(path, scan_on_day(1), scan_on_day(2, waivers={}), scan_on_day(3, **WEB2))
    with open_ledger(path) as store:
        waivers = find_expiring_waivers(store, entries.list_entries(store), date(2026, 11, 21), 365)

    assert [e.entry.row.hostname for e in waivers] == ["web-2"]


def test_hosts_without_key_are_distinguished_by_machine_id(tmp_path: Path) -> None:
    keyless = {"host_key_type": "", "host_key_sha256": "", "host_key_trust": HostKeyTrust.LOCAL}
    path = tmp_path / "l"
    add_scans(
        path,
        scan_on_day(1, **other_host(**keyless)),
        scan_on_day(2, waivers={}, **other_host(**keyless, machine_id_hmac=MACHINE_B)),
    )

    with pytest.raises(InputError, match=r"'lab' matches 2 hosts"):
        _find_days(path, "lab")
    with pytest.raises(InputError, match="no host is known as ''"):
        _find_days(path, "")
    assert _find_days(path, MACHINE_B) == ["02"]
    with open_ledger(path) as store:
        waivers = find_expiring_waivers(store, entries.list_entries(store), date(2026, 11, 21), 365)
    assert [e.entry.row.machine_id_hmac for e in waivers] == [samples.HOST.machine_id_hmac]


def test_record_keeps_comparison_data(tmp_path: Path) -> None:
    original = snapshot(samples.scan(compatibility=samples.COMPATIBILITY))
    stored = decompress_record(
        compress_record(ScanRecord(snapshot=original, signature_files={"proof.sig": b"\x00\xff"})),
        label="record",
    )
    restored = stored.snapshot

    assert stored.signature_files == {"proof.sig": b"\x00\xff"}
    assert restored.packages == original.packages
    assert restored.smoke == original.smoke
    assert restored.findings.counts == original.findings.counts
    assert restored.findings.rules[1].verdict == "fail"
    assert restored.findings.rules[1].fix_text == ""
    assert restored.findings.compatibility == original.findings.compatibility


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (b"", "damaged"),
        (b"no", "damaged: cannot be unpacked"),
        (RECORD[:-5], "damaged"),
        (RECORD + b"x", "damaged"),
        (
            zlib.compress(zlib.decompress(RECORD).replace(b"AAH/", b"AAH==")),
            "record: signature_files: base64",
        ),
        (
            zlib.compress(zlib.decompress(RECORD).replace(b'"AAH/"', b"7")),
            "record: signatureFiles.proof.s",
        ),
        (zlib.compress(b"0" * (49 << 20)), "unpacks to more than"),
        (zlib.compress(b"[]"), "record: "),
        (zlib.compress(b'{"findings":{}}'), "record: smoke: Field required|findings"),
    ],
)
def test_invalid_record_is_refused(packed: bytes, problem: str) -> None:
    with pytest.raises(TrustError, match=problem):
        decompress_record(packed, label="record")


def _export(path: Path, out: Path) -> Path:
    with open_ledger(path) as store:
        exchange.export_chain(store, store.chains["local"], out)
    return out


def _import(path: Path, file: Path, **options: object) -> exchange.ImportResult:
    with open_ledger(path, write=True) as store:
        return exchange.import_chain(store, file, trust_everything, **options)  # type: ignore[arg-type]


def test_exported_chain_is_imported_and_continued(tmp_path: Path) -> None:
    source, destination = create_ledger(tmp_path), tmp_path / "theirs.sqlite"
    file = _export(source, tmp_path / "a.jsonl")
    add_scans(destination, scan_on_day(9))

    assert _import(destination, file, name="office").new_rows == 3
    assert _import(destination, file).new_rows == 0  # known by its id, whatever it is called
    add_scans(source, scan_on_day(4))
    result = _import(destination, _export(source, file))
    assert (result.chain, result.new_rows, result.total_rows) == ("office", 1, 4)
    with open_ledger(destination) as store, open_ledger(source) as origin:
        assert store.chains["office"].rows == origin.chains["local"].rows
        assert len(store.chains["local"].rows) == 1
        assert [h.row.finished[8:10] for h in entries.list_entries(store)] == [
            "01",
            "02",
            "03",
            "04",
            "09",
        ]
        assert entries.load_snapshot(store, store.chains["office"].rows[3].model_copy())


def test_older_export_adds_nothing(tmp_path: Path) -> None:
    source = create_ledger(tmp_path)
    file = _export(source, tmp_path / "a.jsonl")
    add_scans(source, scan_on_day(4))

    assert _import(source, file) == exchange.ImportResult(chain="local", new_rows=0, total_rows=4)


def test_local_chain_moves_to_new_machine_and_back(tmp_path: Path) -> None:
    source, moved = create_ledger(tmp_path), tmp_path / "moved.sqlite"
    file = _export(source, tmp_path / "a.jsonl")

    assert _import(moved, file, as_local=True).chain == "local"
    add_scans(moved, scan_on_day(4))
    assert _import(source, _export(moved, file)).new_rows == 1
    with open_ledger(source) as store, open_ledger(moved) as other:
        assert store.chains["local"].checkpoint == other.chains["local"].checkpoint


def test_diverged_chain_is_refused(tmp_path: Path) -> None:
    source, moved = create_ledger(tmp_path), tmp_path / "moved.sqlite"
    _import(moved, _export(source, tmp_path / "a.jsonl"), as_local=True)
    add_scans(source, scan_on_day(4))
    add_scans(moved, scan_on_day(5))

    with pytest.raises(TrustError, match="row 4: differs from chain 'local'"):
        _import(source, _export(moved, tmp_path / "b.jsonl"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"as_local": True}, "already has a local chain"),
        ({"name": "local"}, "is the name of this ledger's local chain"),
        ({"name": "No Name"}, "not a chain's name"),
        ({"name": "taken"}, "a chain 'taken' is there already"),
    ],
)
def test_invalid_chain_name_is_refused(
    tmp_path: Path, options: dict[str, object], problem: str
) -> None:
    file = _export(create_ledger(tmp_path), tmp_path / "a.jsonl")
    destination, other = tmp_path / "theirs.sqlite", tmp_path / "third.sqlite"
    add_scans(destination, scan_on_day(9))
    add_scans(other, scan_on_day(8))
    _import(destination, _export(other, tmp_path / "c.jsonl"), name="taken")

    with pytest.raises(InputError, match=problem):
        _import(destination, file, **options)


Lines = list[dict[str, object]]


def _swap_rows(lines: Lines) -> None:
    lines[1], lines[2] = lines[2], lines[1]


def _change_row(**changes: object) -> Callable[[Lines], object]:
    return lambda x: x[2]["row"].update(changes)  # type: ignore[attr-defined]


def _change_blob(index: int, data: object) -> Callable[[Lines], object]:
    return lambda x: x[2]["blobs"].__setitem__(index, data)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_swap_rows, "row 1: is missing or out of order, got 2"),
        (lambda x: x.pop(2), "row 2: is missing or out of order, got 3"),
        (lambda x: x.pop(), "expected 3 rows, got 2: truncated"),
        (lambda x: x.append(x[3]), "row 4: is missing or out of order"),
        (_change_row(score="99.99"), "row 2: was changed"),
        (_change_row(hash="0" * 64), "row 2: was changed"),
        (_change_row(more=1), "row 2: more: Extra inputs are not permitted"),
        (_change_row(statementSha256="0" * 64), "row 2: statementSha256: Extra inputs"),
        (lambda x: x[2]["row"].pop("chain"), "row 2: chain: Field required"),  # type: ignore[attr-defined]
        (_change_row(seq="2"), "row 2: seq"),
        (_change_row(seq=2.0), "line 3: not strict JSON: 2.0 is not a plain number"),
        (_change_blob(0, "AAAA"), "row 2: a blob was changed"),
        (_change_blob(1, 7), "row 2: expected base64"),
        (_change_blob(2, "A"), "row 2: not base64|wrong padding"),
        (lambda x: x[2]["blobs"].pop(), "row 2: expected a row and its three blobs"),  # type: ignore[attr-defined]
        (lambda x: x[0]["chain"].update(salt="0" * 64), "not the digest of the chain's"),  # type: ignore[attr-defined]
        (lambda x: x[0].update(head="0" * 64), "expected 3 rows, got 3"),
        (lambda x: x[0].update(count="3"), "expected chain, count and head"),
        (lambda x: x[0].update(format="other"), "not an exported ledger"),
        (lambda x: x.__setitem__(1, []), "line 2: expected an object"),  # type: ignore[call-overload]
        (lambda x: x.clear(), "not an exported ledger"),
    ],
)
def test_tampered_export_is_refused_and_stores_nothing(
    tmp_path: Path, change: Callable[[Lines], object], problem: str
) -> None:
    file = _export(create_ledger(tmp_path), tmp_path / "a.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    change(lines)
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    destination = tmp_path / "theirs.sqlite"
    add_scans(destination, scan_on_day(9))

    with pytest.raises(HardpanError, match=problem):
        _import(destination, file)
    with open_ledger(destination) as store:
        assert list(store.chains) == ["local"]


def test_record_of_other_scan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l"
    forged = replace(verified_scan(scan_on_day(1)), snapshot=snapshot(scan_on_day(2)))
    with open_ledger(path, write=True) as store:
        stored_entry, _ = entries.add_scan(store, forged, NOW)
        with pytest.raises(TrustError, match="started: the row and its findings disagree"):
            entries.check_summary_columns(stored_entry.row, snapshot(scan_on_day(1)), label="row 1")


def test_export_truncated_during_import_is_refused(tmp_path: Path) -> None:
    def truncate(row: LedgerRow, _statement: bytes, _bundle: bytes, _record: ScanRecord) -> None:
        if row.seq == 3:
            file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))

    destination = tmp_path / "theirs.sqlite"
    file = _export(create_ledger(tmp_path), tmp_path / "a.jsonl")
    add_scans(destination, scan_on_day(9))
    with (
        pytest.raises(TrustError, match="row 3: a blob was changed"),
        open_ledger(destination, write=True) as store,
    ):
        exchange.import_chain(store, file, truncate)
    with open_ledger(destination) as store:
        assert list(store.chains) == ["local"]


def test_untrusted_statement_rejects_complete_chain(tmp_path: Path) -> None:
    def refuse(row: LedgerRow, _statement: bytes, _bundle: bytes, _record: ScanRecord) -> None:
        if row.seq == 3:
            # Nothing was written yet: SQLite has no journal to roll back.
            assert not destination.with_name("theirs.sqlite-journal").exists()
            raise TrustError("nobody")

    destination = tmp_path / "theirs.sqlite"
    file = _export(create_ledger(tmp_path), tmp_path / "a.jsonl")
    add_scans(destination, scan_on_day(9))
    with pytest.raises(TrustError, match="nobody"), open_ledger(destination, write=True) as store:
        exchange.import_chain(store, file, refuse)
    with open_ledger(destination) as store:
        assert list(store.chains) == ["local"]
