"""What the repositories section must say for the list of packages to be usable with it."""

from collections.abc import Iterator

from hardpan.profiles.containers import Containers
from hardpan.profiles.repositories import SiteRepository
from hardpan.profiles.rule import Broken, Path, Rules
from hardpan.profiles.software.load import catalogue

RULES = Rules()


@RULES.reads("repositories", "release")
def _repositories(repositories: tuple[SiteRepository, ...], release: str) -> Iterator[Broken]:
    known = {r.id: r for r in catalogue().repositories if r.release == release}
    seen: set[str] = set()
    for i, one in enumerate(repositories):
        here: Path = ("repositories", i)
        listed = known.get(one.id)
        if listed is None:
            expected = f"one of {', '.join(known)}" if known else "no repositories section"
            yield Broken(
                (*here, "id"), f"expected {expected}, as listed for {release}, found {one.id!a}"
            )
            continue
        if one.id in seen:
            yield Broken((*here, "id"), f"{one.id} is there twice")
        seen.add(one.id)
        if not (one.url or one.key or one.key_sha256):
            yield Broken(here, "expected url, key or key_sha256 beside the id, found none")
        if one.more_urls and not one.url:
            yield Broken((*here, "more_urls"), "expected url too, the first of its addresses")
        pinned = listed.key.sha256 if listed.key else None
        if one.key and not (one.key_sha256 or pinned):
            yield Broken(here, "expected key_sha256 beside key: got by another way than the key")
        if one.key_sha256 and not (one.key or listed.key):
            yield Broken(here, f"expected key beside key_sha256: nobody else gives {one.id}'s out")


@RULES.reads("containers", "layers")
def _containers(containers: Containers, layers: tuple[str, ...]) -> Iterator[Broken]:
    if containers.registries and "containers" not in layers:
        yield Broken(("containers", "registries"), "expected the layer containers, which uses them")
    seen: set[str] = set()
    for i, one in enumerate(containers.registries):
        if one.registry in seen:
            here: Path = ("containers", "registries", i, "registry")
            yield Broken(here, f"{one.registry} is there twice")
        seen.add(one.registry)
