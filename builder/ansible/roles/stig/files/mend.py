#!/usr/bin/python3
"""Run the content's fixes on this machine, one after the other, and tell what came of each.

Runs as root on the machine that is hardened, with nothing but Python's own
library. What many fixes ask for again and again, and what takes seconds each
time, is answered from a snapshot (rpm -q) or done once at the end (loading audit
rules, rebuilding the boot menu, reloading systemd).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

LIMIT_S = 120
SAID_MOST = 2000
PRELUDE = r"""
rpm() {
  case "$*" in
    "--quiet -q "*|"-q --quiet "*)
      local p; shift 2
      for p in "$@"; do grep -qxF -- "$p" "$HARDPAN_ROOM/packages" || return 1; done ;;
    *) command rpm "$@" ;;
  esac
}
dnf() {
  command dnf -q "$@" </dev/null; local rc=$?
  command rpm -qa --qf '%{NAME}\n' > "$HARDPAN_ROOM/packages"
  return $rc
}
later() { echo "$*" >> "$HARDPAN_ROOM/later"; }
augenrules() { [ "$1" = --load ] && later augenrules || command augenrules "$@"; }
grub2-mkconfig() { later grub2-mkconfig; }
systemctl() { [ "$1" = daemon-reload ] && later daemon-reload || command systemctl "$@"; }
"""
LATER = {
    "daemon-reload": ["systemctl", "daemon-reload"],
    "grub2-mkconfig": ["grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"],
    "augenrules": ["augenrules", "--load"],
}


def run(argv: list[str], room: Path, env: dict[str, str]) -> tuple[int, bytes]:
    """The exit code and the last of what was said; 124 when the time was up."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            cwd=room,
            env=env,
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        said = (e.output or b"") + f"\nstopped after {LIMIT_S} s".encode()
        return 124, said
    return done.returncode, done.stdout


def main() -> None:
    """Work through ``manifest.json``; write ``outcomes.json`` beside it."""
    room = Path(sys.argv[1])
    rules = json.loads((room / "manifest.json").read_text())["rules"]
    prelude = room / "prelude.sh"
    prelude.write_text(PRELUDE)
    env = {
        **os.environ,
        "BASH_ENV": str(prelude),
        "HARDPAN_ROOM": str(room),
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }
    names = subprocess.run(
        ["/usr/bin/rpm", "-qa", "--qf", "%{NAME}\\n"], stdout=subprocess.PIPE, check=True
    ).stdout
    (room / "packages").write_bytes(names)
    (room / "later").write_text("")
    told = []
    for n, rule in enumerate(rules):
        rc, said = run(["/bin/bash", str(room / "fixes" / f"{n:03}.sh")], room, env)
        told.append({"rule": rule, "rc": rc, "said": said[-SAID_MOST:].decode("utf-8", "replace")})
    asked = set((room / "later").read_text().split())
    plain = {k: v for k, v in env.items() if k != "BASH_ENV"}
    late = {name: run(argv, room, plain) for name, argv in LATER.items() if name in asked}
    for name, (rc, said) in late.items():
        sys.stdout.write(f"{name}: {rc} {said[-300:].decode('utf-8', 'replace')}\n")
    (room / "outcomes.json").write_text(json.dumps(told))
    failed = sum(t["rc"] != 0 for t in told)
    sys.stdout.write(f"{len(told)} fixes ran, {failed} of them said they failed\n")


main()
