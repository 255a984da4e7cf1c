"""Python stacks: locked wheels in, one signed RPM out, made on the build machine.

The host never runs pip, needs no index, and writes nothing below ``/opt/ai``: every file
belongs to a package, which is what ``rpm -V`` checks and fapolicyd trusts.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from hardpan.builder.receipts import StackReceipt, WheelFinding, WheelReceipt
from hardpan.builder.stacks import locks
from hardpan.builder.stacks.fetch import STAGE, gather, lacking
from hardpan.builder.stacks.layout import interpreter, lay_out
from hardpan.builder.stacks.metadata import licence, unpacked
from hardpan.builder.stacks.model import Files, Recipe
from hardpan.builder.stacks.pack import header, pack
from hardpan.builder.stacks.signing import SiteKey, sign, site_key
from hardpan.builder.wheels.audit import audit
from hardpan.builder.wheels.lock import normalised
from hardpan.builder.wheels.model import Audit, Finding
from hardpan.errors import InputError, TrustError
from hardpan.events import Emit, Note, Progress
from hardpan.files import (
    Sha256,
    atomic_path,
    canonical_json,
    need_free,
    sha256_bytes,
    sha256_file,
    write_atomic,
)
from hardpan.profiles.frameworks import Stack
from hardpan.profiles.model import Profile
from hardpan.resources import resource_path

__all__ = ["Built", "Coming", "SiteKey", "build", "check_locks", "coming", "digest", "site"]

check_locks = locks.check


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A stack that was built."""

    rpm: Path
    """Its package."""

    receipt: StackReceipt
    """What is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """What of a stack has yet to be got."""

    stack: str
    locked: int
    """Files in its lock."""

    lacking: int
    """Those of them that the cache does not have."""


def coming(profile: Profile, cache: Path) -> tuple[Coming, ...]:
    """The profile's stacks that have a lock, each with what the cache lacks of it."""
    found = []
    for stack in profile.frameworks.stacks if profile.frameworks else ():
        with contextlib.suppress(InputError):  # a lock that is none: ``check_locks`` tells
            lock = locks.read(stack)
            recipe = Recipe(stack=stack, release=profile.release, lock=lock)
            locked, missing = len(lock.entries), lacking(recipe, cache)
            found.append(Coming(stack=stack.name, locked=locked, lacking=missing))
    return tuple(found)


def site(cache: Path) -> SiteKey:
    """The site's key for packages, made at the first call."""
    return site_key(cache / "package-key")


def build(profile: Profile, cache: Path, emit: Emit) -> tuple[Built, ...]:
    """Every stack of the profile, each one RPM; what is unchanged comes out of the cache.

    Raises:
        InputError: a lock or a wheel is missing, or does not fit.
        TrustError: a file is not the locked one, or an archive is not safe to unpack.
        ToolError: a program failed.
    """
    check_locks(profile)
    key = site(cache)
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    return tuple(_one(stack, profile.release, key, cache, emit) for stack in stacks)


def digest(profile: Profile) -> Sha256:
    """Digest of what decides the stacks, beside the profile itself: locks and code.

    Raises:
        InputError: a lock is missing or is no lock.
    """
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    told = {stack.name: locks.read(stack).sha256 for stack in stacks if stack.lock}
    tools = {
        f"{stack.name}/{name}": lock.sha256
        for stack in stacks
        for name, lock in locks.build_tools(stack).items()
    }
    return sha256_bytes(canonical_json({"locks": told, "tools": tools, "code": _code()}))


def _code() -> dict[str, str]:
    return {
        path.name: sha256_file(path)
        for path in resource_path("hardpan.builder.stacks").glob("*.py")
    }


def _one(stack: Stack, release: str, key: SiteKey, cache: Path, emit: Emit) -> Built:
    tools = locks.build_tools(stack)
    recipe = Recipe(stack=stack, release=release, lock=locks.read(stack), tools=tools)
    files = gather(recipe, cache, emit)
    digest = _digest(recipe, files, key)
    folder = cache / "stacks" / f"{stack.name}-{digest[:24]}"
    if not (folder / "receipt.json").is_file():
        with atomic_path(folder) as temp:
            temp.mkdir()
            _make(recipe, files, digest, key, temp, emit)
    receipt = _read(folder / "receipt.json")
    rpm = folder / receipt.rpm
    if sha256_file(rpm) != receipt.rpm_sha256:
        raise TrustError(f"{rpm}: is not what was built", hint="delete the folder and try again")
    return Built(rpm=rpm, receipt=receipt)


def _make(recipe: Recipe, files: Files, digest: Sha256, key: SiteKey, to: Path, emit: Emit) -> None:
    name = recipe.stack.name

    def note(text: str) -> None:
        emit(Note(stage=STAGE, text=f"{name}: {text}"))

    def look(wheel: str, done: int, total: int) -> None:
        emit(Progress(stage=STAGE, done=done, total=total, text=f"{name}: looking into {wheel}"))

    found = audit(files.folder, on_wheel=look)
    _refuse(name, found)
    bad = sum(f.severity == "high" for f in found.findings)
    note(f"{len(found.findings)} findings in its wheels, {bad} of them high; told in the receipt")
    wheels = tuple(_wheels(files, found))
    _room_for(name, files, to.parent)
    with tempfile.TemporaryDirectory(prefix=".stack-", dir=to.parent) as made:
        room = Path(made)
        note(f"laying out {len(wheels)} wheels under /opt/ai/stacks/{name}")
        tree = lay_out(recipe, files, room)
        if not tree.bytecode:
            note(f"no Python {recipe.stack.python} here to compile with: it will start slower")
        note("packing and signing")
        packed = pack(recipe, tree, wheels, digest, room)
        sign([packed], key)
        rpm = to / f"{packed.stem}.x86_64.rpm"
        packed.rename(rpm)
    receipt = StackReceipt(
        name=name,
        rpm=rpm.name,
        rpm_sha256=sha256_file(rpm),
        header_sha256=header(rpm),
        lock_sha256=recipe.lock.sha256,
        python=recipe.stack.python,
        bytecode=tree.bytecode,
        wheels=wheels,
        findings=tuple(map(_told, found.findings)),
    )
    write_atomic(to / "receipt.json", json.dumps(asdict(receipt), indent=1, sort_keys=True) + "\n")


def _refuse(name: str, found: Audit) -> None:
    """What only differs from its own list of files is a finding: the lock vouches for the whole."""
    for wheel in found.wheels:
        if wheel.refused:
            why = next((f.what for f in found.findings if f.wheel == wheel.file), "")
            raise TrustError(f"{name}: {wheel.file}: not safe to unpack: {why}")


def _room_for(name: str, files: Files, folder: Path) -> None:
    """Pass if the disk takes the stack with its bytecode, and the RPM before and after signing."""
    wheels = list(files.folder.glob("*.whl"))
    need = sum(map(unpacked, wheels)) * 11 // 10 + 2 * sum(path.stat().st_size for path in wheels)
    need_free(folder, (need >> 20), what=f"packing the stack {name}")


def _wheels(files: Files, found: Audit) -> Iterable[WheelReceipt]:
    for wheel in found.wheels:
        name, version = wheel.file.split("-")[:2]
        bundled = {
            f"{f.library} {f.version}".strip()
            for f in found.findings
            if f.wheel == wheel.file and f.kind == "bundled_crypto"
        }
        yield WheelReceipt(
            name=normalised(name),
            version=version,
            file=wheel.file,
            sha256=wheel.sha256,
            licence=licence(files.folder / wheel.file),
            source_sha256=files.built.get(normalised(name), ""),
            crypto=tuple(sorted(bundled)),
        )


def _told(f: Finding) -> WheelFinding:
    return WheelFinding(
        kind=f.kind, severity=f.severity, wheel=f.wheel, where=f.where, line=f.line, what=f.what
    )


def _digest(recipe: Recipe, files: Files, key: SiteKey) -> Sha256:
    """Digest of everything that decides the RPM's bytes."""
    # Without what says where a file is, not what it is.
    stack = recipe.stack.model_dump(
        mode="json",
        exclude={"lock": True, "wheelhouse": True, "sources": {"__all__": {"build_lock"}}},
    )
    told = {
        "lock": recipe.lock.sha256,
        "files": {p.name: sha256_file(p) for p in files.folder.glob("*.whl")},
        "stack": stack,
        "release": recipe.release,
        "compiles": interpreter(recipe.stack.python) is not None,
        "code": _code(),
        "key": key.sha256,
    }
    return sha256_bytes(canonical_json(told))


def _read(path: Path) -> StackReceipt:
    return StackReceipt.of(json.loads(path.read_text("utf-8")))
