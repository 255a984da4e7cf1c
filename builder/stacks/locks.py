"""The lock of a stack: found, read, and fit for one Python on one platform."""

from pathlib import Path

from hardpan.builder.stacks import vendors
from hardpan.builder.stacks.fetch import wheelhouse
from hardpan.builder.wheels.lock import Lock, load
from hardpan.errors import InputError
from hardpan.problems import Problems
from hardpan.profiles.frameworks import GLIBC, Stack
from hardpan.profiles.model import Profile
from hardpan.profiles.versions import numbers
from hardpan.resources import resource_path

SHIPPED = resource_path("hardpan.builder.stacks", "locks")
_UV_NEWEST = 40


def check(profile: Profile) -> None:
    """Pass if every stack of the profile has a lock that fits and that the profile allows.

    Raises:
        InputError: one has none (its hint tells how it is made), is no lock, is for
            another accelerator, or holds what is under a licence that nobody accepted.
    """
    if "ml_frameworks" not in profile.layers or profile.frameworks is None:
        return
    found = Problems()
    for stack in profile.frameworks.stacks:
        with found.of("stacks"):
            _check(profile, stack)
    found.raise_all()


def _check(profile: Profile, stack: Stack) -> None:
    if stack.lock is None:
        raise InputError(
            f"{profile.name}: frameworks: {stack.name}: expected a lock, found none",
            hint=f"{command(stack, profile.release)}; then 'lock: ./{stack.name}.lock'"
            " in your own profile. 'hardpan render' needs no lock",
        )
    wheelhouse(stack)
    build_tools(stack)
    vendors.check(profile, stack, read(stack))


def command(stack: Stack, release: str) -> str:
    """The command that makes a lock for a stack, from an index that this machine reaches."""
    glibc = min(numbers(stack.glibc or GLIBC[release])[1], _UV_NEWEST)
    wishes = " ".join(f"'{wish}'" if set(wish) & set("[>~") else wish for wish in stack.packages)
    backend = f" --torch-backend {stack.torch_backend}" if stack.torch_backend else ""
    return (
        f"printf '%s\\n' {wishes} | uv pip compile - --generate-hashes --no-emit-index-url"
        f" --python-version {stack.python} --python-platform x86_64-manylinux_2_{glibc}{backend}"
        f" -o {stack.name}.lock"
    )


def read(stack: Stack) -> Lock:
    """The stack's lock.

    Raises:
        InputError: it is missing, is no lock, or is for more than one kind of machine.
    """
    path = _file(stack.lock or "", f"{stack.name}: lock")
    lock = _of_one_platform(path)
    names = [entry.name for entry in lock.entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: {', '.join(twice[:5])}: is there twice")
    missing = [source.name for source in stack.sources if source.name.lower() not in names]
    if missing:
        raise InputError(f"{path}: expected {', '.join(missing)}, which is to be built from source")
    return lock


def build_tools(stack: Stack) -> dict[str, Lock]:
    """The locks of the packages that build the stack's sources, by the source's name.

    Raises:
        InputError: one is missing, is no lock, or is for more than one kind of machine.
    """
    return {
        source.name: _of_one_platform(_file(source.build_lock, f"{source.name}: build_lock"))
        for source in stack.sources
    }


def _of_one_platform(path: Path) -> Lock:
    lock = load(path)
    unsure = [entry.name for entry in lock.entries if entry.conditional]
    if unsure:
        raise InputError(
            f"{path}: expected a lock for one platform, found markers at {', '.join(unsure[:5])}",
            hint="without uv's --universal there are none",
        )
    return lock


def _file(written: str, what: str) -> Path:
    path = Path(written) if "/" in written else SHIPPED / f"{written}.lock"
    if not path.is_file():
        shipped = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.lock"))) or "none"
        raise InputError(f"{what}: expected a file, found no {path}", hint=f"shipped: {shipped}")
    return path
