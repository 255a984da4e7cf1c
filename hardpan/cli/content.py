"""``hardpan content``: list SCAP content and update it from the Debian archive."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from hardpan.cli.content_json import description_to_json, stream_to_json, update_to_json
from hardpan.core.console import print_json, print_line, show_progress
from hardpan.core.errors import Exit, HardpanError, InputError, UsageError
from hardpan.core.xdg import cache_home
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content import listing
from hardpan.scanners.content.changes import DESCRIPTIVE_ASPECTS, ChangedRule
from hardpan.scanners.content.listing import AvailableContent, ContentDescription
from hardpan.scanners.content.update import ContentUpdate, ProductUpdate
from hardpan.scanners.content.update import update_content as run_update
from hardpan.scanners.stig.manual_stig import find_stig

_PRODUCT = re.compile(r"[a-z][a-z0-9-]{0,39}")
_DIGEST_CHARACTERS = 16


@click.group()
def content() -> None:
    """List SCAP content and update it from the Debian archive."""


@content.command("list")
@click.argument("products", nargs=-1, metavar="[PRODUCT]...")
@click.option(
    "--content",
    "content_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="List the benchmarks and profiles of this data stream instead.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def list_content(products: tuple[str, ...], content_path: Path | None, as_json: bool) -> int:
    """List data streams with their benchmarks and profiles; '*' marks the defaults.

    The number after a profile is the number of its rules. Given PRODUCTs (rhel9, debian12) or a
    FILE, the profiles are listed with their titles. Exits with 6 or 3 if one of them is damaged,
    with 3 if there is none for a PRODUCT.
    """
    if content_path is not None:
        if products:
            raise UsageError(f"--content {content_path}: expected no PRODUCT with a file")
        description = listing.describe_file(content_path)
        if as_json:
            print_json({"content": [description_to_json(description)]})
            return int(Exit.OK)
        return _print_lines([_format_description(description), *_format_profiles(description)])
    streams = listing.list_available(products)
    missing = sorted(set(products) - {stream.product for stream in streams})
    if missing:
        raise InputError(
            f"{missing[0]}: no content is stored for this product",
            hint=f"'hardpan content list' lists the products; 'hardpan content update {missing[0]}'"
            " downloads it if Debian's packages have it",
        )
    if as_json:
        print_json({"content": [stream_to_json(stream) for stream in streams]})
    else:
        _print_lines(_format_streams(streams, with_titles=bool(products)))
    errors = [s.description for s in streams if isinstance(s.description, HardpanError)]
    return int(errors[0].exit_code if errors else Exit.OK)


@content.command()
@click.argument("products", nargs=-1, metavar="[PRODUCT]...")
@click.option("--dry-run", is_flag=True, help="Show what would change; store nothing.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to update; default: the data folder of the user.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, all rules in it.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def update(
    products: tuple[str, ...], dry_run: bool, into: Path | None, as_json: bool, quiet: bool
) -> None:
    """Download the newest content of the Debian archive and show which rules changed.

    Without a PRODUCT (rhel9, debian12) the products that are already stored are updated. apt checks
    the archive's signature and the package's digest. Content that is not newer is not stored.
    Exits with 4 without changes if the archive is unreachable.
    """
    for product in products:
        if not _PRODUCT.fullmatch(product):
            raise InputError(f"{product!a}: expected a product such as rhel9 or debian12")
    with show_progress(quiet=quiet) as emit:
        result = run_update(emit, cache=cache_home(), products=products, into=into, dry_run=dry_run)
    if as_json:
        print_json(update_to_json(result, dry_run=dry_run))
        return
    _print_lines(_format_update(result, dry_run=dry_run))


def _print_lines(lines: Iterable[str]) -> int:
    for line in lines:
        print_line(line)
    return int(Exit.OK)


def _format_streams(streams: Sequence[AvailableContent], *, with_titles: bool) -> Iterator[str]:
    for stream in streams:
        mark = "*" if stream.is_default else " "
        start = f"{mark} {stream.product or 'all':<12} {stream.origin:<9}"
        if isinstance(stream.description, HardpanError):
            yield f"{start} DAMAGED: {stream.description}"
            continue
        yield f"{start} {_format_description(stream.description)}"
        if with_titles:
            yield from _format_profiles(stream.description)
        else:
            yield from _format_profile_names(stream.description)


def _format_description(description: ContentDescription) -> str:
    digest = f"sha256 {description.sha256[:_DIGEST_CHARACTERS]}…"
    return f"{description.version:<8} {description.date:<10}  {digest}  {description.origin}"


def _format_profile_names(description: ContentDescription) -> Iterator[str]:
    for bench in description.benchmarks:
        # A no-break space, which wrap() does not break at: a name stays with its number.
        names = [f"{shorten_id(p.profile_id)}\xa0{p.rule_count}" for p in bench.profiles]
        text = f"{shorten_id(bench.benchmark_id)}: {', '.join(names) or 'no profile'}"
        for line in textwrap.wrap(text, 96, initial_indent="    ", subsequent_indent="      "):
            yield line.replace("\xa0", " ")
        if stig := find_stig(bench.benchmark_id):
            yield f"    checklists follow {stig.describe()}"


def _format_profiles(description: ContentDescription) -> Iterator[str]:
    for bench in description.benchmarks:
        yield f"  benchmark {bench.benchmark_id}: {bench.title}, version {bench.version}"
        yield f"    for {', '.join(bench.platforms) or 'every platform'}; {bench.rule_count} rules"
        width = max((len(shorten_id(p.profile_id)) for p in bench.profiles), default=0)
        for profile in bench.profiles:
            name = shorten_id(profile.profile_id)
            yield f"    {name:<{width}}  {profile.rule_count:>4} rules  {profile.title}"
        if not bench.profiles:
            yield "    no profile"
        if stig := find_stig(bench.benchmark_id):
            list_text = f"CCIs by DISA's list of {stig.cci_list_date}"
            yield f"    checklists follow {stig.describe()}; {list_text}"


def _format_update(result: ContentUpdate, *, dry_run: bool) -> Iterator[str]:
    for package in result.packages:
        text = f"{package.name} {package.version}"
        if not package.products:
            yield f"{text} ({package.suite}) is the archive's newest and is here already"
            continue
        yield f"{text} from Debian's archive ({package.suite})"
        for p in package.products:
            yield from _format_product(p)
    if result.stored is not None:
        yield f"stored in {result.stored}"
    elif not any(package.products for package in result.packages):
        return
    elif dry_run:
        yield "dry run: nothing is stored"
    else:
        yield "nothing is stored: the archive's content is not newer"


def _format_product(product_update: ProductUpdate) -> Iterator[str]:
    current = f"{product_update.current.version} of {product_update.current.date}"
    baseline, changes = product_update.baseline, product_update.changes
    if baseline is None:
        yield f"{product_update.product}: {current}, nothing to compare with"
        return
    yield (
        f"{product_update.product}: {baseline.version} of {baseline.date} "
        f"({baseline.origin_kind}) -> {current}"
        + ("" if product_update.is_newer else ", which is NOT NEWER")
    )
    if changes is None:
        yield "  no profile to compare"
        return
    profile = shorten_id(changes.profile_id)
    yield (
        f"  rules     {changes.baseline_rules} -> {changes.current_rules};"
        f" selected by {profile}: {changes.baseline_selected} -> {changes.current_selected}"
    )
    reworded = [r for r in changes.changed if r.is_descriptive_only]
    decisive = [r for r in changes.changed if not r.is_descriptive_only]
    yield from _format_rules("added", changes.added, profile)
    yield from _format_rules("removed", changes.removed, profile)
    yield from _format_rules("changed", decisive, profile)
    count = _format_count(reworded, profile)
    yield f"  reworded  {count} (title, description or references alone)"


def _format_rules(label: str, rules: Sequence[ChangedRule], profile: str) -> Iterator[str]:
    yield f"  {label:<9} {_format_count(rules, profile)}"
    for r in rules:
        if r.in_profile:
            decisive = ", ".join(
                aspect for aspect in r.aspects if aspect not in DESCRIPTIVE_ASPECTS
            )
            yield f"    {shorten_id(r.rule_id)}{': ' if decisive else ''}{decisive}"


def _format_count(rules: Sequence[ChangedRule], profile: str) -> str:
    return f"{len(rules)}, selected by {profile}: {sum(r.in_profile for r in rules)}"
