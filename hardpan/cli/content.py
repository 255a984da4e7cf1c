"""``hardpan content``: list SCAP content and update it from the Debian archive."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from hardpan.core.console import print_json, print_line, show_progress
from hardpan.core.errors import Exit, HardpanError
from hardpan.core.xdg import cache_home
from hardpan.profiles.schema.ssg import RULE_PREFIX
from hardpan.scanners.content import apt, datastream
from hardpan.scanners.content.changes import DESCRIPTIVE_ASPECTS, ChangedRule
from hardpan.scanners.content.datastream import AvailableContent, ContentSource
from hardpan.scanners.content.store import PRODUCTS, Product
from hardpan.scanners.content.update import PROFILE, ContentUpdate, ProductUpdate
from hardpan.scanners.content.update import update_content as run_update

_DIGEST_CHARACTERS = 16


@click.group()
def content() -> None:
    """List SCAP content and update it from the Debian archive."""


@content.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def list_content(as_json: bool) -> int:
    """List the available data streams; '*' marks the defaults.

    Exits with 6 or 3 if one of them is damaged.
    """
    streams = datastream.list_available()
    default_origins = {product: _find_default_origin(product) for product in PRODUCTS}
    if as_json:
        rows = [
            _stream_to_json(stream, is_default=stream.origin is default_origins[stream.product])
            for stream in streams
        ]
        print_json({"content": rows})
    else:
        for stream in streams:
            mark = "*" if stream.origin is default_origins[stream.product] else " "
            print_line(f"{mark} {stream.product:<6} {stream.origin:<9} {_describe_stream(stream)}")
    errors = [stream.source for stream in streams if isinstance(stream.source, HardpanError)]
    return int(errors[0].exit_code if errors else Exit.OK)


@content.command()
@click.option("--dry-run", is_flag=True, help="Show what would change; store nothing.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to update; default: the data folder of the user.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, all rules in it.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def update(dry_run: bool, into: Path | None, as_json: bool, quiet: bool) -> None:
    """Download the newest content of the Debian archive and show which rules changed.

    apt checks the archive's signature and the package's digest. Content that is not newer
    is not stored. Exits with 4 without changes if the archive is unreachable.
    """
    with show_progress(quiet=quiet) as emit:
        result = run_update(emit, cache=cache_home(), into=into, dry_run=dry_run)
    if as_json:
        print_json(_update_to_json(result, dry_run=dry_run))
        return
    for line in _format_update(result, dry_run=dry_run):
        print_line(line)


def _find_default_origin(product: Product) -> object:
    """Where a scan takes a product's content from; None where it would end with an error."""
    try:
        return datastream.default_origin(product)
    except HardpanError:
        return None


def _stream_to_json(stream: AvailableContent, *, is_default: bool) -> dict[str, object]:
    row: dict[str, object] = {
        "product": stream.product,
        "origin": stream.origin,
        "default": is_default,
    }
    if isinstance(stream.source, HardpanError):
        return {**row, "problem": str(stream.source)}
    return {**row, **_source_to_json(stream.source), "origin_text": stream.source.origin}


def _describe_stream(stream: AvailableContent) -> str:
    if isinstance(stream.source, HardpanError):
        return f"DAMAGED: {stream.source}"
    source = stream.source
    digest = f"sha256 {source.sha256[:_DIGEST_CHARACTERS]}…"
    return f"{source.version:<8} {source.date:<10}  {digest}  {source.origin}"


def _source_to_json(source: ContentSource) -> dict[str, object]:
    return {"version": source.version, "date": source.date, "sha256": source.sha256}


def _update_to_json(result: ContentUpdate, *, dry_run: bool) -> dict[str, object]:
    return {
        "package": apt.PACKAGE,
        "version": result.version,
        "suite": result.suite,
        "dry_run": dry_run,
        "stored": None if result.stored is None else str(result.stored),
        "products": [_product_to_json(p) for p in result.products],
    }


def _product_to_json(product_update: ProductUpdate) -> dict[str, object]:
    current = product_update.current
    fields: dict[str, object] = {
        "product": product_update.product,
        "is_newer": product_update.is_newer,
        "baseline": None,
        "current": {
            "version": current.version,
            "date": current.date.isoformat(),
            "sha256": current.sha256,
        },
    }
    if product_update.baseline is None or product_update.changes is None:
        return fields
    changes = product_update.changes
    return {
        **fields,
        "baseline": {
            "origin": product_update.baseline.origin_kind,
            **_source_to_json(product_update.baseline),
        },
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


def _format_update(result: ContentUpdate, *, dry_run: bool) -> Iterator[str]:
    package = f"{apt.PACKAGE} {result.version}"
    if not result.products:
        yield f"{package} ({result.suite}) is the archive's newest and is here already"
        return
    yield f"{package} from Debian's archive ({result.suite})"
    for p in result.products:
        yield from _format_product(p)
    if result.stored is not None:
        yield f"stored in {result.stored}"
    elif dry_run:
        yield "dry run: nothing is stored"
    else:
        yield "nothing is stored: the archive's content is not newer"


def _format_product(product_update: ProductUpdate) -> Iterator[str]:
    current = f"{product_update.current.version} of {product_update.current.date}"
    if product_update.baseline is None or product_update.changes is None:
        yield f"{product_update.product}: {current}, nothing to compare with"
        return
    baseline, changes = product_update.baseline, product_update.changes
    yield (
        f"{product_update.product}: {baseline.version} of {baseline.date} "
        f"({baseline.origin_kind}) -> {current}"
        + ("" if product_update.is_newer else ", which is NOT NEWER")
    )
    yield (
        f"  rules     {changes.baseline_rules} -> {changes.current_rules};"
        f" selected by {PROFILE}: {changes.baseline_selected} -> {changes.current_selected}"
    )
    reworded = [r for r in changes.changed if r.is_descriptive_only]
    yield from _format_rules("added", changes.added)
    yield from _format_rules("removed", changes.removed)
    yield from _format_rules("changed", [r for r in changes.changed if not r.is_descriptive_only])
    yield f"  reworded  {_format_count(reworded)} (title, description or references alone)"


def _format_rules(label: str, rules: Sequence[ChangedRule]) -> Iterator[str]:
    yield f"  {label:<9} {_format_count(rules)}"
    for r in rules:
        if r.in_profile:
            decisive = ", ".join(
                aspect for aspect in r.aspects if aspect not in DESCRIPTIVE_ASPECTS
            )
            yield f"    {r.rule_id.removeprefix(RULE_PREFIX)}{': ' if decisive else ''}{decisive}"


def _format_count(rules: Sequence[ChangedRule]) -> str:
    return f"{len(rules)}, selected by {PROFILE}: {sum(r.in_profile for r in rules)}"
