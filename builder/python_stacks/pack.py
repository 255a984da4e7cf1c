"""Pack an installed stack as one reproducible RPM with digests that FIPS mode accepts."""

import re
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from hardpan.builder.artifacts import WheelRecord
from hardpan.builder.python_stacks.model import SOURCE_DATE_EPOCH, LockedStack, StackTree
from hardpan.builder.rpm import build_rpm
from hardpan.core.files import Sha256
from hardpan.core.process import run
from hardpan.profiles.schema.frameworks import STACKS_DIR

_INVALID_VERSION_CHARACTERS = re.compile(r"[^A-Za-z0-9+.~^]")


def pack_rpm(
    locked_stack: LockedStack,
    tree: StackTree,
    wheels: Sequence[WheelRecord],
    digest: Sha256,
    workdir: Path,
) -> Path:
    """Build the unsigned RPM in ``workdir``; the release has the ``digest`` of the inputs.

    Raises:
        ToolError: rpmbuild is missing or failed.
    """
    text = render_spec(locked_stack, wheels, digest)
    return build_rpm(text, tree.root, workdir, source_date_epoch=SOURCE_DATE_EPOCH)


def read_header_digest(rpm: Path) -> Sha256:
    """Return the digest of a package's header, which signing does not change.

    Raises:
        ToolError: the file is not a package.
    """
    argv: list[str | Path] = ["rpm", "-qp", "--nosignature", "--qf", "%{SHA256HEADER}", rpm]
    return Sha256(run(argv, timeout_s=60).stdout.strip())


def render_spec(locked_stack: LockedStack, wheels: Sequence[WheelRecord], digest: Sha256) -> str:
    """Render the spec file."""
    stack = locked_stack.stack
    stack_path = f"/{STACKS_DIR}/{stack.name}"
    requirements = ", ".join(stack.packages)
    parents = [f"/{p}" for p in (STACKS_DIR.rpartition("/")[0], STACKS_DIR)]
    lines = [
        f"Name: hardpan-ai-{stack.name}",
        f"Version: {_stack_version(locked_stack)}",
        f"Release: 1.h{digest[:12]}",
        f"Summary: Python stack {stack.name}: {requirements}"[:120],
        f"License: {combine_licences(wheels)}",
        "AutoReqProv: no",
        f"Requires: /usr/bin/python{stack.python}",
        *(f"Requires: {name}" for name in stack.requires),
        *(
            f"Provides: bundled(python3dist({wheel.name})) = {_rpm_version(wheel.version)}"
            for wheel in wheels
        ),
        "%description",
        f"{requirements}, from the lock {locked_stack.lock.sha256}.",
        "%files",
        "%defattr(-,root,root,-)",
        *(f"%dir {path}" for path in parents),
        stack_path,
    ]
    return "\n".join(lines) + "\n"


def combine_licences(wheels: Sequence[WheelRecord]) -> str:
    """Join all licences of the wheels, each once, with AND."""
    licences = sorted({wheel.licence for wheel in wheels})
    return " AND ".join(f"({x})" if " OR " in x or " AND " in x else x for x in licences)


def _stack_version(locked_stack: LockedStack) -> str:
    """Version of the stack's first package; the release has the digest of the inputs."""
    first = re.split(r"[\[=<>~]", locked_stack.stack.packages[0])[0]
    normalized = canonicalize_name(first)
    versions = (e.version for e in locked_stack.lock.entries if e.name == normalized)
    return _INVALID_VERSION_CHARACTERS.sub("_", next(versions, "0"))


def _rpm_version(version: str) -> str:
    return _INVALID_VERSION_CHARACTERS.sub("_", version)
