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


def run(argv, workdir, timeout_s):
    """Run one program with no input; 124 when its time was up. Nothing it started outlives it.

    Its output goes through a file: a daemon that a fix leaves behind would keep a pipe open.
    """
    start = time.monotonic()
    env = {
        "HARDPAN_ROOM": str(workdir),
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        # systemctl changes files only, starts nothing, and calls the system "offline",
        # which the content's fixes know: the machine is started anew before it is used.
        "SYSTEMD_OFFLINE": "1",
    }
    with (workdir / "said").open("w+b") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=workdir,
            env=env,
            start_new_session=True,
        )
        try:
            exit_status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            exit_status = 124
        finally:
            end(process)
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - SAID_MOST))
        text = output.read().decode("utf-8", "replace")
    if exit_status == 124:
        text += f"\nstopped after {timeout_s} s"
    return Ended(exit_status, text, round(time.monotonic() - start, 2))


def end(program):
    """Kill what is left of a program and of all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()


def remember_packages(workdir):
    """Write the names of all installed packages, one a line, and return them."""
    names = subprocess.run(
        ["/usr/bin/rpm", "-qa", "--qf", "%{NAME}\\n"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=LATE_S,
    ).stdout.decode()
    (workdir / "packages").write_text("\n" + names)
    return set(names.split())


def packages(workdir, manifest):
    """Install and remove in one transaction each what the rules about packages ask for."""
    installed = remember_packages(workdir)
    missing = sorted(set(manifest["install"]) - installed)
    unwanted = sorted(set(manifest["remove"]) & installed)
    results = []
    if missing:
        argv = ["dnf", "-y", "-q", "--setopt=strict=0", "install", *missing]
        results.append(("dnf install", run(argv, workdir, PACKAGES_S)))
    if unwanted:
        argv = ["dnf", "-y", "-q", "--noautoremove", "remove", *unwanted]
        results.append(("dnf remove", run(argv, workdir, PACKAGES_S)))
    if results:
        installed = remember_packages(workdir)
    (workdir / "unavailable").write_text(
        "\n" + "".join(f"{p}\n" for p in missing if p not in installed)
    )
    return [{"name": name, **result._asdict()} for name, result in results]


def write_files(files):
    """Write the files that stand for many fixes; nothing else may set what they set."""
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600 if "audit" in path.parts else 0o644)
        if "sysctl.d" in path.parts:
            comment_out({line.partition("=")[0].strip() for line in text.splitlines()}, path)


def comment_out(names, exception):
    """Comment out kernel settings in all files but one: the last file read would win."""
    folders = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d")
    paths = [p for folder in folders for p in Path(folder).glob("*.conf") if p != exception]
    setting = re.compile(r"^[ \t]*-?[ \t]*([a-zA-Z0-9_./-]+)[ \t]*=", re.MULTILINE)
    for path in [*paths, Path("/etc/sysctl.conf")]:
        if not path.is_file():
            continue
        old_text = path.read_text(errors="surrogateescape")
        new_text = setting.sub(lambda m: "# " + m[0] if m[1] in names else m[0], old_text)
        if new_text != old_text:
            path.write_text(new_text, errors="surrogateescape")


def finish(workdir, state):
    """Do what was put off, and write what came of everything."""
    deferred_file = workdir / "later"
    requested = set(deferred_file.read_text().split()) if deferred_file.exists() else set()
    for name, argv in LATE.items():
        if name in requested:
            state["late"].append({"name": name, **run(argv, workdir, LATE_S)._asdict()})
    (workdir / "outcomes.json").write_text(json.dumps(state))


def main():
    """Work for some time; see above."""
    os.umask(0o022)
    workdir, deadline = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2])
    manifest = json.loads((workdir / "manifest.json").read_text())
    state_file = workdir / "state.json"
    if state_file.exists():
        state = json.loads(state_file.read_text())
    else:
        write_files(manifest["files"])
        state = {"late": packages(workdir, manifest), "rules": []}
    rules, results = manifest["rules"], state["rules"]
    while len(results) < len(rules) and time.monotonic() < deadline:
        index = len(results)
        script = str(workdir / "fixes" / f"{index:03}.sh")
        argv = ["/bin/bash", "-c", '. ./prelude.sh; . "$1"', rules[index], script]
        results.append({"rule": rules[index], **run(argv, workdir, FIX_S)._asdict()})
    state_file.with_suffix(".new").write_text(json.dumps(state))
    state_file.with_suffix(".new").replace(state_file)
    sys.stdout.write(f"{len(results)} of {len(rules)}\n")
    if len(results) < len(rules):
        return MORE
    finish(workdir, state)
    return 0


if __name__ == "__main__":
    sys.exit(main())
