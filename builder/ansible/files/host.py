#!/usr/bin/python3 -I
"""What the layers' programs on the target share: files, links and programs, and what changed.

Runs as root with nothing but Python's own library (3.9 and later). A role hands the
text of this file and of its own program to Python on stdin, one behind the other, so
that one task does all; the program imports this under the name ``host``.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

RUN_S = 300


class Host:
    """The machine, and what was changed on it so far."""

    def __init__(self, root="/"):
        self.root = Path(root)
        self.changed = []
        self.notes = []

    def path(self, name):
        """Where a path of the machine lies."""
        return self.root / str(name).lstrip("/")

    def write(self, name, text, mode=0o644):
        """Make a file say this, in one step; True when it did not."""
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

    def make_folder(self, path):
        """Make a folder that all may read, and those above it, where it lacks."""
        if not path.is_dir():
            self.make_folder(path.parent)
            path.mkdir()
            path.chmod(0o755)

    def remove(self, name):
        """See that a file or link is not there."""
        path = self.path(name)
        if path.is_symlink() or path.exists():
            path.unlink()
            self.changed.append(str(name))

    def link(self, name, target):
        """See that a link leads there."""
        path = self.path(name)
        if path.is_symlink() and str(path.readlink()) == target:
            return
        self.make_folder(path.parent)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        path.symlink_to(target)
        self.changed.append(str(name))

    def exists(self, name):
        """True when the machine has that path."""
        return self.path(name).exists()

    def read(self, name):
        """What a file says; nothing when there is none."""
        path = self.path(name)
        return path.read_text(errors="replace") if path.is_file() else ""

    def run(self, *argv, ok=(0,)):
        """What a program said; ends all when it failed."""
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

    def add_note(self, text):
        """Something that people should know."""
        self.notes.append(text)

    def report(self):
        """Say what people should know and, as the last line, whether anything was changed."""
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
# What follows on stdin imports this text, which is part of the same program there.
sys.modules.setdefault("host", sys.modules[__name__])
