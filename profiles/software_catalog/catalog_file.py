"""Read the software catalog; all problems are reported at once, with their locations."""

import re
from collections.abc import Iterator
from functools import lru_cache

from hardpan.core.resources import resource_path
from hardpan.profiles.constraint_set import Violation
from hardpan.profiles.schema.versions import major_minor
from hardpan.profiles.software_catalog.schema import PLACEHOLDERS, PackageCatalog
from hardpan.profiles.table_file import parse_table_file

CATALOG_FILE = resource_path("hardpan.profiles.software_catalog", "packages.yaml")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@lru_cache(maxsize=1)
def package_catalog() -> PackageCatalog:
    """Return the shipped catalog.

    Raises:
        InputError: the file was modified and is invalid.
    """
    return parse_catalog(CATALOG_FILE.read_bytes(), CATALOG_FILE.name)


def parse_catalog(data: bytes, file: str) -> PackageCatalog:
    """Parse a catalog; ``file`` is its name in messages.

    Raises:
        InputError: it has problems; each is reported on a line.
    """
    return parse_table_file(data, file, PackageCatalog, _violations)


def _violations(catalog: PackageCatalog) -> Iterator[Violation]:
    yield from _repository_violations(catalog)
    yield from _package_violations(catalog)
    yield from _series_violations(catalog)
    for group in ("nvidia_branches", "rocm_series", "repositories", "packages"):
        for i, entry in enumerate(getattr(catalog, group)):
            if entry.source not in catalog.sources:
                yield Violation(
                    (group, i, "source"), f"expected one of sources, got {entry.source}"
                )


def _repository_violations(catalog: PackageCatalog) -> Iterator[Violation]:
    keys = set()
    for i, repository in enumerate(catalog.repositories):
        key = (repository.id, repository.release, repository.arch)
        if key in keys:
            yield Violation(("repositories", i), f"{' '.join(key)} is listed twice")
        keys.add(key)
        if not repository.gpgcheck:
            yield Violation(
                ("repositories", i, "gpgcheck"),
                "expected true: packages that a vendor does not sign are mirrored and signed by the"
                " site",
            )
        if repository.url is not None and repository.key is None:
            yield Violation(("repositories", i), "expected a key for a repository with an address")
        yield from _placeholder_violations(("repositories", i, "url"), repository.url or "")


def _package_violations(catalog: PackageCatalog) -> Iterator[Violation]:
    repository_keys = {(r.id, r.release) for r in catalog.repositories}
    keys = set()
    for i, package in enumerate(catalog.packages):
        for release in package.releases:
            key = (package.layer, package.name, release, package.condition)
            if key in keys:
                yield Violation(("packages", i), f"{package.name} is listed twice for {release}")
            keys.add(key)
            if (package.repository, release) not in repository_keys:
                yield Violation(
                    ("packages", i, "repository"),
                    f"expected a repository of {release}, got {package.repository}",
                )
            is_pinned = release in package.stream or release in package.versionlock
            if is_pinned and package.version is None:
                yield Violation(
                    ("packages", i), f"expected a version, since it is pinned on {release}"
                )
        if "rocky10" in package.stream:
            yield Violation(
                ("packages", i, "stream"), "expected none for rocky10: it has no modules"
            )
        texts = {"name": package.name, "version": package.version or ""}
        texts |= {"stream": " ".join(package.stream.values())}
        for setting, text in texts.items():
            yield from _placeholder_violations(("packages", i, setting), text)


def _series_violations(catalog: PackageCatalog) -> Iterator[Violation]:
    for i, entry in enumerate(catalog.rocm_series):
        if major_minor(entry.first) > major_minor(entry.last):
            yield Violation(("rocm_series", i), f"expected first before last, got {entry.first}")
        for other in catalog.rocm_series[:i]:
            if major_minor(entry.first) <= major_minor(other.last) and major_minor(
                other.first
            ) <= major_minor(entry.last):
                yield Violation(("rocm_series", i), f"overlaps with {other.first} to {other.last}")


def _placeholder_violations(path: tuple[str | int, ...], text: str) -> Iterator[Violation]:
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            yield Violation(path, f"expected one of {', '.join(PLACEHOLDERS)}, got {{{name}}}")
    if set("{}") & set(_PLACEHOLDER.sub("", text)):
        yield Violation(path, f"expected placeholders as {{driver}}, got {text}")
