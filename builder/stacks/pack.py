"""One RPM from a laid out stack: the same bytes each time, digests that FIPS mode takes."""

import re
from collections.abc import Sequence
from pathlib import Path

from hardpan.builder.receipts import WheelReceipt
from hardpan.builder.stacks.model import EPOCH, Recipe, Tree
from hardpan.errors import ToolError
from hardpan.files import Sha256
from hardpan.process import run
from hardpan.profiles.frameworks import HOME

_TIMEOUT_S = 3600
_PLAIN = re.compile(r"[^A-Za-z0-9+.~^]")
_DEFINES = {
    # Nothing may change, strip or scan what the wheels' own digests vouch for.
    "__os_install_post": "%{nil}",
    "__spec_install_pre": "%{nil}",
    "__arch_install_post": "%{nil}",
    "__check_files": "%{nil}",
    "debug_package": "%{nil}",
    "_build_id_links": "none",
    # What FIPS mode takes, whatever rpm's default is.
    "_source_filedigest_algorithm": "8",
    "_binary_filedigest_algorithm": "8",
    "_binary_payload": "w3.zstdio",
    # The same bytes on every machine and every day.
    "_buildhost": "hardpan",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "source_date_epoch_from_changelog": "0",
    "_vendor": "hardpan site",
    "_build_name_fmt": "%%{NAME}.rpm",
}


def pack(
    recipe: Recipe, tree: Tree, wheels: Sequence[WheelReceipt], digest: Sha256, room: Path
) -> Path:
    """The unsigned RPM in ``room``; ``digest`` of its inputs is its release.

    Raises:
        ToolError: rpmbuild is missing or failed.
    """
    text = spec(recipe, wheels, digest)
    (room / "stack.spec").write_text(text, "utf-8")
    argv: list[str | Path] = ["rpmbuild", "-bb", "--quiet", "--nodeps", "--noclean"]
    argv += ["--target", "x86_64-linux", "--buildroot", tree.root]
    told = {**_DEFINES, "_topdir": str(room / "rpm"), "_rpmdir": str(room / "rpms")}
    told["_tmppath"] = str(room)
    argv += [word for k, v in told.items() for word in ("--define", f"{k} {v}")]
    env = {"SOURCE_DATE_EPOCH": str(EPOCH)}
    run([*argv, room / "stack.spec"], timeout_s=_TIMEOUT_S, env=env)
    made = sorted((room / "rpms").glob("*.rpm"))
    if len(made) != 1:
        raise ToolError(["rpmbuild"], f"made {len(made)} packages, expected one")
    return made[0]


def header(rpm: Path) -> Sha256:
    """Digest of a package's header, which signing does not change.

    Raises:
        ToolError: it is no package.
    """
    argv: list[str | Path] = ["rpm", "-qp", "--nosignature", "--qf", "%{SHA256HEADER}", rpm]
    return Sha256(run(argv, timeout_s=60).stdout.strip())


def spec(recipe: Recipe, wheels: Sequence[WheelReceipt], digest: Sha256) -> str:
    """The spec file."""
    stack = recipe.stack
    home = f"/{HOME}/{stack.name}"
    asked = ", ".join(stack.packages)
    parents = [f"/{p}" for p in (HOME.rpartition("/")[0], HOME)]
    lines = [
        f"Name: hardpan-ai-{stack.name}",
        f"Version: {_version(recipe)}",
        f"Release: 1.h{digest[:12]}",
        f"Summary: Python stack {stack.name}: {asked}"[:120],
        f"License: {licence(wheels)}",
        "AutoReqProv: no",
        f"Requires: /usr/bin/python{stack.python}",
        *(f"Requires: {name}" for name in stack.requires),
        *(
            f"Provides: bundled(python3dist({wheel.name})) = {_PLAIN.sub('_', wheel.version)}"
            for wheel in wheels
        ),
        "%description",
        f"{asked}, from the lock {recipe.lock.sha256}.",
        "%files",
        "%defattr(-,root,root,-)",
        *(f"%dir {path}" for path in parents),
        home,
    ]
    return "\n".join(lines) + "\n"


def licence(wheels: Sequence[WheelReceipt]) -> str:
    """All licences that the wheels name, each once."""
    named = sorted({wheel.licence for wheel in wheels})
    return " AND ".join(f"({x})" if " OR " in x or " AND " in x else x for x in named)


def _version(recipe: Recipe) -> str:
    """The version of what the stack is first of all; the digest tells two of the same apart."""
    first = re.split(r"[\[=<>~]", recipe.stack.packages[0])[0]
    plain = re.sub(r"[-_.]+", "-", first).lower()
    found = (e.version for e in recipe.lock.entries if e.name == plain)
    return _PLAIN.sub("_", next(found, "0"))
