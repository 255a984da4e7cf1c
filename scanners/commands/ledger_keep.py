"""``hardpan ledger``: what adds to it, checks it, and carries it to another machine."""

import shutil
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import click

from hardpan import clock
from hardpan.errors import InputError, TrustError
from hardpan.files import check_sha256, sha256_file, temporary_folder
from hardpan.scanners.commands.ledger_place import Place, placed
from hardpan.scanners.commands.vouched import check_kept, check_row, check_statement, entry
from hardpan.scanners.evidence.archive import MAX_ARCHIVE_BYTES
from hardpan.scanners.evidence.checks import Status
from hardpan.scanners.evidence.statement import read_statement
from hardpan.scanners.evidence.trust import Trust, load_policy
from hardpan.scanners.evidence.verify import Verified
from hardpan.scanners.history import transfer
from hardpan.scanners.history.chain import OWN, Chain, Row
from hardpan.scanners.history.ledger import add as add_entry
from hardpan.scanners.history.ledger import record as record_of
from hardpan.scanners.history.record import Record
from hardpan.scanners.history.store import Store
from hardpan.terminal import err, print_json, print_line, say

_POLICY = click.option(
    "--policy",
    required=True,
    type=click.Path(path_type=Path),
    help="Whom and what you trust: nothing enters that does not verify.",
)


@click.command()
@click.argument("evidence", type=click.Path(path_type=Path))
@_POLICY
@click.option("--keep", is_flag=True, help="Keep the whole file, too, beside the ledger.")
@placed
def add(place: Place, evidence: Path, policy: Path, keep: bool) -> None:
    """Verify EVIDENCE and add it to the ledger; what is there already is not added twice."""
    trust = load_policy(policy)
    if not keep:
        made = entry(evidence, trust)
        with place.store(write=True) as store:
            held, new = add_entry(store, made, clock.now())
            head = store.chains[OWN].anchor
    else:
        _make_folder(place.kept)
        with temporary_folder(place.kept / "adding") as folder:
            copy = folder / evidence.name
            _copy(evidence, copy)
            made = entry(copy, trust, evidence_sha256=sha256_file(copy))
            with place.store(write=True) as store:
                held, new = add_entry(store, made, clock.now())
                head = store.chains[OWN].anchor
                if new:
                    _keep(copy, kept_file(place, made.evidence_sha256))
    row = held.row
    what = f"row {row.seq}: {row.hostname}, {row.finished}, score {row.score}, {row.verdict}"
    print_line(f"{'added' if new else 'already there, nothing added'}: {what}")
    print_line(f"head {head}")


@dataclass(slots=True)
class Tally:
    """What came of checking the rows of a ledger, none of which was refused."""

    not_checked: Counter[str] = field(default_factory=Counter)
    """Check id -> rows for which the ledger does not store what the check is about."""

    over_limits: int = 0
    """Rows that exceed the policy's limits."""

    kept_away: int = 0
    """Kept files that are not beside the ledger any more."""

    def count(self, verified: Verified) -> None:
        """Count one row."""
        self.over_limits += not verified.within_limits
        self.not_checked.update(o.id for o in verified.outcomes if o.outcome is Status.NOT_CHECKED)

    def lines(self) -> tuple[str, ...]:
        """What was not checked, and what is over the limits, for people."""
        lines = []
        if self.not_checked:
            told = ", ".join(f"{name} ({_rows(n)})" for name, n in self.not_checked.items())
            lines.append(f"not checked, since the ledger does not store it: {told}")
        if self.over_limits:
            lines.append(f"over the policy's limits: {_rows(self.over_limits)}")
        return tuple(lines)


def _rows(n: int) -> str:
    return f"{n} row{'s' * (n > 1)}"


@click.command()
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="Check every statement anew, as 'hardpan verify' does with a scan of the past.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@placed
def verify(place: Place, policy: Path | None, as_json: bool) -> None:
    """Walk the whole ledger: pages, chains, every stored statement and every kept file.

    Exits with 6 at the first thing that is not as it was written.
    """
    trust = None if policy is None else load_policy(policy)
    tally = Tally()
    with place.store() as store:
        store.check_pages()
        for chain in store.chains.values():
            _check_chain(place, store, chain, trust, tally)
        used = {
            d
            for c in store.chains.values()
            for r in c.rows
            for d in (r.statement_sha256, r.bundle_sha256, r.record_sha256)
        }
        stray = store.blob_digests() - used
        if stray:
            raise TrustError(f"{place.path}: holds bytes that belong to no row: {min(stray)}")
    answer: dict[str, object] = {
        "chains": {c.name: c.anchor for c in store.chains.values()},
        "rows": sum(len(c.rows) for c in store.chains.values()),
        "signatures": "not checked" if trust is None else "checked",
        "notChecked": dict(tally.not_checked),
        "overLimits": tally.over_limits,
        "keptFilesAway": tally.kept_away,
    }
    if as_json:
        print_json(answer)
        return
    for chain in store.chains.values():
        print_line(f"ok    chain {chain.name}: {len(chain.rows)} rows, head {chain.anchor}")
    if trust is None:
        print_line("-     signatures: give --policy to check them anew")
    else:
        print_line("ok    trust: every statement holds under the policy")
        for line in tally.lines():
            print_line(f"-     {line}")
    if tally.kept_away:
        print_line(
            f"-     {tally.kept_away} kept evidence files are not beside the ledger any more"
        )


def _check_chain(
    place: Place, store: Store, chain: Chain, trust: Trust | None, tally: Tally
) -> None:
    for row in chain.rows:
        what = f"{store.path}: chain {chain.name!r}: row {row.seq}"
        payload = store.blob(row.statement_sha256, what=f"{what}: statement")
        bundle = store.blob(row.bundle_sha256, what=f"{what}: bundle")
        record = record_of(store, row)
        kept = _kept(place, row, tally)
        if trust is None:
            check_statement(row, read_statement(payload), what=what)
            continue
        verified = check_row(row, payload, bundle, record, trust, label=what)
        tally.count(verified if kept is None else check_kept(row, kept, trust, label=what))


def _kept(place: Place, row: Row, tally: Tally) -> Path | None:
    """The kept file of a row; None where none was kept, or it is not beside the ledger."""
    if not row.evidence_sha256:
        return None
    file = kept_file(place, row.evidence_sha256)
    try:
        status = file.lstat()
    except FileNotFoundError:
        tally.kept_away += 1
        return None
    except OSError as e:
        raise InputError(f"{file}: cannot be read: {e.strerror}") from e
    if not stat.S_ISREG(status.st_mode):
        raise TrustError(f"{file}: expected a regular file, as 'hardpan ledger add' leaves it")
    if status.st_size > MAX_ARCHIVE_BYTES:
        raise TrustError(
            f"{file}: expected at most {MAX_ARCHIVE_BYTES} bytes, found {status.st_size}"
        )
    check_sha256(file, row.evidence_sha256)
    return file


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@placed
def head(place: Place, as_json: bool) -> None:
    """Print the head of each chain, to be kept where the ledger's owner cannot change it."""
    with place.store() as store:
        anchors = {c.name: c.anchor for c in store.chains.values()}
    if as_json:
        print_json(anchors)
        return
    for name, anchor in sorted(anchors.items(), key=lambda a: (a[0] != OWN, a)):
        print_line(anchor if name == OWN else f"{name}={anchor}")


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--chain", default=OWN, show_default=True, help="Which chain.")
@placed
def export(place: Place, out: Path, chain: str) -> None:
    """Write a chain to the file OUT, for 'hardpan ledger import' on another machine."""
    with place.store() as store:
        if chain not in store.chains:
            known = ", ".join(sorted(store.chains)) or "none yet"
            raise InputError(f"no chain {chain[:80]!r}", hint=f"known: {known}")
        transfer.export(store, store.chains[chain], out)
    made = store.chains[chain]
    say(err, f"wrote {out}: {len(made.rows)} rows")
    print_line(f"head {made.anchor}")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_POLICY
@click.option("--as", "name", help="Name for a chain that is not known yet.")
@click.option("--own", is_flag=True, help="Continue it as this ledger's own chain.")
@placed
def import_(place: Place, file: Path, policy: Path, name: str | None, own: bool) -> None:
    """Take a chain from FILE: append what continues a chain that is held, or keep it beside.

    The chain is walked, and every statement is checked as 'hardpan verify' does with a scan of
    the past, before a row is kept.
    """
    trust = load_policy(policy)
    tally = Tally()

    def vouch(row: Row, payload: bytes, bundle: bytes, record: Record) -> None:
        what = f"{file}: row {row.seq}"
        tally.count(check_row(row, payload, bundle, record, trust, label=what))

    with place.store(write=True) as store:
        made = transfer.import_(store, file, vouch, name=name, own=own)
        anchor = store.chains[made.chain].anchor
    for line in tally.lines():
        say(err, line)
    print_line(f"chain {made.chain}: {made.new} new, {made.rows} rows")
    print_line(f"head {anchor}")


def kept_file(place: Place, digest: str) -> Path:
    """Where the evidence file with this digest is kept."""
    return place.kept / f"{digest}.evidence.zip"


def _make_folder(folder: Path) -> None:
    """Make the folder of kept files where there is none; a link would lead them elsewhere."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as e:
        raise InputError(f"{folder}: cannot be made: {e.strerror}") from e
    if folder.is_symlink():
        raise TrustError(f"{folder}: expected a folder, found a symbolic link")


def _keep(copy: Path, file: Path) -> None:
    try:
        copy.chmod(0o600)
        copy.replace(file)
    except OSError as e:
        raise InputError(f"{file}: cannot be written: {e.strerror}") from e


def _copy(evidence: Path, copy: Path) -> None:
    try:
        shutil.copyfile(evidence, copy)
    except OSError as e:
        raise InputError(f"{evidence}: cannot be read: {e.strerror}") from e
