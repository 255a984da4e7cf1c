"""Python stacks: the build machine turns locked wheels into one signed RPM per stack.

The host never runs pip, needs no index, and writes nothing below ``/opt/ai``: every file
belongs to a package, which is what ``rpm -V`` checks and fapolicyd trusts.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from hardpan.builder.artifacts import StackFinding, StackResult, WheelRecord
from hardpan.builder.python_stacks import locks
from hardpan.builder.python_stacks.fetch import STAGE, count_missing, download_wheels
from hardpan.builder.python_stacks.layout import find_interpreter, install_tree
from hardpan.builder.python_stacks.metadata import measure_unpacked, read_licence
from hardpan.builder.python_stacks.model import LockedStack, StackWheels
from hardpan.builder.python_stacks.pack import pack_rpm, read_header_digest
from hardpan.builder.python_stacks.signing import SiteKey, ensure_site_key, sign_rpms
from hardpan.builder.wheel_audit.audit import audit_wheels
from hardpan.builder.wheel_audit.model import AuditFinding, WheelAudit
from hardpan.core.errors import InputError, TrustError
from hardpan.core.events import Emit, StageMessage, StageProgress
from hardpan.core.files import (
    Sha256,
    atomic_path,
    canonical_json,
    require_free_space,
    sha256_bytes,
    sha256_file,
    write_atomic,
)
from hardpan.core.stage_cache import digest_code
from hardpan.profiles.schema.frameworks import Stack
from hardpan.profiles.schema.profile import Profile

__all__ = [
    "BuiltStack",
    "PendingDownloads",
    "SiteKey",
    "build_stacks",
    "check_locks",
    "digest_inputs",
    "load_site_key",
    "pending_downloads",
]

check_locks = locks.check

_CODE = ("hardpan.builder.python_stacks", "hardpan.builder.rpm")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltStack:
    """A stack built as an RPM."""

    rpm: Path
    """The RPM file."""

    receipt: StackResult
    """The content of the RPM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDownloads:
    """Downloads that a stack still needs."""

    stack: str
    locked_count: int
    """Files in its lock."""

    missing_count: int
    """Those of them that the cache does not have."""


def pending_downloads(profile: Profile, cache: Path) -> tuple[PendingDownloads, ...]:
    """Return the pending downloads of each stack of the profile that has a lock."""
    pending = []
    for stack in profile.frameworks.stacks if profile.frameworks else ():
        with contextlib.suppress(InputError):  # ``check_locks`` reports an invalid lock
            lock = locks.read_lock(stack)
            locked_stack = LockedStack(stack=stack, release=profile.release, lock=lock)
            locked_count, missing_count = len(lock.entries), count_missing(locked_stack, cache)
            pending.append(
                PendingDownloads(
                    stack=stack.name, locked_count=locked_count, missing_count=missing_count
                )
            )
    return tuple(pending)


def load_site_key(cache: Path) -> SiteKey:
    """Return the site's key for packages; the first call creates it."""
    return ensure_site_key(cache / "package-key")


def build_stacks(profile: Profile, cache: Path, emit: Emit) -> tuple[BuiltStack, ...]:
    """Build every stack of the profile as one RPM each; unchanged stacks come from the cache.

    Raises:
        InputError: a lock or a wheel is missing or incompatible.
        TrustError: a file is not the locked one, or an archive is not safe to unpack.
        ToolError: a program failed.
    """
    check_locks(profile)
    key = load_site_key(cache)
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    return tuple(_build_stack(stack, profile.release, key, cache, emit) for stack in stacks)


def digest_inputs(profile: Profile) -> Sha256:
    """Digest of everything that determines the stacks except the profile: locks and code.

    Raises:
        InputError: a lock is missing or is no lock.
    """
    stacks = profile.frameworks.stacks if profile.frameworks else ()
    lock_digests = {stack.name: locks.read_lock(stack).sha256 for stack in stacks if stack.lock}
    tool_digests = {
        f"{stack.name}/{name}": lock.sha256
        for stack in stacks
        for name, lock in locks.read_build_tools(stack).items()
    }
    return sha256_bytes(
        canonical_json({"locks": lock_digests, "tools": tool_digests, "code": digest_code(*_CODE)})
    )


def _build_stack(stack: Stack, release: str, key: SiteKey, cache: Path, emit: Emit) -> BuiltStack:
    tools = locks.read_build_tools(stack)
    locked_stack = LockedStack(
        stack=stack, release=release, lock=locks.read_lock(stack), build_tools=tools
    )
    stack_wheels = download_wheels(locked_stack, cache, emit)
    digest = _digest_stack_inputs(locked_stack, stack_wheels, key)
    folder = cache / "stacks" / f"{stack.name}-{digest[:24]}"
    if not (folder / "receipt.json").is_file():
        with atomic_path(folder) as temp:
            temp.mkdir()
            _build_rpm(locked_stack, stack_wheels, digest, key, temp, emit)
    receipt = _read_receipt(folder / "receipt.json")
    rpm = folder / receipt.rpm
    if sha256_file(rpm) != receipt.rpm_sha256:
        raise TrustError(
            f"{rpm}: is not the package that was built", hint="delete the folder and try again"
        )
    return BuiltStack(rpm=rpm, receipt=receipt)


def _build_rpm(
    locked_stack: LockedStack,
    stack_wheels: StackWheels,
    digest: Sha256,
    key: SiteKey,
    to: Path,
    emit: Emit,
) -> None:
    name = locked_stack.stack.name

    def emit_note(text: str) -> None:
        emit(StageMessage(stage=STAGE, text=f"{name}: {text}"))

    def on_wheel(wheel: str, done: int, total: int) -> None:
        emit(
            StageProgress(
                stage=STAGE, completed=done, total=total, text=f"{name}: auditing {wheel}"
            )
        )

    wheel_audit = audit_wheels(stack_wheels.folder, on_wheel=on_wheel)
    _require_safe_wheels(name, wheel_audit)
    high_count = sum(f.severity == "high" for f in wheel_audit.findings)
    emit_note(f"wheel audit: {len(wheel_audit.findings)} findings, {high_count} of severity high")
    wheels = tuple(_wheel_receipts(stack_wheels, wheel_audit))
    _require_space(name, stack_wheels, to.parent)
    with tempfile.TemporaryDirectory(prefix=".stack-", dir=to.parent) as temp_name:
        workdir = Path(temp_name)
        emit_note(f"installing {len(wheels)} wheels under /opt/ai/stacks/{name}")
        tree = install_tree(locked_stack, stack_wheels, workdir)
        if not tree.has_bytecode:
            emit_note(f"no Python {locked_stack.stack.python} here: no bytecode, slower imports")
        emit_note("packing and signing")
        packed = pack_rpm(locked_stack, tree, wheels, digest, workdir)
        sign_rpms([packed], key)
        rpm = to / f"{packed.stem}.x86_64.rpm"
        packed.rename(rpm)
    receipt = StackResult(
        name=name,
        rpm=rpm.name,
        rpm_sha256=sha256_file(rpm),
        header_sha256=read_header_digest(rpm),
        lock_sha256=locked_stack.lock.sha256,
        python=locked_stack.stack.python,
        has_bytecode=tree.has_bytecode,
        wheels=wheels,
        findings=tuple(map(_finding_receipt, wheel_audit.findings)),
    )
    write_atomic(to / "receipt.json", json.dumps(asdict(receipt), indent=1, sort_keys=True) + "\n")


def _require_safe_wheels(name: str, wheel_audit: WheelAudit) -> None:
    """Require that every wheel is safe to unpack.

    A wheel that differs only from its own RECORD is a finding, not a refusal: the lock file
    already pins the digest of the complete wheel.

    Raises:
        TrustError: a wheel is not.
    """
    for wheel in wheel_audit.wheels:
        if wheel.refused:
            reason = next((f.message for f in wheel_audit.findings if f.wheel == wheel.file), "")
            raise TrustError(f"{name}: {wheel.file}: not safe to unpack: {reason}")


def _require_space(name: str, stack_wheels: StackWheels, folder: Path) -> None:
    """Require disk space for the stack with bytecode and for two copies of the RPM."""
    wheels = list(stack_wheels.folder.glob("*.whl"))
    required_bytes = sum(map(measure_unpacked, wheels)) * 11 // 10 + 2 * sum(
        path.stat().st_size for path in wheels
    )
    require_free_space(folder, (required_bytes >> 20), purpose=f"packing the stack {name}")


def _wheel_receipts(stack_wheels: StackWheels, wheel_audit: WheelAudit) -> Iterable[WheelRecord]:
    for wheel in wheel_audit.wheels:
        name, version = wheel.file.split("-")[:2]
        bundled = {
            f"{f.library} {f.version}".strip()
            for f in wheel_audit.findings
            if f.wheel == wheel.file and f.kind == "bundled_crypto"
        }
        yield WheelRecord(
            name=canonicalize_name(name),
            version=version,
            file=wheel.file,
            sha256=wheel.sha256,
            licence=read_licence(stack_wheels.folder / wheel.file),
            source_sha256=stack_wheels.source_digests.get(canonicalize_name(name), ""),
            bundled_crypto=tuple(sorted(bundled)),
        )


def _finding_receipt(f: AuditFinding) -> StackFinding:
    return StackFinding(
        kind=f.kind,
        severity=f.severity,
        wheel=f.wheel,
        location=f.path,
        line=f.line,
        message=f.message,
    )


def _digest_stack_inputs(
    locked_stack: LockedStack, stack_wheels: StackWheels, key: SiteKey
) -> Sha256:
    """Digest of everything that determines the RPM's bytes."""
    # Without the fields that only say where a file is.
    stack = locked_stack.stack.model_dump(
        mode="json",
        exclude={"lock": True, "wheelhouse": True, "sources": {"__all__": {"build_lock"}}},
    )
    inputs = {
        "lock": locked_stack.lock.sha256,
        "files": {p.name: sha256_file(p) for p in stack_wheels.folder.glob("*.whl")},
        "stack": stack,
        "release": locked_stack.release,
        "compiles": find_interpreter(locked_stack.stack.python) is not None,
        "code": digest_code(*_CODE),
        "key": key.sha256,
    }
    return sha256_bytes(canonical_json(inputs))


def _read_receipt(path: Path) -> StackResult:
    return StackResult.from_json(json.loads(path.read_text("utf-8")))
