"""A stack's virtual environment as files: laid out here, run only on the host."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hardpan.builder.pip import run_pip
from hardpan.builder.python_stacks.model import (
    SOURCE_DATE_EPOCH,
    LockedStack,
    StackTree,
    StackWheels,
)
from hardpan.builder.wheel_audit.lock import normalize_name
from hardpan.core.errors import ToolError
from hardpan.core.files import sha256_file
from hardpan.core.process import run
from hardpan.profiles.schema.frameworks import STACKS_DIR

_TIMEOUT_S = 1800
_COMPILE_S = 1800
_NO_BYTECODE_PTH = "hardpan-no-bytecode.pth"
"""Keeps root from writing bytecode beside the sources: rpm and fapolicyd know no such file."""


def install_tree(locked_stack: LockedStack, stack_wheels: StackWheels, workdir: Path) -> StackTree:
    """The environment below ``room/root``, on the distribution's own Python.

    Raises:
        ToolError: pip refused a wheel; a console script is left out, never an error.
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
    # Already asked of the target at the download; here pip would ask it of its own Python.
    argv += ["--ignore-requires-python", *locked_stack.pip_target_arguments()]
    # Nothing but the folder counts: a link of the machine's own settings would let others in.
    # pip unpacks into a temporary folder first: beside the target it moves it and copies nothing.
    (workdir / "tmp").mkdir()
    env = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "TMPDIR": str(workdir / "tmp")}
    try:
        run_pip(argv, timeout_s=_TIMEOUT_S, env=env)
    except ToolError as e:
        reason = f"{locked_stack.stack.name}: the locked wheels do not fit together"
        raise ToolError(e.argv, reason, output_tail=e.output_tail) from e
    # Console scripts name the build machine's Python; 'python3 -m' does the same.
    shutil.rmtree(site / "bin", ignore_errors=True)


def _format_pins(locked_stack: LockedStack, stack_wheels: StackWheels) -> Iterator[str]:
    """Each wheel by its digest here, which for one that was built is not the lock's."""
    versions = {entry.name: entry.version for entry in locked_stack.lock.entries}
    for path in sorted(stack_wheels.folder.glob("*.whl")):
        name = normalize_name(path.name.partition("-")[0])
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
    """A Python of that version on this machine, to compile with; None when there is none."""
    name = f"python{version}"
    try:
        # pyenv puts stand-ins before what it does not have: only what runs is there.
        run([name, "-c", ""], timeout_s=30, env={"PYENV_VERSION": version})
    except ToolError:
        return None
    return Path(name)


def _compile_bytecode(locked_stack: LockedStack, root: Path, site: Path) -> bool:
    """Compile every module that compiles, if this machine has the host's version of Python."""
    python = find_interpreter(locked_stack.stack.python)
    if python is None:
        return False
    # Unchecked: the host never compares, so it never writes; and no time of day gets in.
    argv: list[str | Path] = [python, "-m", "compileall", "-q", "--invalidation-mode"]
    argv += ["unchecked-hash", "-s", root, "-p", "/", site]
    # 1: some source is no Python of this version, e.g. a template or a test of a syntax error.
    env = {"PYENV_VERSION": locked_stack.stack.python, "PYTHONHASHSEED": "0"}
    run(argv, timeout_s=_COMPILE_S, ok=(0, 1), env=env)
    return True


def _normalize_metadata(root: Path) -> None:
    """Modes that let everybody read and nobody write, one time for all."""
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
