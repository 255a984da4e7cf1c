"""``hardpan ledger list``, ``history``, ``diff``, ``check`` and ``expiring``."""

from datetime import UTC
from decimal import Decimal

import click
from pydantic.alias_generators import to_camel

from hardpan.cli.diff import diff_to_json, exit_code, parse_points, print_diff
from hardpan.cli.ledger.options import LedgerLocation, ledger_options
from hardpan.core import clock
from hardpan.core.console import print_json, print_line
from hardpan.core.errors import Exit, InputError
from hardpan.profiles.schema import ssg
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.comparison.formatting import format_headline
from hardpan.scanners.comparison.model import ScanDiff
from hardpan.scanners.comparison.scan_diff import compare_scans
from hardpan.scanners.ledger.chain import LOCAL
from hardpan.scanners.ledger.entries import (
    LedgerEntry,
    find_host_entries,
    list_entries,
    load_snapshot,
    parse_counts,
    resolve_entry,
)
from hardpan.scanners.ledger.expiring_waivers import find_expiring_waivers
from hardpan.scanners.ledger.store import LedgerStore
from hardpan.scanners.report.model.counts import format_counts
from hardpan.scanners.report.model.types import SEVERITIES

_JSON = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
_BY_NAME = click.option(
    "--by-name", is_flag=True, help="Match HOST by exact name, whatever its host keys are."
)
_FROM = click.option(
    "--from",
    "baseline",
    metavar="SCAN",
    help="Baseline: row number or digest; default: the previous scan.",
)
_TO = click.option("--to", "current", metavar="SCAN", help="Current scan; default: the latest.")
_MAX_SCORE_DROP = click.option(
    "--max-score-drop",
    metavar="POINTS",
    help="Also report a regression if the score drops by more than this.",
)


@click.command("list")
@click.option("--host", help="Only this host: host key, machine id or prefix of its name.")
@_BY_NAME
@_JSON
@ledger_options
def list_(location: LedgerLocation, host: str | None, by_name: bool, as_json: bool) -> None:
    """List the scans in the ledger, oldest first."""
    with location.open_store() as store:
        entries = list_entries(store)
    if host is not None:
        entries = find_host_entries(entries, host, by_name=by_name)
    if as_json:
        print_json([_entry_to_json(entry) for entry in entries])
        return
    for entry in entries:
        row = entry.row
        position = f"{row.seq}" if entry.chain == LOCAL else f"{entry.chain}:{row.seq}"
        columns = (
            row.hostname,
            row.profile,
            f"open: {_format_open_counts(entry)}",
            f"key {row.key_id}",
            row.verdict,
        )
        text = "  ".join(columns)
        print_line(
            f"{position:>4}  {row.finished}  {row.score:>6}  {row.statement_sha256[:12]}  {text}"
        )


@click.command()
@click.argument("host")
@_BY_NAME
@_JSON
@ledger_options
def history(location: LedgerLocation, host: str, by_name: bool, as_json: bool) -> None:
    """Print the scans of HOST over time.

    HOST is a host key, a machine id or the prefix of a host name.
    """
    with location.open_store() as store:
        entries = find_host_entries(list_entries(store), host, by_name=by_name)
    if as_json:
        print_json([_entry_to_json(entry) for entry in entries])
        return
    previous: LedgerEntry | None = None
    for entry in entries:
        for line in _format_history(previous, entry):
            print_line(line)
        previous = entry


@click.command()
@click.argument("host")
@_BY_NAME
@_FROM
@_TO
@_MAX_SCORE_DROP
@_JSON
@ledger_options
def diff(
    location: LedgerLocation,
    host: str,
    by_name: bool,
    baseline: str | None,
    current: str | None,
    max_score_drop: str | None,
    as_json: bool,
) -> int:
    """Print what changed between the last two scans of HOST.

    Exits with 1 on a regression, as 'hardpan diff' does.
    """
    max_drop = parse_points(max_score_drop)
    with location.open_store() as store:
        pair = _select_entries(
            find_host_entries(list_entries(store), host, by_name=by_name), baseline, current
        )
        if pair is None:
            raise InputError(f"{host!r}: expected at least two scans of it, got one")
        result = _compare_entries(store, pair, max_drop)
    if as_json:
        print_json({"verified": True, **diff_to_json(result)})
    else:
        print_diff(result, _describe_entry(pair[0]), _describe_entry(pair[1]))
    return exit_code(result)


@click.command()
@click.argument("host")
@_BY_NAME
@_FROM
@_TO
@_MAX_SCORE_DROP
@click.option(
    "--fail-on",
    type=click.Choice((*reversed(ssg.SEVERITIES), "none")),
    default="none",
    show_default=True,
    help="Also exit with 1 if a rule of this severity or higher is open, as 'hardpan scan' counts.",
)
@_JSON
@ledger_options
def check(
    location: LedgerLocation,
    host: str,
    by_name: bool,
    baseline: str | None,
    current: str | None,
    max_score_drop: str | None,
    fail_on: str,
    as_json: bool,
) -> int:
    """Exit with 1 if the last scan of HOST is a regression from the one before it.

    The first scan of a host is never a regression.
    """
    max_drop = parse_points(max_score_drop)
    with location.open_store() as store:
        entries = find_host_entries(list_entries(store), host, by_name=by_name)
        pair = _select_entries(entries, baseline, current)
        result = None if pair is None else _compare_entries(store, pair, max_drop)
        latest = resolve_entry(entries, current) if current else entries[-1]
        findings = load_snapshot(store, latest.row).findings
    has_open_rules = findings.has_open_rules(fail_on)
    if as_json:
        regressions = () if result is None else result.regressions
        answer = {
            "regression": bool(regressions),
            "regressions": [regression.to_json() for regression in regressions],
            "compared": result is not None,
            "open": findings.count_open_for_thresholds(),
            "openAtThreshold": has_open_rules,
        }
        print_json(answer)
    else:
        _print_regressions(result)
        if has_open_rules:
            counts = format_counts(findings.count_open_for_thresholds())
            print_line(f"open at or above {fail_on}: {counts}")
    is_regression = result is not None and result.has_regressions
    return int(Exit.FINDINGS if is_regression or has_open_rules else Exit.OK)


def _print_regressions(result: ScanDiff | None) -> None:
    if result is None:
        print_line("no regression: the first scan of this host")
        return
    for note in result.notes:
        print_line(f"warning: {note}")
    for regression in result.regressions:
        print_line(
            f"{regression.kind} {shorten_id(regression.name)}: "
            f"{regression.baseline} -> {regression.current}"
        )
    print_line(
        f"{format_headline(result)} ({result.baseline.finished} -> {result.current.finished})"
    )


@click.command("expiring")
@click.option(
    "--days",
    type=click.IntRange(0, 36_500),
    default=30,
    show_default=True,
    help="List waivers that expire within this many days or have expired.",
)
@_BY_NAME
@_JSON
@ledger_options
def expiring_(location: LedgerLocation, days: int, by_name: bool, as_json: bool) -> None:
    """List expiring waivers in the latest scan of each host."""
    today = clock.now().astimezone(UTC).date()
    with location.open_store() as store:
        waivers = find_expiring_waivers(store, list_entries(store), today, days, by_name=by_name)
    if as_json:
        rows = [
            {
                "hostname": waiver.entry.row.hostname,
                "hostKeySha256": waiver.entry.row.host_key_sha256,
                "name": waiver.name,
                "reason": waiver.reason,
                "owner": waiver.owner,
                "expires": waiver.expires,
                "daysLeft": waiver.days_left,
            }
            for waiver in waivers
        ]
        print_json(rows)
        return
    for waiver in waivers:
        time_left = "expired" if waiver.days_left < 0 else f"{waiver.days_left} days left"
        name = shorten_id(waiver.name)
        text = f"{waiver.expires}  {time_left}  {waiver.entry.row.hostname}  {name}"
        print_line(f"{text}: {waiver.reason} ({waiver.owner})")
    if not waivers:
        print_line(f"no waiver expires within {days} days")


def _select_entries(
    entries: tuple[LedgerEntry, ...], baseline: str | None, current: str | None
) -> tuple[LedgerEntry, LedgerEntry] | None:
    """Select the two scans to compare; None if there is only one."""
    current_entry = entries[-1] if current is None else resolve_entry(entries, current)
    if baseline is not None:
        return resolve_entry(entries, baseline), current_entry
    earlier = entries[: entries.index(current_entry)]
    return (earlier[-1], current_entry) if earlier else None


def _compare_entries(
    store: LedgerStore, pair: tuple[LedgerEntry, LedgerEntry], max_drop: Decimal | None
) -> ScanDiff:
    baseline, current = (load_snapshot(store, entry.row) for entry in pair)
    return compare_scans(baseline, current, max_score_drop=max_drop)


def _describe_entry(entry: LedgerEntry) -> str:
    row = entry.row
    chain = "" if entry.chain == LOCAL else f" of chain {entry.chain}"
    return f"row {row.seq}{chain}, {row.verdict} when it was added, signed by key {row.key_id!r}"


def _format_history(previous: LedgerEntry | None, entry: LedgerEntry) -> list[str]:
    """Format one scan, and its differences in image and content from the previous one."""
    row = entry.row
    score_change = ""
    if previous is not None:
        score_change = f" ({Decimal(row.score) - Decimal(previous.row.score):+})"
    counts = format_counts(parse_counts(row.counts, label="counts"))
    open_counts = _format_open_counts(entry)
    line = f"{row.seq:>4}  {row.finished}  {row.score}{score_change}  {counts}; open: {open_counts}"
    lines = [line]
    if previous is None:
        return lines
    baseline = previous.row
    attributes = (
        ("image", baseline.image_sha256[:12], row.image_sha256[:12]),
        ("content", baseline.content, row.content),
        ("data stream", baseline.content_sha256[:12], row.content_sha256[:12]),
        ("profile", baseline.profile, row.profile),
        ("host key", baseline.host_key_sha256, row.host_key_sha256),
        ("chain", previous.chain, entry.chain),
    )
    changes = [f"{n}: {a or 'none'} -> {b or 'none'}" for n, a, b in attributes if a != b]
    return lines + [f"      {change}" for change in changes]


def _format_open_counts(entry: LedgerEntry) -> str:
    counts = parse_counts(entry.row.open_findings, label="open findings")
    return ", ".join(f"{counts[s]} {s}" for s in SEVERITIES if counts.get(s)) or "none"


def _entry_to_json(entry: LedgerEntry) -> dict[str, object]:
    row = {to_camel(n): v for n, v in entry.row.model_dump().items()}
    row["counts"] = parse_counts(entry.row.counts, label="counts")
    row["openFindings"] = parse_counts(entry.row.open_findings, label="open findings")
    return {"chainName": entry.chain, **row}
