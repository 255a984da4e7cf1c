"""``hardpan ledger``: what it remembers of the hosts."""

from datetime import UTC
from decimal import Decimal

import click
from pydantic.alias_generators import to_camel

from hardpan import clock
from hardpan.errors import Exit, InputError
from hardpan.scanners.commands.diff import answer, code, points, show
from hardpan.scanners.commands.ledger_place import Place, placed
from hardpan.scanners.history.chain import OWN
from hardpan.scanners.history.diff import diff as compare
from hardpan.scanners.history.ledger import Held, expiring, held, of_host, one, read_counts, side
from hardpan.scanners.history.model import Diff
from hardpan.scanners.history.store import Store
from hardpan.scanners.history.wording import headline, short
from hardpan.scanners.report import summary
from hardpan.scanners.report.fields import SEVERITIES
from hardpan.terminal import print_json, print_line

_JSON = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
_BY_NAME = click.option(
    "--by-name", is_flag=True, help="HOST is a name; its host keys may have changed."
)
_FROM = click.option("--from", "old", metavar="SCAN", help="The older one: number or digest.")
_TO = click.option("--to", "new", metavar="SCAN", help="The newer one; else the last.")
_DROP = click.option(
    "--max-score-drop",
    metavar="POINTS",
    help="Take a score that is lower by more than this for a regression, too.",
)


@click.command("list")
@click.option("--host", help="Only this host: host key, machine id, or how its name begins.")
@_BY_NAME
@_JSON
@placed
def list_(place: Place, host: str | None, by_name: bool, as_json: bool) -> None:
    """List the scans in the ledger, oldest first."""
    with place.store() as store:
        rows = held(store)
    if host is not None:
        rows = of_host(rows, host, by_name=by_name)
    if as_json:
        print_json([_data(h) for h in rows])
        return
    for h in rows:
        row = h.row
        where = f"{row.seq}" if h.chain == OWN else f"{h.chain}:{row.seq}"
        told = (row.hostname, row.profile, f"open: {_open(h)}", f"key {row.key_id}", row.verdict)
        what = "  ".join(told)
        print_line(
            f"{where:>4}  {row.finished}  {row.score:>6}  {row.statement_sha256[:12]}  {what}"
        )


@click.command()
@click.argument("host")
@_BY_NAME
@_JSON
@placed
def history(place: Place, host: str, by_name: bool, as_json: bool) -> None:
    """Print how the scans of HOST went over time.

    HOST is its host key, its machine id, or how its name begins.
    """
    with place.store() as store:
        rows = of_host(held(store), host, by_name=by_name)
    if as_json:
        print_json([_data(h) for h in rows])
        return
    before: Held | None = None
    for h in rows:
        for line in _story(before, h):
            print_line(line)
        before = h


@click.command()
@click.argument("host")
@_BY_NAME
@_FROM
@_TO
@_DROP
@_JSON
@placed
def diff(
    place: Place,
    host: str,
    by_name: bool,
    old: str | None,
    new: str | None,
    max_score_drop: str | None,
    as_json: bool,
) -> int:
    """Print what changed between the last two scans of HOST.

    Exits with 1 on a regression, as 'hardpan diff' does.
    """
    drop = points(max_score_drop)
    with place.store() as store:
        ends = _ends(of_host(held(store), host, by_name=by_name), old, new)
        if ends is None:
            raise InputError(f"{host!r}: there is one scan of it, two are needed")
        made = _compared(store, ends, drop)
    if as_json:
        print_json({"verified": True, **answer(made)})
    else:
        show(made, _status(ends[0]), _status(ends[1]))
    return code(made)


@click.command()
@click.argument("host")
@_BY_NAME
@_FROM
@_TO
@_DROP
@_JSON
@placed
def check(
    place: Place,
    host: str,
    by_name: bool,
    old: str | None,
    new: str | None,
    max_score_drop: str | None,
    as_json: bool,
) -> int:
    """Exit with 1 if the last scan of HOST is a regression from the one before it.

    The first scan of a host is none: there is nothing that it could have lost.
    """
    drop = points(max_score_drop)
    with place.store() as store:
        ends = _ends(of_host(held(store), host, by_name=by_name), old, new)
        made = None if ends is None else _compared(store, ends, drop)
    if made is None:
        said: dict[str, object] = {"regression": False, "regressions": [], "compared": False}
        if as_json:
            print_json(said)
        else:
            print_line("no regression: the first scan of this host")
        return int(Exit.DONE)
    if as_json:
        worse = [r.data() for r in made.regressions]
        print_json({"regression": made.is_regression, "regressions": worse, "compared": True})
        return code(made)
    for note in made.notes:
        print_line(f"careful: {note}")
    for r in made.regressions:
        print_line(f"{r.kind} {short(r.name)}: {r.old} -> {r.new}")
    print_line(f"{headline(made)} ({made.old.finished} -> {made.new.finished})")
    return code(made)


@click.command("expiring")
@click.option(
    "--days",
    type=click.IntRange(0, 36_500),
    default=30,
    show_default=True,
    help="Which waivers: those that end within this many days, or did.",
)
@_BY_NAME
@_JSON
@placed
def expiring_(place: Place, days: int, by_name: bool, as_json: bool) -> None:
    """List the waivers that are about to end, over the latest scan of each host."""
    today = clock.now().astimezone(UTC).date()
    with place.store() as store:
        found = expiring(store, held(store), today, days, by_name=by_name)
    if as_json:
        made = [
            {
                "hostname": e.held.row.hostname,
                "hostKeySha256": e.held.row.host_key_sha256,
                "name": e.name,
                "reason": e.reason,
                "owner": e.owner,
                "expires": e.expires,
                "daysLeft": e.days_left,
            }
            for e in found
        ]
        print_json(made)
        return
    for e in found:
        left = "is over" if e.days_left < 0 else f"{e.days_left} days left"
        what = f"{e.expires}  {left}  {e.held.row.hostname}  {short(e.name)}"
        print_line(f"{what}: {e.reason} ({e.owner})")
    if not found:
        print_line(f"no waiver ends within {days} days")


def _ends(rows: tuple[Held, ...], old: str | None, new: str | None) -> tuple[Held, Held] | None:
    """The two scans to compare; None where there is but one."""
    last = rows[-1] if new is None else one(rows, new)
    if old is not None:
        return one(rows, old), last
    earlier = rows[: rows.index(last)]
    return (earlier[-1], last) if earlier else None


def _compared(store: Store, ends: tuple[Held, Held], drop: Decimal | None) -> Diff:
    old, new = (side(store, h.row) for h in ends)
    return compare(old, new, max_score_drop=drop)


def _status(h: Held) -> str:
    row = h.row
    chain = "" if h.chain == OWN else f" of chain {h.chain}"
    return f"row {row.seq}{chain}, {row.verdict} when it was added, signed by key {row.key_id!r}"


def _story(before: Held | None, h: Held) -> list[str]:
    """One scan, and what of image and content is not the same as before."""
    row = h.row
    by = ""
    if before is not None:
        by = f" ({Decimal(row.score) - Decimal(before.row.score):+})"
    counts = summary.counts(read_counts(row.counts, what="counts"))
    lines = [f"{row.seq:>4}  {row.finished}  {row.score}{by}  {counts}; open: {_open(h)}"]
    if before is None:
        return lines
    old = before.row
    told = (
        ("image", old.image_sha256[:12], row.image_sha256[:12]),
        ("content", old.content, row.content),
        ("content's data stream", old.content_sha256[:12], row.content_sha256[:12]),
        ("profile", old.profile, row.profile),
        ("host key", old.host_key_sha256, row.host_key_sha256),
        ("chain", before.chain, h.chain),
    )
    moved = [f"{n}: {a or 'none'} -> {b or 'none'}" for n, a, b in told if a != b]
    return lines + [f"      {m}" for m in moved]


def _open(h: Held) -> str:
    opened = read_counts(h.row.open_findings, what="open findings")
    return ", ".join(f"{opened[s]} {s}" for s in SEVERITIES if opened.get(s)) or "none"


def _data(h: Held) -> dict[str, object]:
    row = {to_camel(n): v for n, v in h.row.model_dump().items()}
    row["counts"] = read_counts(h.row.counts, what="counts")
    row["openFindings"] = read_counts(h.row.open_findings, what="open findings")
    return {"chainName": h.chain, **row}
