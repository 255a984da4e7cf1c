"""The list of packages, read as strictly as a profile: every problem at once, with its place."""

import re
from collections.abc import Iterator
from functools import lru_cache

from pydantic import ValidationError

from hardpan.errors import InputError
from hardpan.profiles import problems
from hardpan.profiles.problems import Problem
from hardpan.profiles.rule import Broken
from hardpan.profiles.software.model import PLACEHOLDERS, Catalogue
from hardpan.profiles.tree import read
from hardpan.profiles.versions import series
from hardpan.resources import resource_path

FILE = resource_path("hardpan.profiles.software", "packages.yaml")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The list that comes with hardpan.

    Raises:
        InputError: the file was changed and has problems.
    """
    return parse(FILE.read_bytes(), FILE.name)


def parse(data: bytes, file: str) -> Catalogue:
    """The list that ``data`` holds; ``file`` names it in every message.

    Raises:
        InputError: it has problems; each is told on a line of its own.
    """
    tree = read(data, file)
    try:
        made = Catalogue.model_validate(tree.plain())
    except ValidationError as e:
        bad = [problems.of_pydantic(tree, d) for d in e.errors(include_url=False)]
        raise InputError(problems.told(bad)) from e
    broken: list[Problem] = [problems.at(tree, b.path, b.text) for b in _broken(made)]
    if broken:
        raise InputError(problems.told(broken))
    return made


def _broken(made: Catalogue) -> Iterator[Broken]:
    yield from _repositories(made)
    yield from _packages(made)
    yield from _series(made)
    for group in ("nvidia_branches", "rocm_series", "repositories", "packages"):
        for i, entry in enumerate(getattr(made, group)):
            if entry.source not in made.sources:
                yield Broken((group, i, "source"), f"expected one of sources, found {entry.source}")


def _repositories(made: Catalogue) -> Iterator[Broken]:
    seen = set()
    for i, repository in enumerate(made.repositories):
        one = (repository.id, repository.release, repository.arch)
        if one in seen:
            yield Broken(("repositories", i), f"{' '.join(one)} is there twice")
        seen.add(one)
        if not repository.gpgcheck:
            yield Broken(
                ("repositories", i, "gpgcheck"),
                "expected true: what a vendor does not sign is mirrored and signed by the site",
            )
        if repository.url is not None and repository.key is None:
            yield Broken(("repositories", i), "expected a key for a repository with an address")
        yield from _placeholders(("repositories", i, "url"), repository.url or "")


def _packages(made: Catalogue) -> Iterator[Broken]:
    known = {(r.id, r.release) for r in made.repositories}
    seen = set()
    for i, package in enumerate(made.packages):
        for release in package.releases:
            one = (package.layer, package.name, release, package.when)
            if one in seen:
                yield Broken(("packages", i), f"{package.name} is there twice for {release}")
            seen.add(one)
            if (package.repository, release) not in known:
                yield Broken(
                    ("packages", i, "repository"),
                    f"expected a repository of {release}, found {package.repository}",
                )
            held = release in package.stream or release in package.versionlock
            if held and package.version is None:
                yield Broken(("packages", i), f"expected a version, since {release} holds it")
        if "rocky10" in package.stream:
            yield Broken(("packages", i, "stream"), "expected none for rocky10: it has no modules")
        texts = {"name": package.name, "version": package.version or ""}
        texts |= {"stream": " ".join(package.stream.values())}
        for setting, text in texts.items():
            yield from _placeholders(("packages", i, setting), text)


def _series(made: Catalogue) -> Iterator[Broken]:
    for i, one in enumerate(made.rocm_series):
        if series(one.first) > series(one.last):
            yield Broken(("rocm_series", i), f"expected first before last, found {one.first}")
        for other in made.rocm_series[:i]:
            if series(one.first) <= series(other.last) and series(other.first) <= series(one.last):
                yield Broken(("rocm_series", i), f"overlaps with {other.first} to {other.last}")


def _placeholders(path: tuple[str | int, ...], text: str) -> Iterator[Broken]:
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            yield Broken(path, f"expected one of {', '.join(PLACEHOLDERS)}, found {{{name}}}")
    if set("{}") & set(_PLACEHOLDER.sub("", text)):
        yield Broken(path, f"expected placeholders as {{driver}}, found {text}")
