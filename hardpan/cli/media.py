"""``hardpan media``: download and read install media before anything is built from them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from hardpan.builder.dnf.selection_result import MissingItem, Selection
from hardpan.builder.media.expected_digest import DigestOptions, expected_digests, match_digest
from hardpan.builder.media.inspect import IsoFacts, inspect_iso
from hardpan.builder.media.package_check import MediaPackages, compare_packages, require_usable
from hardpan.builder.media.repositories import (
    MediaContent,
    describe_repositories,
    read_media_content,
)
from hardpan.builder.media.sources import catalog_entry, load_catalog
from hardpan.cli.checksum_options import checksum_options
from hardpan.cli.media_images import fetch, list_images
from hardpan.core.console import print_json, print_line
from hardpan.core.errors import Exit
from hardpan.core.files import sha256_file
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import shipped_profiles
from hardpan.profiles.schema.profile import Profile

_DVD = "the DVD of the distribution"


@click.group()
def media() -> None:
    """Download and read install media before a build."""


media.add_command(list_images)
media.add_command(fetch)


@media.command()
@click.argument("iso", type=click.Path(path_type=Path))
@click.option(
    "--profile",
    "sources",
    multiple=True,
    help="Compare with this profile; default: the shipped ones of the ISO's distribution.",
)
@checksum_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(iso: Path, sources: tuple[str, ...], digest: DigestOptions, as_json: bool) -> int:
    """List what is on ISO and what profiles install that it does not have.

    Packages, groups, environments and module streams are compared; sizes include dependencies, as
    far as names show them. The exit code is 1 if something is missing, and 3 if no profile can be
    built from the ISO: it is damaged, a minimal or boot ISO, or of another distribution. With
    --checksum or --media-sha256 the whole ISO is read, and 6 means that its digest is another one.
    """
    facts = inspect_iso(iso)
    content = read_media_content(iso)
    verification = _verify_digest(iso, content, digest)
    if not as_json:
        for line in _describe_media(facts, content, verification):
            print_line(line)
    profiles = [load_profile(source) for source in sources]
    _require_usable(iso, content, profiles)
    results = [
        compare_packages(profile, content) for profile in profiles or _matching_profiles(content)
    ]
    if as_json:
        print_json(
            {**_to_json(iso, facts, content, results), "verified_by": verification}, indent=2
        )
    else:
        for line in _describe_results(results):
            print_line(line)
    return int(Exit.FINDINGS if any(result.fatal for result in results) else Exit.OK)


def _require_usable(iso: Path, content: MediaContent, profiles: Sequence[Profile]) -> None:
    """Check that the media are those that the profiles use, or complete media if there are none."""
    for profile in profiles:
        entry = catalog_entry(profile.media.catalog)
        require_usable(iso, content, family=entry.family, major=entry.release, title=entry.title)
    if not profiles:
        tree = content.tree
        require_usable(
            iso,
            content,
            family=tree.family if tree else "",
            major=tree.major if tree else "",
            title=_DVD,
        )


def _matching_profiles(content: MediaContent) -> Iterator[Profile]:
    """Yield the shipped profiles of the media's distribution."""
    tree = content.tree
    for name in shipped_profiles():
        profile = load_profile(name)
        entry = catalog_entry(profile.media.catalog)
        if tree is not None and (entry.family, entry.release) == (tree.family, tree.major):
            yield profile


def _verify_digest(iso: Path, content: MediaContent, options: DigestOptions) -> str | None:
    """Return who attests to the digest of the ISO; None if it was not to be verified."""
    if not options.has_statement:
        return None
    expected = expected_digests(_media_name(content), iso, options)
    return match_digest(iso, sha256_file(iso), expected)


def _media_name(content: MediaContent) -> str:
    """Return the name of the media in the catalog; empty if they are of another distribution."""
    tree = content.tree
    names = [
        name
        for name, entry in load_catalog().items()
        if tree is not None and (entry.family, entry.release) == (tree.family, tree.major)
    ]
    return names[0] if names else ""


def _describe_media(
    facts: IsoFacts, content: MediaContent, verification: str | None
) -> Iterator[str]:
    yield f"kind          {content.kind}"
    yield f"distribution  {content.tree or 'not described: the ISO has no .treeinfo'}"
    yield f"label         {facts.volume_id}"
    if verification is not None:
        yield f"digest        {verification}"
    yield f"metadata      sha256:{content.sha256}"
    for line in describe_repositories(content):
        yield f"repository    {line}"


def _describe_results(results: Sequence[MediaPackages]) -> Iterator[str]:
    for result in results:
        base = result.base
        count = len(base.requested) + len(base.dependencies)
        yield (
            f"{result.profile}: {count} packages, {_to_mib(base.installed_bytes)} MiB installed;"
            f" {len(result.missing) or 'none'} missing"
        )
        for item in result.missing:
            yield f"  {'MISSING' if item.is_fatal else 'not on the media'} {item}"


def _to_json(
    iso: Path, facts: IsoFacts, content: MediaContent, results: Sequence[MediaPackages]
) -> dict[str, object]:
    tree = content.tree
    return {
        "iso": str(iso),
        "kind": content.kind,
        "distribution": {"family": tree.family, "version": tree.version, "arch": tree.arch}
        if tree
        else None,
        "label": facts.volume_id,
        "metadata_sha256": content.sha256,
        "repositories": [asdict(repository) for repository in content.repositories],
        "profiles": [_result_to_json(result) for result in results],
    }


def _result_to_json(result: MediaPackages) -> dict[str, object]:
    return {
        "profile": result.profile,
        **_selection_to_json(result.base),
        "layers": [
            {"layer": layer, **_selection_to_json(selection)}
            for layer, selection in result.layers.items()
        ],
    }


def _selection_to_json(selection: Selection) -> dict[str, object]:
    return {
        "packages": len(selection.requested) + len(selection.dependencies),
        "installed_bytes": selection.installed_bytes,
        "download_bytes": selection.download_bytes,
        "missing": [_item_to_json(item) for item in selection.missing],
    }


def _item_to_json(item: MissingItem) -> dict[str, object]:
    return {
        "kind": item.kind,
        "name": item.name,
        "needed_by": item.needed_by,
        "detail": item.detail,
        "nearest": list(item.suggestions),
        "prevents_build": item.is_fatal,
    }


def _to_mib(size_bytes: int) -> int:
    return -(-size_bytes // (1 << 20))
