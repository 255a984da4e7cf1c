"""``PROFILE.lock.json``: what an image was built from, and the comparison of two builds.

With ``--locked`` a build ends before it writes an image from anything else: Rocky's mirrors and
the lab's archive have newer packages tomorrow.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hardpan.builder.artifacts import InstallMedia, StackResult
from hardpan.builder.media.repositories import MediaContent
from hardpan.core import validation_errors
from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import Sha256, read_limited
from hardpan.core.nevra import parse_nevra
from hardpan.profiles import embedding_model

MAX_LOCK_BYTES = 64 << 20
_MAX_LINES = 40
_MODEL_CONFIG = ConfigDict(frozen=True, extra="forbid")


class LockedPackage(BaseModel):
    """An installed package."""

    model_config = _MODEL_CONFIG

    nevra: str
    repository: str
    """Id of the media's repository; empty for a package that is not on the media."""

    sha256: str
    """Digest of the package file, from the repository's metadata; empty where that is unknown."""

    header_sha256: str
    """Digest of the package's header in the rpm database, which has the payload's digest."""


class LockedFile(BaseModel):
    """A file with a digest: a repository's metadata, a wheel, a file of a model."""

    model_config = _MODEL_CONFIG

    name: str
    sha256: str


class BuildLock(BaseModel):
    """Everything that an image was built from."""

    model_config = _MODEL_CONFIG

    version: int = 1
    """Version of this format."""

    profile: str
    media: LockedFile
    content: str
    """SHA-256 of the SCAP data stream."""

    repositories: tuple[LockedFile, ...]
    """Repositories on the media, with the digest of ``repomd.xml``."""

    packages: tuple[LockedPackage, ...] = ()
    wheels: tuple[LockedFile, ...] = ()
    """``STACK/FILE`` of each wheel in the Python stacks."""

    models: tuple[LockedFile, ...] = ()
    """``MODEL/FILE`` of each file of an AI model that a layer installs."""

    def to_json(self) -> bytes:
        """Return the file's content: one entry a line, so that versions can be compared."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True)
        return f"{text}\n".encode()


def lock_inputs(
    profile: str, media: InstallMedia, content: MediaContent | None, content_sha256: Sha256
) -> BuildLock:
    """Return the part of a lock that is known before the first stage."""
    repositories = content.repositories if content else ()
    return BuildLock(
        profile=profile,
        media=LockedFile(name=media.name, sha256=media.sha256),
        content=content_sha256,
        repositories=tuple(
            LockedFile(name=repository.id, sha256=repository.repomd_sha256)
            for repository in repositories
        ),
    )


def lock_packages(
    headers: Mapping[str, str], content: MediaContent | None
) -> tuple[LockedPackage, ...]:
    """Return the installed packages; ``headers`` is NEVRA -> digest of the header."""
    on_media = dict(_package_files(content)) if content else {}
    return tuple(
        LockedPackage(
            nevra=nevra,
            repository=on_media.get(nevra, ("", ""))[0],
            sha256=on_media.get(nevra, ("", ""))[1],
            header_sha256=headers[nevra],
        )
        for nevra in sorted(headers)
    )


def lock_wheels(stacks: Iterable[StackResult]) -> tuple[LockedFile, ...]:
    """Return the wheels of all stacks."""
    return tuple(
        LockedFile(name=f"{stack.name}/{wheel.file}", sha256=wheel.sha256)
        for stack in stacks
        for wheel in stack.wheels
    )


def lock_model() -> tuple[LockedFile, ...]:
    """Return the files of the embedding model, which layers with AI software install."""
    return tuple(
        LockedFile(name=f"{embedding_model.NAME}/{name}", sha256=sha256)
        for name, sha256 in embedding_model.FILE_SHA256.items()
    )


def load_lock(path: Path) -> BuildLock:
    """Read a lock.

    Raises:
        InputError: it cannot be read, or it is not a lock of this version.
    """
    try:
        lock = BuildLock.model_validate_json(read_limited(path, MAX_LOCK_BYTES))
    except ValidationError as e:
        problem = validation_errors.format_validation_error(e)
        raise InputError(
            f"{path}: not a lock: {problem}", hint="a build writes PROFILE.lock.json"
        ) from e
    if lock.version != 1:
        raise InputError(f"{path}: version: expected 1, got {lock.version}")
    return lock


def require_unchanged_inputs(lock: BuildLock, inputs: BuildLock) -> None:
    """Pass if a build can use the locked media, repositories and content.

    Raises:
        TrustError: it cannot; lists every difference.
    """
    _require_none(list(_compare_inputs(lock, inputs)))


def require_available(lock: BuildLock, inputs: BuildLock, content: MediaContent | None) -> None:
    """Pass if the inputs are those of the lock and the media have its packages.

    A package without a repository in the lock was not on the media: only the build can compare it.

    Raises:
        TrustError: they are not; lists every difference, at most 40 in full.
    """
    _require_none([*_compare_inputs(lock, inputs), *_compare_media_packages(lock, content)])


def require_unchanged(lock: BuildLock, build: BuildLock) -> None:
    """Pass if ``build`` has exactly what ``lock`` has.

    Raises:
        TrustError: it has not; lists every difference, at most 40 in full.
    """
    _require_none(list(compare_locks(lock, build)))


def compare_locks(lock: BuildLock, build: BuildLock) -> Iterator[str]:
    """Yield a line for each difference."""
    yield from _compare_inputs(lock, build)
    old, new = (_by_name(x.packages) for x in (lock, build))
    for name in sorted(old.keys() | new.keys()):
        yield from _compare_packages(name, old.get(name, ()), new.get(name, ()))
    yield from _compare_files("wheel", lock.wheels, build.wheels)
    yield from _compare_files("model", lock.models, build.models)


def _compare_inputs(lock: BuildLock, build: BuildLock) -> Iterator[str]:
    if lock.profile != build.profile:
        yield f"profile: expected {lock.profile}, got {build.profile}"
    if lock.media != build.media:
        yield (
            f"media: expected {lock.media.name} sha256 {lock.media.sha256},"
            f" got {build.media.name} sha256 {build.media.sha256}"
        )
    if lock.content != build.content:
        yield f"content: expected sha256 {lock.content}, got {build.content}"
    yield from _compare_files("repository", lock.repositories, build.repositories)


def _compare_media_packages(lock: BuildLock, content: MediaContent | None) -> Iterator[str]:
    on_media = dict(_package_files(content)) if content else {}
    for package in lock.packages:
        if not package.repository:
            continue
        _, sha256 = on_media.get(package.nevra, ("", ""))
        if package.nevra not in on_media:
            yield f"package {package.nevra}: not on the media"
        elif sha256 != package.sha256:
            yield f"package {package.nevra}: expected sha256 {package.sha256}, got {sha256}"


def _compare_files(
    kind: str, locked: Sequence[LockedFile], built: Sequence[LockedFile]
) -> Iterator[str]:
    old, new = ({file.name: file.sha256 for file in files} for files in (locked, built))
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"{kind} {name}: missing"
        elif name not in old:
            yield f"{kind} {name}: not in the lock"
        elif old[name] != new[name]:
            yield f"{kind} {name}: expected sha256 {old[name]}, got {new[name]}"


def _compare_packages(
    name: str, locked: Sequence[LockedPackage], built: Sequence[LockedPackage]
) -> Iterator[str]:
    if list(locked) == list(built):
        return
    if not built:
        yield f"package {name}: missing: {_format_nevras(locked)}"
    elif not locked:
        yield f"package {name}: not in the lock: {_format_nevras(built)}"
    elif _format_nevras(locked) != _format_nevras(built):
        yield f"package {name}: expected {_format_nevras(locked)}, got {_format_nevras(built)}"
    else:
        yield f"package {name}: {_format_nevras(built)} has another repository or digest"


def _by_name(packages: Iterable[LockedPackage]) -> dict[str, list[LockedPackage]]:
    by_name: dict[str, list[LockedPackage]] = {}
    for package in sorted(packages, key=lambda package: package.nevra):
        parsed = parse_nevra(package.nevra)
        by_name.setdefault(parsed.name if parsed else package.nevra, []).append(package)
    return by_name


def _format_nevras(packages: Iterable[LockedPackage]) -> str:
    return ", ".join(package.nevra for package in packages)


def _package_files(content: MediaContent) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the NEVRA of each package on the media, with its repository and digest."""
    rpms = iter(content.rpms)
    for repository in content.repositories:
        for _ in range(repository.package_count):
            rpm: Any = next(rpms)
            nevra = f"{rpm.name}-{rpm.epoch}:{rpm.version}-{rpm.release}.{rpm.arch}"
            for form in (nevra, nevra.replace("-0:", "-", 1)):
                yield form, (repository.id, rpm.sha256)


def _require_none(differences: list[str]) -> None:
    if not differences:
        return
    lines = differences[:_MAX_LINES]
    if len(differences) > len(lines):
        lines.append(f"and {len(differences) - len(lines)} more")
    text = "".join(f"\n  {line}" for line in lines)
    count = len(differences)
    raise TrustError(
        f"the build differs from its lock: {count} difference{'s' * (count > 1)}{text}",
        hint="use the media and content of the lock, or build without --locked for a new one",
    )
