"""``hardpan content``: the SCAP content that scans take, and newer content from the archive."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from hardpan.errors import Exit, HardpanError
from hardpan.folders import cache_home
from hardpan.profiles.upstream import RULE_PREFIX
from hardpan.scanners.content import apt, datastream
from hardpan.scanners.content.changes import WORDING, ChangedRule
from hardpan.scanners.content.datastream import Available, Source
from hardpan.scanners.content.store import PRODUCTS, Product
from hardpan.scanners.content.update import PROFILE, ProductUpdate, Update
from hardpan.scanners.content.update import update as run_update
from hardpan.terminal import drawn, print_json, print_line

_SHOWN_DIGITS = 16


@click.group()
def content() -> None:
    """List SCAP content, and take newer content from Debian's archive."""


@content.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def list_content(as_json: bool) -> int:
    """List every data stream that is here; '*' marks those that scans take.

    Exits with 6 or 3 when one of them is damaged.
    """
    found = datastream.available()
    taken = {product: _default_of(product) for product in PRODUCTS}
    if as_json:
        rows = [_listed(a, is_default=a.origin is taken[a.product]) for a in found]
        print_json({"content": rows})
    else:
        for a in found:
            mark = "*" if a.origin is taken[a.product] else " "
            print_line(f"{mark} {a.product:<6} {a.origin:<9} {_text(a)}")
    errors = [a.source for a in found if isinstance(a.source, HardpanError)]
    return int(errors[0].exit_code if errors else Exit.DONE)


@content.command()
@click.option("--dry-run", is_flag=True, help="Show what would change; store nothing.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write, compared with what it holds; the user's own by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, all rules in it.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def update(dry_run: bool, into: Path | None, as_json: bool, quiet: bool) -> None:
    """Take the newest content of Debian's archive, and show which rules changed.

    apt checks the archive's signature and the package's digest. Content that is not newer
    is not stored. Exits with 4 when the archive does not answer; nothing is changed then.
    """
    with drawn(quiet=quiet) as emit:
        done = run_update(emit, cache=cache_home(), into=into, dry_run=dry_run)
    if as_json:
        print_json(_data(done, dry_run=dry_run))
        return
    for line in _lines(done, dry_run=dry_run):
        print_line(line)


def _default_of(product: Product) -> object:
    """Where a scan takes a product's content from; None where it would end with an error."""
    try:
        return datastream.default_origin(product)
    except HardpanError:
        return None


def _listed(a: Available, *, is_default: bool) -> dict[str, object]:
    row: dict[str, object] = {"product": a.product, "origin": a.origin, "default": is_default}
    if isinstance(a.source, HardpanError):
        return {**row, "problem": str(a.source)}
    return {**row, **_facts(a.source), "origin_text": a.source.origin}


def _text(a: Available) -> str:
    if isinstance(a.source, HardpanError):
        return f"DAMAGED: {a.source}"
    source = a.source
    digest = f"sha256 {source.sha256[:_SHOWN_DIGITS]}…"
    return f"{source.version:<8} {source.date:<10}  {digest}  {source.origin}"


def _facts(source: Source) -> dict[str, object]:
    return {"version": source.version, "date": source.date, "sha256": source.sha256}


def _data(done: Update, *, dry_run: bool) -> dict[str, object]:
    return {
        "package": apt.PACKAGE,
        "version": done.version,
        "suite": done.suite,
        "dry_run": dry_run,
        "stored": None if done.stored is None else str(done.stored),
        "products": [_product(p) for p in done.products],
    }


def _product(p: ProductUpdate) -> dict[str, object]:
    current = p.current
    told: dict[str, object] = {
        "product": p.product,
        "is_newer": p.is_newer,
        "baseline": None,
        "current": {
            "version": current.version,
            "date": current.date.isoformat(),
            "sha256": current.sha256,
        },
    }
    if p.baseline is None or p.changes is None:
        return told
    changes = p.changes
    return {
        **told,
        "baseline": {"origin": p.baseline.origin_kind, **_facts(p.baseline)},
        "profile": changes.profile_id,
        "rules": {"baseline": changes.baseline_rules, "current": changes.current_rules},
        "selected": {"baseline": changes.baseline_selected, "current": changes.current_selected},
        **{
            kind: [
                {
                    "rule": r.rule_id,
                    "title": r.title,
                    "in_profile": r.in_profile,
                    "aspects": list(r.aspects),
                }
                for r in rules
            ]
            for kind, rules in (
                ("added", changes.added),
                ("removed", changes.removed),
                ("changed", changes.changed),
            )
        },
    }


def _lines(done: Update, *, dry_run: bool) -> Iterator[str]:
    package = f"{apt.PACKAGE} {done.version}"
    if not done.products:
        yield f"{package} ({done.suite}) is the archive's newest and is here already"
        return
    yield f"{package} from Debian's archive ({done.suite})"
    for p in done.products:
        yield from _product_lines(p)
    if done.stored is not None:
        yield f"stored in {done.stored}"
    elif dry_run:
        yield "dry run: nothing is stored"
    else:
        yield "nothing is stored: the archive's content is not newer"


def _product_lines(p: ProductUpdate) -> Iterator[str]:
    current = f"{p.current.version} of {p.current.date}"
    if p.baseline is None or p.changes is None:
        yield f"{p.product}: {current}, nothing to compare with"
        return
    baseline, changes = p.baseline, p.changes
    yield (
        f"{p.product}: {baseline.version} of {baseline.date} ({baseline.origin_kind}) -> {current}"
        + ("" if p.is_newer else ", which is NOT NEWER")
    )
    yield (
        f"  rules     {changes.baseline_rules} -> {changes.current_rules};"
        f" selected by {PROFILE}: {changes.baseline_selected} -> {changes.current_selected}"
    )
    reworded = [r for r in changes.changed if r.is_wording]
    yield from _rules("added", changes.added)
    yield from _rules("removed", changes.removed)
    yield from _rules("changed", [r for r in changes.changed if not r.is_wording])
    yield f"  reworded  {_count(reworded)} (title, description or references alone)"


def _rules(label: str, rules: Sequence[ChangedRule]) -> Iterator[str]:
    yield f"  {label:<9} {_count(rules)}"
    for r in rules:
        if r.in_profile:
            decisive = ", ".join(a for a in r.aspects if a not in WORDING)
            yield f"    {r.rule_id.removeprefix(RULE_PREFIX)}{': ' if decisive else ''}{decisive}"


def _count(rules: Sequence[ChangedRule]) -> str:
    return f"{len(rules)}, selected by {PROFILE}: {sum(r.in_profile for r in rules)}"
