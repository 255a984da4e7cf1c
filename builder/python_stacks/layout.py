"""Install a stack's virtual environment below a folder; it only runs on the target host."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from hardpan.builder.pip import run_pip
from hardpan.builder.python_stacks.model import (
    SOURCE_DATE_EPOCH,
    LockedStack,
    StackTree,
    StackWheels,
)
from hardpan.core.errors import ToolError
from hardpan.core.files import sha256_file
from hardpan.core.process import run
from hardpan.profiles.schema.frameworks import STACKS_DIR

_TIMEOUT_S = 1800
_COMPILE_S = 1800
_NO_BYTECODE_PTH = "hardpan-no-bytecode.pth"
"""Keeps root from writing bytecode next to the sources: rpm and fapolicyd do not know it."""


def install_tree(locked_stack: LockedStack, stack_wheels: StackWheels, workdir: Path) -> StackTree:
    """Install the environment below ``workdir/root``, for the distribution's Python.

    Raises:
        ToolError: pip refused a wheel.
    """
    root = workdir / "root"
    stack_folder = root / STACKS_DIR / locked_stack.stack.name
    site = stack_folder / f"lib/python{locked_stack.stack.python}/site-packages"
    site.mkdir(parents=True)
    _install_wheels(locked_stack, stack_wheels, site, workdir)
    _write_interpreter(locked_stack, stack_folder)
    has_bytecode = _compile_bytecode(locked_stack, root, site)
    if not has_bytecode:
        (site / _NO_BYTECODE_PTH).write_text(
            "import sys; sys.dont_write_bytecode = True\n", "utf-8"
        )
    _normalize_metadata(root)
    return StackTree(root=root, has_bytecode=has_bytecode)


def _install_wheels(
    locked_stack: LockedStack, stack_wheels: StackWheels, site: Path, workdir: Path
) -> None:
    requirements_file = workdir / "install.txt"
    requirements_file.write_text("".join(_format_pins(locked_stack, stack_wheels)), "utf-8")
    argv: list[str | Path] = ["install", "-q", "--no-deps", "--no-index", "--no-compile"]
    argv += [
        "--find-links",
        stack_wheels.folder.absolute(),
        "--require-hashes",
        "-r",
        requirements_file,
    ]
    argv += ["--target", site]
    # The download already checked this for the target; here pip would check its own Python.
    argv += ["--ignore-requires-python", *locked_stack.pip_target_arguments()]
    # Only the folder is used: find-links of the machine's pip settings could add other wheels.
    # pip unpacks into a temporary folder first; on the same file system it then moves, not copies.
    (workdir / "tmp").mkdir()
    env = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "TMPDIR": str(workdir / "tmp")}
    try:
        run_pip(argv, timeout_s=_TIMEOUT_S, env=env)
    except ToolError as e:
        reason = f"{locked_stack.stack.name}: the locked wheels do not fit together"
        raise ToolError(e.argv, reason, output_tail=e.output_tail) from e
    # Console scripts contain the path of the build machine's Python; use 'python3 -m' instead.
    shutil.rmtree(site / "bin", ignore_errors=True)


def _format_pins(locked_stack: LockedStack, stack_wheels: StackWheels) -> Iterator[str]:
    """Yield a requirement with digest per wheel; a wheel built here differs from the lock."""
    versions = {entry.name: entry.version for entry in locked_stack.lock.entries}
    for path in sorted(stack_wheels.folder.glob("*.whl")):
        name = canonicalize_name(path.name.partition("-")[0])
        yield f"{name}=={versions[name]} --hash=sha256:{sha256_file(path)}\n"


def _write_interpreter(locked_stack: LockedStack, stack_folder: Path) -> None:
    system_site = "true" if locked_stack.stack.system_site_packages else "false"
    python = locked_stack.stack.python
    (stack_folder / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = {system_site}\n"
        f"version = {python}\nexecutable = /usr/bin/python{python}\n",
        "utf-8",
    )
    (stack_folder / "bin").mkdir()
    (stack_folder / "bin/python3").symlink_to(f"/usr/bin/python{locked_stack.stack.python}")
    (stack_folder / "bin/python").symlink_to("python3")


def find_interpreter(version: str) -> Path | None:
    """Return a Python of that version on this machine, for compiling, or None."""
    name = f"python{version}"
    try:
        # pyenv has shims for versions that are not installed: only a Python that runs counts.
        run([name, "-c", ""], timeout_s=30, env={"PYENV_VERSION": version})
    except ToolError:
        return None
    return Path(name)


def _compile_bytecode(locked_stack: LockedStack, root: Path, site: Path) -> bool:
    """Compile every module that compiles, if this machine has the host's version of Python."""
    python = find_interpreter(locked_stack.stack.python)
    if python is None:
        return False
    # Unchecked: the host never compares and never rewrites, and no timestamp is included.
    argv: list[str | Path] = [python, "-m", "compileall", "-q", "--invalidation-mode"]
    argv += ["unchecked-hash", "-s", root, "-p", "/", site]
    # 1: a source is not valid in this Python version, e.g. a template or a syntax-error test.
    env = {"PYENV_VERSION": locked_stack.stack.python, "PYTHONHASHSEED": "0"}
    run(argv, timeout_s=_COMPILE_S, ok=(0, 1), env=env)
    return True


def _normalize_metadata(root: Path) -> None:
    """Set modes (readable by all, writable by root) and one timestamp on all files."""
    for path in (*_walk_all(root), root):
        if path.is_symlink():
            continue
        is_executable = path.is_dir() or ".so" in path.suffixes or bool(path.stat().st_mode & 0o100)
        path.chmod(0o755 if is_executable else 0o644)
    for path in (*_walk_all(root), root):
        os.utime(path, (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH), follow_symlinks=False)


def _walk_all(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            yield Path(folder) / name
