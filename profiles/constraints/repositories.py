"""Constraints on the repositories and container registries."""

from collections.abc import Iterator

from hardpan.profiles.constraint_set import ConstraintSet, ProfilePath, Violation
from hardpan.profiles.schema.containers import Containers
from hardpan.profiles.schema.repositories import SiteRepository
from hardpan.profiles.software_catalog.catalog_file import package_catalog

CONSTRAINTS = ConstraintSet()


@CONSTRAINTS.depends_on("repositories", "release")
def _check_repositories(
    repositories: tuple[SiteRepository, ...], release: str
) -> Iterator[Violation]:
    catalog_repositories = {r.id: r for r in package_catalog().repositories if r.release == release}
    ids: set[str] = set()
    for i, repository in enumerate(repositories):
        path: ProfilePath = ("repositories", i)
        catalog_entry = catalog_repositories.get(repository.id)
        if catalog_entry is None:
            expected = (
                f"one of {', '.join(catalog_repositories)}"
                if catalog_repositories
                else "no repositories section"
            )
            yield Violation(
                (*path, "id"),
                f"expected {expected}, as in the catalog for {release}, got {repository.id!a}",
            )
            continue
        if repository.id in ids:
            yield Violation((*path, "id"), f"{repository.id} is listed twice")
        ids.add(repository.id)
        if not (repository.url or repository.key or repository.key_sha256):
            yield Violation(path, "expected url, key or key_sha256 in addition to id, got none")
        if repository.more_urls and not repository.url:
            yield Violation((*path, "more_urls"), "expected url, the first of its addresses")
        vendor_sha256 = catalog_entry.key.sha256 if catalog_entry.key else None
        if repository.key and not (repository.key_sha256 or vendor_sha256):
            yield Violation(path, "expected key_sha256 with key, obtained over another channel")
        if repository.key_sha256 and not (repository.key or catalog_entry.key):
            yield Violation(
                path, f"expected key with key_sha256: nobody publishes {repository.id}'s key"
            )


@CONSTRAINTS.depends_on("containers", "layers")
def _check_containers(containers: Containers, layers: tuple[str, ...]) -> Iterator[Violation]:
    if containers.registries and "containers" not in layers:
        yield Violation(("containers", "registries"), "expected the layer containers among layers")
    registries: set[str] = set()
    for i, signed_registry in enumerate(containers.registries):
        if signed_registry.registry in registries:
            path: ProfilePath = ("containers", "registries", i, "registry")
            yield Violation(path, f"{signed_registry.registry} is listed twice")
        registries.add(signed_registry.registry)
