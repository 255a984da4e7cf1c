"""The lock of a stack: found, read, and fit for one Python on one platform."""

from pathlib import Path

from hardpan.builder.python_stacks import vendors
from hardpan.builder.python_stacks.fetch import find_wheelhouse
from hardpan.builder.wheel_audit.lock import LockFile, load_lock
from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import InputError
from hardpan.core.resources import resource_path
from hardpan.profiles.schema.frameworks import GLIBC, Stack
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.versions import parse_version

SHIPPED = resource_path("hardpan.builder.python_stacks", "locks")
_MAX_UV_GLIBC = 40


def check(profile: Profile) -> None:
    """Pass if every stack of the profile has a lock that fits and that the profile allows.

    Raises:
        InputError: one has none (its hint tells how it is made), is no lock, is for
            another accelerator, or holds what is under a licence that nobody accepted.
    """
    if "ml_frameworks" not in profile.layers or profile.frameworks is None:
        return
    problems = ErrorCollector()
    for stack in profile.frameworks.stacks:
        with problems.collecting("stacks"):
            _check(profile, stack)
    problems.raise_if_any()


def _check(profile: Profile, stack: Stack) -> None:
    if stack.lock is None:
        raise InputError(
            f"{profile.name}: frameworks: {stack.name}: expected a lock, found none",
            hint=f"{command(stack, profile.release)}; then 'lock: ./{stack.name}.lock'"
            " in your own profile. 'hardpan render' needs no lock",
        )
    find_wheelhouse(stack)
    read_build_tools(stack)
    vendors.check_vendor(profile, stack, read_lock(stack))


def command(stack: Stack, release: str) -> str:
    """The command that makes a lock for a stack, from an index that this machine reaches."""
    glibc = min(parse_version(stack.glibc or GLIBC[release])[1], _MAX_UV_GLIBC)
    requirements = " ".join(
        f"'{requirement}'" if set(requirement) & set("[>~") else requirement
        for requirement in stack.packages
    )
    backend = f" --torch-backend {stack.torch_backend}" if stack.torch_backend else ""
    return (
        f"printf '%s\\n' {requirements} | uv pip compile - --generate-hashes --no-emit-index-url"
        f" --python-version {stack.python} --python-platform x86_64-manylinux_2_{glibc}{backend}"
        f" -o {stack.name}.lock"
    )


def read_lock(stack: Stack) -> LockFile:
    """The stack's lock.

    Raises:
        InputError: it is missing, is no lock, or is for more than one kind of machine.
    """
    path = _resolve_lock_path(stack.lock or "", f"{stack.name}: lock")
    lock = _load_single_platform(path)
    names = [entry.name for entry in lock.entries]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise InputError(f"{path}: {', '.join(duplicates[:5])}: is there twice")
    missing = [source.name for source in stack.sources if source.name.lower() not in names]
    if missing:
        raise InputError(f"{path}: expected {', '.join(missing)}, which is to be built from source")
    return lock


def read_build_tools(stack: Stack) -> dict[str, LockFile]:
    """The locks of the packages that build the stack's sources, by the source's name.

    Raises:
        InputError: one is missing, is no lock, or is for more than one kind of machine.
    """
    return {
        source.name: _load_single_platform(
            _resolve_lock_path(source.build_lock, f"{source.name}: build_lock")
        )
        for source in stack.sources
    }


def _load_single_platform(path: Path) -> LockFile:
    lock = load_lock(path)
    conditional = [entry.name for entry in lock.entries if entry.is_conditional]
    if conditional:
        raise InputError(
            f"{path}: expected a lock for one platform, found markers at"
            f" {', '.join(conditional[:5])}",
            hint="create the lock without uv's --universal option",
        )
    return lock


def _resolve_lock_path(reference: str, label: str) -> Path:
    path = Path(reference) if "/" in reference else SHIPPED / f"{reference}.lock"
    if not path.is_file():
        shipped = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.lock"))) or "none"
        raise InputError(f"{label}: expected a file, found no {path}", hint=f"shipped: {shipped}")
    return path
