#!/usr/bin/python3 -I
"""Runs fixes on this machine, one after the other, and tells what came of each.

    mend.py FOLDER SECONDS

Runs as root on the machine that is hardened, with nothing but Python's own library
(3.9 and later). FOLDER holds ``manifest.json``, ``prelude.sh`` and ``fixes/NNN.sh``.
After SECONDS it stops between two fixes and ends with 75: there is more to do, call
again. With 0 all is done and ``outcomes.json`` is written.

Packages are asked for in one transaction before the first fix, and files that stand
for many fixes (audit rules, kernel settings) are written then. ``prelude.sh`` says
what fixes may not do for themselves; what they asked to be done at the end is done here.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

MORE = 75
FIX_S = 60
PACKAGES_S = 900
LATE_S = 300
SAID_MOST = 2000
LATE = {"grub2-mkconfig": ["grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"]}
"""What fixes ask for that is done once, after the last of them."""


class Ended(NamedTuple):
    """How a program ended."""

    rc: int
    said: str
    took_s: float


def run(argv, room, limit_s):
    """Run one program with no input; 124 when its time was up. Nothing it started outlives it.

    Its output goes through a file: a daemon that a fix leaves behind would keep a pipe open.
    """
    began = time.monotonic()
    env = {
        "HARDPAN_ROOM": str(room),
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        # systemctl changes files only, starts nothing, and calls the system "offline",
        # which the content's fixes know: the machine is started anew before it is used.
        "SYSTEMD_OFFLINE": "1",
    }
    with (room / "said").open("w+b") as said:
        program = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=room,
            env=env,
            start_new_session=True,
        )
        try:
            rc = program.wait(limit_s)
        except subprocess.TimeoutExpired:
            rc = 124
        finally:
            end(program)
        size = said.seek(0, os.SEEK_END)
        said.seek(max(0, size - SAID_MOST))
        text = said.read().decode("utf-8", "replace")
    if rc == 124:
        text += f"\nstopped after {limit_s} s"
    return Ended(rc, text, round(time.monotonic() - began, 2))


def end(program):
    """Kill what is left of a program and of all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()


def remember_packages(room):
    """Write the names of all installed packages, one a line, and return them."""
    names = subprocess.run(
        ["/usr/bin/rpm", "-qa", "--qf", "%{NAME}\\n"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=LATE_S,
    ).stdout.decode()
    (room / "packages").write_text("\n" + names)
    return set(names.split())


def packages(room, manifest):
    """Install and remove in one transaction each what the rules about packages ask for."""
    have = remember_packages(room)
    missing = sorted(set(manifest["install"]) - have)
    unwanted = sorted(set(manifest["remove"]) & have)
    told = []
    if missing:
        argv = ["dnf", "-y", "-q", "--setopt=strict=0", "install", *missing]
        told.append(("dnf install", run(argv, room, PACKAGES_S)))
    if unwanted:
        argv = ["dnf", "-y", "-q", "--noautoremove", "remove", *unwanted]
        told.append(("dnf remove", run(argv, room, PACKAGES_S)))
    if told:
        have = remember_packages(room)
    (room / "unavailable").write_text("\n" + "".join(f"{p}\n" for p in missing if p not in have))
    return [{"name": name, **ended._asdict()} for name, ended in told]


def write_files(files):
    """Write the files that stand for many fixes; nothing else may set what they set."""
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600 if "audit" in path.parts else 0o644)
        if "sysctl.d" in path.parts:
            comment_out({line.partition("=")[0].strip() for line in text.splitlines()}, path)


def comment_out(names, but):
    """Comment out kernel settings in all files but one: the last file read would win."""
    folders = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d")
    others = [p for folder in folders for p in Path(folder).glob("*.conf") if p != but]
    setting = re.compile(r"^[ \t]*-?[ \t]*([a-zA-Z0-9_./-]+)[ \t]*=", re.MULTILINE)
    for path in [*others, Path("/etc/sysctl.conf")]:
        if not path.is_file():
            continue
        was = path.read_text(errors="surrogateescape")
        now = setting.sub(lambda m: "# " + m[0] if m[1] in names else m[0], was)
        if now != was:
            path.write_text(now, errors="surrogateescape")


def finish(room, state):
    """Do what was put off, and write what came of everything."""
    later = room / "later"
    asked = set(later.read_text().split()) if later.exists() else set()
    for name, argv in LATE.items():
        if name in asked:
            state["late"].append({"name": name, **run(argv, room, LATE_S)._asdict()})
    (room / "outcomes.json").write_text(json.dumps(state))


def main():
    """Work for some time; see above."""
    os.umask(0o022)
    room, until = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2])
    manifest = json.loads((room / "manifest.json").read_text())
    kept = room / "state.json"
    if kept.exists():
        state = json.loads(kept.read_text())
    else:
        write_files(manifest["files"])
        state = {"late": packages(room, manifest), "rules": []}
    rules, told = manifest["rules"], state["rules"]
    while len(told) < len(rules) and time.monotonic() < until:
        n = len(told)
        script = str(room / "fixes" / f"{n:03}.sh")
        argv = ["/bin/bash", "-c", '. ./prelude.sh; . "$1"', rules[n], script]
        told.append({"rule": rules[n], **run(argv, room, FIX_S)._asdict()})
    kept.with_suffix(".new").write_text(json.dumps(state))
    kept.with_suffix(".new").replace(kept)
    sys.stdout.write(f"{len(told)} of {len(rules)}\n")
    if len(told) < len(rules):
        return MORE
    finish(room, state)
    return 0


if __name__ == "__main__":
    sys.exit(main())
