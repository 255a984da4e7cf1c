"""``hardpan ledger add``, ``verify``, ``checkpoint``, ``export`` and ``import``."""

import shutil
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import click

from hardpan.cli.ledger.options import LedgerLocation, ledger_options
from hardpan.core import clock
from hardpan.core.console import print_json, print_line, print_message, stderr
from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import check_sha256, sha256_file, temporary_folder
from hardpan.scanners.evidence.archive import MAX_ARCHIVE_BYTES
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy, load_trust_policy
from hardpan.scanners.evidence.statement.model import read_statement
from hardpan.scanners.evidence.verify.verification_log import CheckStatus
from hardpan.scanners.evidence.verify.verifier import VerifiedEvidence
from hardpan.scanners.ledger import exchange
from hardpan.scanners.ledger.chain import LOCAL, LedgerChain, LedgerRow
from hardpan.scanners.ledger.entries import add_scan as add_entry
from hardpan.scanners.ledger.entries import load_record as record_of
from hardpan.scanners.ledger.scan_record import ScanRecord
from hardpan.scanners.ledger.store import LedgerStore
from hardpan.scanners.ledger.verification import (
    check_row_against_statement,
    load_verified_scan,
    verify_retained_file,
    verify_row,
)

_POLICY = click.option(
    "--policy",
    required=True,
    type=click.Path(path_type=Path),
    help="Trust policy; only verified evidence is added.",
)


@click.command()
@click.argument("evidence", type=click.Path(path_type=Path))
@_POLICY
@click.option("--keep", is_flag=True, help="Also store the evidence file next to the ledger.")
@ledger_options
def add(location: LedgerLocation, evidence: Path, policy: Path, keep: bool) -> None:
    """Verify EVIDENCE and add it to the ledger, unless it is already in it."""
    trust = load_trust_policy(policy)
    if not keep:
        verified_scan = load_verified_scan(evidence, trust)
        with location.open_store(write=True) as store:
            entry, is_new = add_entry(store, verified_scan, clock.now())
            checkpoint = store.chains[LOCAL].checkpoint
    else:
        _create_folder(location.retained_folder)
        with temporary_folder(location.retained_folder / "adding") as folder:
            copy = folder / evidence.name
            _copy_evidence(evidence, copy)
            verified_scan = load_verified_scan(copy, trust, evidence_sha256=sha256_file(copy))
            with location.open_store(write=True) as store:
                entry, is_new = add_entry(store, verified_scan, clock.now())
                checkpoint = store.chains[LOCAL].checkpoint
                if is_new:
                    _move_into_place(
                        copy, retained_file_path(location, verified_scan.evidence_sha256)
                    )
    row = entry.row
    description = f"row {row.seq}: {row.hostname}, {row.finished}, score {row.score}, {row.verdict}"
    print_line(f"{'added' if is_new else 'already in the ledger, nothing added'}: {description}")
    print_line(f"checkpoint {checkpoint}")


@dataclass(slots=True)
class VerificationTally:
    """Counts over the verified rows of a ledger."""

    not_checked: Counter[str] = field(default_factory=Counter)
    """Check id -> rows for which the ledger does not store what the check is about."""

    thresholds_exceeded: int = 0
    """Rows that exceed the policy's thresholds."""

    missing_files: int = 0
    """Retained evidence files that are missing from the folder next to the ledger."""

    def count(self, verified: VerifiedEvidence) -> None:
        """Count one row."""
        self.thresholds_exceeded += not verified.is_within_thresholds
        self.not_checked.update(
            o.check_id for o in verified.records if o.status is CheckStatus.NOT_CHECKED
        )

    def lines(self) -> tuple[str, ...]:
        """Format what was not checked and what exceeds the thresholds."""
        lines = []
        if self.not_checked:
            text = ", ".join(
                f"{name} ({_format_row_count(n)})" for name, n in self.not_checked.items()
            )
            lines.append(f"not checked, not stored in the ledger: {text}")
        if self.thresholds_exceeded:
            lines.append(
                f"policy thresholds exceeded: {_format_row_count(self.thresholds_exceeded)}"
            )
        return tuple(lines)


def _format_row_count(n: int) -> str:
    return f"{n} row{'s' * (n > 1)}"


@click.command()
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="Also verify every stored statement against this trust policy.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@ledger_options
def verify(location: LedgerLocation, policy: Path | None, as_json: bool) -> None:
    """Verify the ledger: database pages, hash chains, stored statements and retained files.

    Exits with 6 at the first mismatch.
    """
    trust = None if policy is None else load_trust_policy(policy)
    tally = VerificationTally()
    with location.open_store() as store:
        store.check_integrity()
        for chain in store.chains.values():
            _check_chain(location, store, chain, trust, tally)
        referenced_digests = {
            d
            for c in store.chains.values()
            for r in c.rows
            for d in (r.statement_sha256, r.bundle_sha256, r.record_sha256)
        }
        unreferenced_digests = store.list_blob_digests() - referenced_digests
        if unreferenced_digests:
            raise TrustError(
                f"{location.path}: contains a blob that no row references: "
                f"{min(unreferenced_digests)}"
            )
    answer: dict[str, object] = {
        "chains": {c.name: c.checkpoint for c in store.chains.values()},
        "rows": sum(len(c.rows) for c in store.chains.values()),
        "signatures": "not checked" if trust is None else "checked",
        "notChecked": dict(tally.not_checked),
        "thresholdsExceeded": tally.thresholds_exceeded,
        "missingFiles": tally.missing_files,
    }
    if as_json:
        print_json(answer)
        return
    for chain in store.chains.values():
        print_line(
            f"ok    chain {chain.name}: {len(chain.rows)} rows, checkpoint {chain.checkpoint}"
        )
    if trust is None:
        print_line("-     signatures: not checked, give --policy")
    else:
        print_line("ok    trust: every statement verifies under the policy")
        for line in tally.lines():
            print_line(f"-     {line}")
    if tally.missing_files:
        print_line(f"-     {tally.missing_files} retained evidence files are missing")


def _check_chain(
    location: LedgerLocation,
    store: LedgerStore,
    chain: LedgerChain,
    trust: ResolvedPolicy | None,
    tally: VerificationTally,
) -> None:
    for row in chain.rows:
        label = f"{store.path}: chain {chain.name!r}: row {row.seq}"
        payload = store.read_blob(row.statement_sha256, label=f"{label}: statement")
        bundle = store.read_blob(row.bundle_sha256, label=f"{label}: bundle")
        record = record_of(store, row)
        retained_file = _find_retained_file(location, row, tally)
        if trust is None:
            check_row_against_statement(row, read_statement(payload), label=label)
            continue
        verified = verify_row(row, payload, bundle, record, trust, label=label)
        tally.count(
            verified
            if retained_file is None
            else verify_retained_file(row, retained_file, trust, label=label)
        )


def _find_retained_file(
    location: LedgerLocation, row: LedgerRow, tally: VerificationTally
) -> Path | None:
    """The retained evidence file of a row; None if none was retained or it is missing."""
    if not row.evidence_sha256:
        return None
    file = retained_file_path(location, row.evidence_sha256)
    try:
        status = file.lstat()
    except FileNotFoundError:
        tally.missing_files += 1
        return None
    except OSError as e:
        raise InputError(f"{file}: cannot be read: {e.strerror}") from e
    if not stat.S_ISREG(status.st_mode):
        raise TrustError(f"{file}: expected a regular file, as 'hardpan ledger add' leaves it")
    if status.st_size > MAX_ARCHIVE_BYTES:
        raise TrustError(
            f"{file}: expected at most {MAX_ARCHIVE_BYTES} bytes, got {status.st_size}"
        )
    check_sha256(file, row.evidence_sha256)
    return file


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@ledger_options
def checkpoint(location: LedgerLocation, as_json: bool) -> None:
    """Print the checkpoint of each chain.

    Store it where the owner of the ledger cannot change it: --expect-checkpoint then detects
    truncation.
    """
    with location.open_store() as store:
        checkpoints = {c.name: c.checkpoint for c in store.chains.values()}
    if as_json:
        print_json(checkpoints)
        return
    for name, checkpoint in sorted(checkpoints.items(), key=lambda a: (a[0] != LOCAL, a)):
        print_line(checkpoint if name == LOCAL else f"{name}={checkpoint}")


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--chain", default=LOCAL, show_default=True, help="Chain to export.")
@ledger_options
def export(location: LedgerLocation, out: Path, chain: str) -> None:
    """Export a chain to the file OUT, for 'hardpan ledger import' on another machine."""
    with location.open_store() as store:
        if chain not in store.chains:
            names = ", ".join(sorted(store.chains)) or "none yet"
            raise InputError(f"no chain {chain[:80]!r}", hint=f"known: {names}")
        exchange.export_chain(store, store.chains[chain], out)
    exported = store.chains[chain]
    print_message(stderr, f"wrote {out}: {len(exported.rows)} rows")
    print_line(f"checkpoint {exported.checkpoint}")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_POLICY
@click.option("--as", "name", help="Name for a chain that is new to this ledger.")
@click.option("--local", "as_local", is_flag=True, help="Import it as this ledger's local chain.")
@ledger_options
def import_(
    location: LedgerLocation, file: Path, policy: Path, name: str | None, as_local: bool
) -> None:
    """Import a chain from FILE: append its new rows, or add it as another chain.

    The hash chain is verified, and every statement is verified against the policy, without maximum
    age and nonce, before a row is stored.
    """
    trust = load_trust_policy(policy)
    tally = VerificationTally()

    def check_signature(row: LedgerRow, payload: bytes, bundle: bytes, record: ScanRecord) -> None:
        label = f"{file}: row {row.seq}"
        tally.count(verify_row(row, payload, bundle, record, trust, label=label))

    with location.open_store(write=True) as store:
        result = exchange.import_chain(store, file, check_signature, name=name, as_local=as_local)
        checkpoint = store.chains[result.chain].checkpoint
    for line in tally.lines():
        print_message(stderr, line)
    print_line(f"chain {result.chain}: {result.new_rows} new, {result.total_rows} rows")
    print_line(f"checkpoint {checkpoint}")


def retained_file_path(location: LedgerLocation, digest: str) -> Path:
    """The path of the retained evidence file with this digest."""
    return location.retained_folder / f"{digest}.evidence.zip"


def _create_folder(folder: Path) -> None:
    """Create the folder of retained files. A symbolic link is refused: it would redirect them."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as e:
        raise InputError(f"{folder}: cannot be created: {e.strerror}") from e
    if folder.is_symlink():
        raise TrustError(f"{folder}: expected a folder, got a symbolic link")


def _move_into_place(copy: Path, file: Path) -> None:
    try:
        copy.chmod(0o600)
        copy.replace(file)
    except OSError as e:
        raise InputError(f"{file}: cannot be written: {e.strerror}") from e


def _copy_evidence(evidence: Path, copy: Path) -> None:
    try:
        shutil.copyfile(evidence, copy)
    except OSError as e:
        raise InputError(f"{evidence}: cannot be read: {e.strerror}") from e
