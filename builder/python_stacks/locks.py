"""Find, read and check the lock of a stack: one Python version on one platform."""

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
    """Check that every stack of the profile has a valid lock that the profile allows.

    Raises:
        InputError: a lock is missing (the hint has the command that creates it), invalid, for
            another accelerator, or contains packages whose licence was not accepted.
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
            f"{profile.name}: frameworks: {stack.name}: expected a lock, got none",
            hint=f"{command(stack, profile.release)}; then 'lock: ./{stack.name}.lock'"
            " in your own profile. 'hardpan render' needs no lock",
        )
    find_wheelhouse(stack)
    read_build_tools(stack)
    vendors.check_vendor(profile, stack, read_lock(stack))


def command(stack: Stack, release: str) -> str:
    """Return the command that creates a lock for a stack from this machine's package index."""
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
        InputError: it is missing, invalid, or for more than one platform.
    """
    path = _resolve_lock_path(stack.lock or "", f"{stack.name}: lock")
    lock = _load_single_platform(path)
    names = [entry.name for entry in lock.entries]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise InputError(f"{path}: {', '.join(duplicates[:5])}: is listed twice")
    missing = [source.name for source in stack.sources if source.name.lower() not in names]
    if missing:
        raise InputError(f"{path}: expected {', '.join(missing)}, to be built from source")
    return lock


def read_build_tools(stack: Stack) -> dict[str, LockFile]:
    """The locks of the packages that build the stack's sources, by the source's name.

    Raises:
        InputError: a lock is missing, invalid, or for more than one platform.
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
            f"{path}: expected a lock for one platform, got markers at"
            f" {', '.join(conditional[:5])}",
            hint="create the lock without uv's --universal option",
        )
    return lock


def _resolve_lock_path(reference: str, label: str) -> Path:
    path = Path(reference) if "/" in reference else SHIPPED / f"{reference}.lock"
    if not path.is_file():
        shipped = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.lock"))) or "none"
        raise InputError(f"{label}: expected a file, got no {path}", hint=f"shipped: {shipped}")
    return path
