"""Whether a repository has the packages that the list says it has."""

import re
from dataclasses import dataclass

from hardpan.builder.media.repodata import Packages, Rpm
from hardpan.errors import InputError, UsageError
from hardpan.profiles.model import Profile
from hardpan.profiles.software.fill import matcher
from hardpan.profiles.software.load import catalogue
from hardpan.profiles.software.model import Repository
from hardpan.profiles.software.plan import plan

_SHOWN_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One package that is looked for."""

    name: str
    """As the list or, with a profile, the plan has it."""

    pattern: re.Pattern[str]
    """What its name in the repository must be."""

    version: str | None
    """The one version it must have, or None for any."""

    verified: str
    """How far the list trusts the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one of them."""

    asked: Asked
    state: str
    """``there``, ``missing``, or ``other_version`` when only its version is not."""

    names: tuple[str, ...]
    """The names found."""

    versions: tuple[str, ...]
    """The last few versions found, as the repository lists them."""

    size: int
    """Bytes of the file that would be taken; 0 when missing."""

    installed: int
    """Bytes that it takes once installed; 0 when missing."""


def which_repository(repo: str, *, name: str, release: str) -> Repository:
    """The entry of the list that ``repo`` is: by its vendor's address, or by ``name``.

    Raises:
        UsageError: it cannot be told, or only with the release.
        InputError: the list has no such repository for that release.
    """
    known = catalogue().repositories
    address = repo.rstrip("/") + "/"
    fits = [r for r in known if r.url and matcher(r.url).fullmatch(address)]
    if name:
        fits = [r for r in fits if r.id == name] or [r for r in known if r.id == name]
    if not fits and name:
        raise InputError(f"--id {name}: not in the list", hint=f"known: {_ids(known)}")
    if not fits:
        raise UsageError(
            f"{repo}: not the address of a vendor's repository", hint=f"say --id: {_ids(known)}"
        )
    if release and not any(r.release == release for r in fits):
        raise InputError(f"{fits[0].id}: the list has none for {release}")
    fits = [r for r in fits if not release or r.release == release]
    if len({r.release for r in fits}) > 1:
        raise UsageError(
            f"{fits[0].id}: there is one for each release", hint="say --release or --profile"
        )
    return fits[0]


def of_list(repository: Repository) -> tuple[Asked, ...]:
    """Everything that the list takes from ``repository``, with any filling."""
    known = catalogue()
    entries = {
        p.name: p
        for p in known.packages
        if p.repository == repository.id and repository.release in p.releases
    }
    return tuple(
        Asked(
            name=name,
            pattern=matcher(name),
            version=None,
            verified=known.sources[p.source].verified,
        )
        for name, p in entries.items()
    )


def of_profile(repository: Repository, profile: Profile) -> tuple[Asked, ...]:
    """What ``profile`` takes from ``repository``, at its versions.

    Raises:
        InputError: nothing.
    """
    wanted = {
        w.package: w
        for layer in plan(profile, arch=repository.arch)
        for w in layer.packages or ()
        if w.origin.id == repository.id
    }
    if not wanted:
        raise InputError(f"{profile.name}: takes nothing from {repository.id}")
    return tuple(
        Asked(
            name=name,
            pattern=matcher(name),
            version=w.version,
            verified=w.source.verified,
        )
        for name, w in wanted.items()
    )


def compare(asked: tuple[Asked, ...], there: Packages, arch: str) -> tuple[Outcome, ...]:
    """What became of each, in the order asked."""
    usable = [rpm for rpm in there.rpms if rpm.arch in (arch, "noarch")]
    return tuple(_outcome(one, usable) for one in asked)


def _outcome(one: Asked, usable: list[Rpm]) -> Outcome:
    named = [rpm for rpm in usable if one.pattern.fullmatch(rpm.name)]
    right = [rpm for rpm in named if one.version in (None, rpm.version)]
    taken = right[-1:]
    return Outcome(
        asked=one,
        state="there" if right else "other_version" if named else "missing",
        names=tuple(dict.fromkeys(rpm.name for rpm in named))[-_SHOWN_MOST:],
        versions=tuple(dict.fromkeys(rpm.version for rpm in named))[-_SHOWN_MOST:],
        size=sum(rpm.size for rpm in taken),
        installed=sum(rpm.installed for rpm in taken),
    )


def _ids(known: tuple[Repository, ...]) -> str:
    return ", ".join(dict.fromkeys(r.id for r in known))
