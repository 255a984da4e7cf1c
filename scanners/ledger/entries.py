"""Add and look up the entries of a ledger. The caller verifies the evidence."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hardpan.core import clock
from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.scanners.comparison.scan_diff import ScanSnapshot
from hardpan.scanners.ledger.chain import LOCAL, LedgerRow, compute_row_hash, new_chain_header
from hardpan.scanners.ledger.scan_record import ScanRecord, compress_record, decompress_record
from hardpan.scanners.ledger.store import LedgerStore
from hardpan.scanners.report.model.documents import Findings
from hardpan.signing import parse_json

_MAX_TEXT_CHARACTERS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedScan:
    """Verified evidence in the form that the ledger stores."""

    statement: bytes
    """The signed payload."""

    bundle: bytes
    snapshot: ScanSnapshot
    findings_sha256: str
    """Digest of ``findings.json`` as the statement lists it."""

    key_id: str
    signer_sha256: str
    is_within_thresholds: bool
    signature_files: Mapping[str, bytes] = field(default_factory=dict)
    """What others signed; see ``record.Record``."""

    evidence_sha256: str = ""
    """Digest of the whole file, if the file is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A row and the name of its chain."""

    chain: str
    row: LedgerRow


def add_scan(store: LedgerStore, scan: VerifiedScan, now: datetime) -> tuple[LedgerEntry, bool]:
    """Add the scan to the local chain; return its entry and whether it is new.

    Raises:
        InputError: the record is too large.
    """
    local_chain = store.chains.get(LOCAL)
    identity = sha256_bytes(scan.statement)
    for row in local_chain.rows if local_chain else ():
        if row.statement_sha256 == identity:
            return LedgerEntry(chain=LOCAL, row=row), False
    record_bytes = compress_record(
        ScanRecord(snapshot=scan.snapshot, signature_files=scan.signature_files)
    )
    chain = local_chain or store.create_chain(
        LOCAL, new_chain_header(clock.format_rfc3339(now), secrets.token_hex(32))
    )
    findings = scan.snapshot.findings
    values: dict[str, object] = {
        "chain": chain.header.id,
        "seq": len(chain.rows) + 1,
        "previous": chain.head_hash,
        "added": clock.format_rfc3339(now),
        "statement_sha256": identity,
        "bundle_sha256": sha256_bytes(scan.bundle),
        "findings_sha256": scan.findings_sha256,
        "record_sha256": sha256_bytes(record_bytes),
        "evidence_sha256": scan.evidence_sha256,
        "key_id": scan.key_id,
        "signer_sha256": scan.signer_sha256,
        "verdict": "verified" if scan.is_within_thresholds else "thresholds exceeded",
        **summary_columns(findings),
    }
    row = LedgerRow.model_validate({**values, "hash": compute_row_hash(values)})
    store.append_row(chain, row, (scan.statement, scan.bundle, record_bytes))
    return LedgerEntry(chain=LOCAL, row=row), True


def truncate(text: str) -> str:
    """Truncate text for a column; the record and the statement contain all of it."""
    return text[:_MAX_TEXT_CHARACTERS]


def summary_columns(findings: Findings) -> dict[str, str]:
    """Return the columns that repeat the findings."""
    host, content = findings.host, findings.content
    return {
        "hostname": truncate(host.hostname),
        "host_key_sha256": truncate(host.host_key_sha256),
        "machine_id_hmac": truncate(host.machine_id_hmac),
        "profile": truncate(findings.profile),
        "image_sha256": findings.image.sha256 if findings.image else "",
        "content": truncate(f"{content.name} {content.version}"),
        "content_sha256": content.derived_sha256,
        "started": findings.started,
        "finished": findings.finished,
        "score": findings.score,
        "counts": canonical_json(findings.counts).decode(),
        "open_findings": canonical_json(findings.count_open_findings_by_severity()).decode(),
    }


def check_summary_columns(row: LedgerRow, snapshot: ScanSnapshot, *, label: str) -> None:
    """Pass if the row's columns say what its record says.

    Raises:
        TrustError: one does not.
    """
    values = row.model_dump()
    for name, expected in summary_columns(snapshot.findings).items():
        if values[name] != expected:
            raise TrustError(f"{label}: {name}: the row and its findings disagree")


def list_entries(store: LedgerStore) -> tuple[LedgerEntry, ...]:
    """List each evidence once, sorted by scan time; the local chain takes precedence."""
    chains = sorted(store.chains.values(), key=lambda c: (c.name != LOCAL, c.name))
    entry_by_statement: dict[str, LedgerEntry] = {}
    for chain in chains:
        for row in chain.rows:
            entry_by_statement.setdefault(
                row.statement_sha256, LedgerEntry(chain=chain.name, row=row)
            )
    return tuple(
        sorted(
            entry_by_statement.values(),
            key=lambda entry: (entry.row.finished, entry.row.added, entry.row.seq),
        )
    )


def find_host_entries(
    entries: tuple[LedgerEntry, ...], query: str, *, by_name: bool = False
) -> tuple[LedgerEntry, ...]:
    """Return the entries of one host: by host key, machine id (8 digits or more) or name prefix.

    ``by_name`` treats all hosts of exactly this name as one: hosts that are
    reinstalled with new keys.

    Raises:
        InputError: no host matches, or more than one.
    """
    if by_name:
        matches = tuple(entry for entry in entries if entry.row.hostname == query)
        if not matches:
            raise InputError(f"no host has the name {query!r}", hint=_list_known_hosts(entries))
        return matches
    matches = _match_host(entries, query)
    if not matches:
        raise InputError(f"no host is known as {query!r}", hint=_list_known_hosts(entries))
    hostname_by_identity = {entry.row.host_identity: entry.row.hostname for entry in matches}
    machines = {entry.row.machine_id_hmac for entry in matches}
    if len(hostname_by_identity) > 1 and (len(machines) > 1 or "" in machines):
        listing = "\n".join(
            f"  {name}  {key}" for key, name in sorted(hostname_by_identity.items())[:10]
        )
        raise InputError(
            f"{query!r} matches {len(hostname_by_identity)} hosts:\n{listing}",
            hint="give host key or machine id, or --by-name if it is one host that was reinstalled",
        )
    return matches


def _match_host(entries: tuple[LedgerEntry, ...], query: str) -> tuple[LedgerEntry, ...]:
    """Return the entries of the first interpretation of ``query`` that matches."""
    candidates = (
        tuple(entry for entry in entries if query and entry.row.host_key_sha256 == query),
        tuple(
            entry
            for entry in entries
            if len(query) >= 8 and entry.row.machine_id_hmac.startswith(query)
        ),
        tuple(entry for entry in entries if entry.row.hostname == query),
        tuple(entry for entry in entries if query and entry.row.hostname.startswith(query)),
    )
    return next((matches for matches in candidates if matches), ())


def resolve_entry(entries: tuple[LedgerEntry, ...], reference: str) -> LedgerEntry:
    """Return the entry with this row number in the local chain or this digest prefix.

    Raises:
        InputError: none, or more than one.
    """
    if reference.isascii() and reference.isdigit() and len(reference) < 8:
        matches = [
            entry for entry in entries if entry.chain == LOCAL and entry.row.seq == int(reference)
        ]
    elif len(reference) >= 8:
        digest = reference.removeprefix("sha256:")
        matches = [entry for entry in entries if entry.row.statement_sha256.startswith(digest)]
    else:
        matches = []
    if len(matches) != 1:
        raise InputError(
            f"{reference!r} matches {len(matches)} scans of this host, expected one",
            hint="a number or digest as 'ledger history' prints it",
        )
    return matches[0]


def load_record(store: LedgerStore, row: LedgerRow) -> ScanRecord:
    """The compact record of a row.

    Raises:
        TrustError: it was changed.
    """
    label = f"{store.path}: record of sha256:{row.statement_sha256[:12]}"
    loaded = decompress_record(store.read_blob(row.record_sha256, label=label), label=label)
    check_summary_columns(row, loaded.snapshot, label=label)
    return loaded


def load_snapshot(store: LedgerStore, row: LedgerRow) -> ScanSnapshot:
    """The compact findings of a row.

    Raises:
        TrustError: they were changed.
    """
    return load_record(store, row).snapshot


def parse_counts(text: str, *, label: str) -> dict[str, int]:
    """A row's ``counts`` or ``open_findings``.

    Raises:
        TrustError: it is something else.
    """
    value = parse_json(text.encode(), label=label, max_bytes=4096)
    if not isinstance(value, dict) or not all(type(n) is int for n in value.values()):
        raise TrustError(f"{label}: expected numbers by name")
    return value


def _list_known_hosts(entries: tuple[LedgerEntry, ...]) -> str:
    names = sorted({entry.row.hostname for entry in entries})
    remainder = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"known: {', '.join(names[:10])}{remainder}" if names else "the ledger is empty"
