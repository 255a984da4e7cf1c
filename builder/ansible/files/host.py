#!/usr/bin/python3 -I
"""Shared helpers of the layers' programs on the target: files, links, programs and changes.

Runs as root on Python 3.9 or later with the standard library only. A role sends this file,
followed by its own program, to Python on stdin, so that one task does everything; the
program imports this module under the name ``host``.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Union

RUN_S = 300


class Host:
    """The host, and the list of its changes so far."""

    def __init__(self, root: str = "/") -> None:
        self.root = Path(root)
        self.changed: list[str] = []
        self.notes: list[str] = []

    def path(self, name: Union[str, Path]) -> Path:
        """Return the path of a file of the host."""
        return self.root / str(name).lstrip("/")

    def write(self, name: Union[str, Path], text: str, mode: int = 0o644) -> bool:
        """Write a file atomically if its content differs; return whether it was changed."""
        path = self.path(name)
        data = text.encode()
        if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
            if path.stat().st_mode & 0o7777 != mode:
                path.chmod(mode)
                self.changed.append(str(name))
                return True
            return False
        self.make_folder(path.parent)
        temp = path.with_name(f".{path.name}.hardpan")
        temp.write_bytes(data)
        temp.chmod(mode)
        temp.replace(path)
        self.changed.append(str(name))
        return True

    def make_folder(self, path: Path) -> None:
        """Create a missing folder and its parents, readable by all."""
        if not path.is_dir():
            self.make_folder(path.parent)
            path.mkdir()
            path.chmod(0o755)

    def remove(self, name: Union[str, Path]) -> None:
        """Remove a file or link if it exists."""
        path = self.path(name)
        if path.is_symlink() or path.exists():
            path.unlink()
            self.changed.append(str(name))

    def link(self, name: Union[str, Path], target: str) -> None:
        """Create or replace a symbolic link with this target."""
        path = self.path(name)
        if path.is_symlink() and str(path.readlink()) == target:
            return
        self.make_folder(path.parent)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        path.symlink_to(target)
        self.changed.append(str(name))

    def exists(self, name: Union[str, Path]) -> bool:
        """Return whether the path exists on the host."""
        return self.path(name).exists()

    def read(self, name: Union[str, Path]) -> str:
        """Return the content of a file; empty if the file is missing."""
        path = self.path(name)
        return path.read_text(errors="replace") if path.is_file() else ""

    def run(self, *argv: str, ok: Collection[int] = (0,)) -> str:
        """Run a program and return its output; exit if it fails."""
        process = subprocess.run(
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=RUN_S,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )
        output = process.stdout.decode("utf-8", "replace")
        if process.returncode not in ok:
            sys.exit(f"{' '.join(argv)} ended with {process.returncode}: {output[-2000:]}")
        return output

    def add_note(self, text: str) -> None:
        """Record a note for the operator."""
        self.notes.append(text)

    def report(self) -> None:
        """Print the notes and, as the last line, whether anything was changed."""
        existing = [str(self.path(name)) for name in self.changed if self.exists(name)]
        if (
            existing
            and self.exists("/sys/fs/selinux/enforce")
            and self.exists("/usr/sbin/restorecon")
        ):
            self.run("restorecon", "-F", *existing)
        for text in self.notes:
            sys.stdout.write(f"note: {text}\n")
        sys.stdout.write("changed\n" if self.changed else "unchanged\n")


os.umask(0o022)
# The program that follows on stdin imports this module from the same text.
sys.modules.setdefault("host", sys.modules[__name__])
