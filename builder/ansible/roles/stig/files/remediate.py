#!/usr/bin/python3 -I
"""Run remediation scripts on this host, one after the other, and record each outcome.

    remediate.py FOLDER SECONDS

Runs as root on the host being hardened and needs only Python's standard library (3.9 or
later). FOLDER contains ``manifest.json``, ``prelude.sh`` and ``fixes/NNN.sh``. After SECONDS
the program stops between two fixes and exits with 75 (EX_TEMPFAIL): call it again to continue.
It exits with 0 when all fixes have run and ``outcomes.json`` is written.

If FOLDER contains ``failed.json``, a list of rules, the fixes of other rules are not run.

Packages are installed and removed in one transaction each before the first fix, and files that
replace many fixes (audit rules, kernel settings) are written then. ``prelude.sh`` wraps commands
that fixes must not run themselves; commands it deferred run once, after the last fix.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

EX_TEMPFAIL = 75
FIX_TIMEOUT_S = 60.0
PACKAGES_TIMEOUT_S = 900.0
DEFERRED_TIMEOUT_S = 300.0
MAX_OUTPUT_BYTES = 2000
DEFERRED_COMMANDS = {"grub2-mkconfig": ["grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"]}
"""Commands that run once, after the last fix, if a fix requested them."""


class CommandResult(NamedTuple):
    """Result of one command."""

    exit_status: int
    output: str
    duration_s: float


NOT_FAILED = CommandResult(0, "did not fail in the evaluation: not changed", 0.0)


def read_failed(workdir: Path) -> set[str] | None:
    """Return the rules that ``evaluate.py`` found failing; None if it did not run."""
    path = workdir / "failed.json"
    return set(json.loads(path.read_text())) if path.exists() else None


def run(argv: list[str], workdir: Path, timeout_s: float) -> CommandResult:
    """Run one command without input; exit status 124 means that it timed out.

    Its process group is killed afterwards. Output goes through a file, because a daemon started
    by a fix would keep a pipe open.
    """
    start = time.monotonic()
    env = {
        "HARDPAN_WORKDIR": str(workdir),
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        # systemctl then changes files only and reports the system as "offline", which the
        # content's fixes handle: the machine reboots before it is used.
        "SYSTEMD_OFFLINE": "1",
    }
    with (workdir / "output").open("w+b") as output:
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
            kill_group(process)
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - MAX_OUTPUT_BYTES))
        text = output.read().decode("utf-8", "replace")
    if exit_status == 124:
        text += f"\nstopped after {timeout_s} s"
    return CommandResult(exit_status, text, round(time.monotonic() - start, 2))


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group of ``process``."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def record_packages(workdir: Path) -> set[str]:
    """Write the names of all installed packages, one per line, and return them."""
    names = subprocess.run(
        ["/usr/bin/rpm", "-qa", "--qf", "%{NAME}\\n"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=DEFERRED_TIMEOUT_S,
    ).stdout.decode()
    (workdir / "packages").write_text("\n" + names)
    return set(names.split())


def change_packages(workdir: Path, manifest: dict[str, Any]) -> list[dict[str, object]]:
    """Install and remove the packages of the manifest in one transaction each."""
    installed = record_packages(workdir)
    missing = sorted(set(manifest["install"]) - installed)
    unwanted = sorted(set(manifest["remove"]) & installed)
    results: list[tuple[str, CommandResult]] = []
    if missing:
        argv = ["dnf", "-y", "-q", "--setopt=strict=0", "install", *missing]
        results.append(("dnf install", run(argv, workdir, PACKAGES_TIMEOUT_S)))
    if unwanted:
        argv = ["dnf", "-y", "-q", "--noautoremove", "remove", *unwanted]
        results.append(("dnf remove", run(argv, workdir, PACKAGES_TIMEOUT_S)))
    if results:
        installed = record_packages(workdir)
    (workdir / "unavailable").write_text(
        "\n" + "".join(f"{p}\n" for p in missing if p not in installed)
    )
    return [{"name": name, **result._asdict()} for name, result in results]


def write_files(files: dict[str, str]) -> None:
    """Write the consolidated files and disable other settings of the same names."""
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600 if "audit" in path.parts else 0o644)
        if "sysctl.d" in path.parts:
            comment_out({line.partition("=")[0].strip() for line in text.splitlines()}, path)


def comment_out(names: set[str], exception: Path) -> None:
    """Comment out kernel settings in all files but ``exception``: the last file read wins."""
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


def run_deferred(workdir: Path, state: dict[str, Any]) -> None:
    """Run the deferred commands and write the outcomes."""
    deferred_file = workdir / "deferred"
    requested = set(deferred_file.read_text().split()) if deferred_file.exists() else set()
    for name, argv in DEFERRED_COMMANDS.items():
        if name in requested:
            result = run(argv, workdir, DEFERRED_TIMEOUT_S)
            state["deferred"].append({"name": name, **result._asdict()})
    (workdir / "outcomes.json").write_text(json.dumps(state))


def main() -> int:
    """Run fixes for one time slice; see the module's docstring."""
    os.umask(0o022)
    workdir, deadline = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2])
    manifest = json.loads((workdir / "manifest.json").read_text())
    state_file = workdir / "state.json"
    if state_file.exists():
        state = json.loads(state_file.read_text())
    else:
        write_files(manifest["files"])
        state = {"deferred": change_packages(workdir, manifest), "rules": []}
    rules, results = manifest["rules"], state["rules"]
    failed = read_failed(workdir)
    while len(results) < len(rules) and time.monotonic() < deadline:
        index = len(results)
        if failed is not None and rules[index] not in failed:
            results.append({"rule": rules[index], **NOT_FAILED._asdict()})
            continue
        script = str(workdir / "fixes" / f"{index:03}.sh")
        argv = ["/bin/bash", "-c", '. ./prelude.sh; . "$1"', rules[index], script]
        results.append({"rule": rules[index], **run(argv, workdir, FIX_TIMEOUT_S)._asdict()})
    state_file.with_suffix(".new").write_text(json.dumps(state))
    state_file.with_suffix(".new").replace(state_file)
    sys.stdout.write(f"{len(results)} of {len(rules)}\n")
    if len(results) < len(rules):
        return EX_TEMPFAIL
    run_deferred(workdir, state)
    return 0


if __name__ == "__main__":
    sys.exit(main())
