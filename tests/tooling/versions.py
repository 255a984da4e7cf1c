"""What was taken from places that move, and what of it the tests have not passed with.

Debian drops a version when it has the next, so none is pinned: the suite decides, and what it gave
is recorded. ``requirements/tested.json`` has the versions of the last run of all tests that passed.

    .venv/bin/python -m tests.tooling.versions --packages "qemu-utils chromium"
    .venv/bin/python -m tests.tooling.versions --brief       # what differs, from the record alone
    .venv/bin/python -m tests.tooling.versions --accept      # after all tests have passed
"""

import argparse
import importlib.metadata
import json
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hardpan.files import write_atomic
from hardpan.process import run, which
from tests.tooling.get_cosign import cosign, record_of
from tests.tooling.get_openssl import openssl35

REPO = Path(__file__).parents[2]
CACHE = REPO / "images" / "cache"
RECORD = Path(sys.prefix) / "versions.json"
TESTED = REPO / "requirements" / "tested.json"

Versions = dict[str, dict[str, str]]
"""Where it was taken from -> its name -> its version."""

HINT = """\
hint: if a test of one of these fails, change the code or the test for the new version: the archive
      keeps no older one. When all tests pass, 'make versions-accept' records what was taken in
      requirements/tested.json. docs/dependencies.md says where each is taken from."""


def taken(packages: Sequence[str]) -> Versions:
    """What this machine has, by asking it."""
    system = _system()
    return {
        "Python": {
            "python": platform.python_version(),
            "pip": importlib.metadata.version("pip"),
        },
        f"packages of {system}": dict(_packages(packages)),
        **fetched(),
    }


def fetched() -> Versions:
    """What was fetched from a Debian suite that need not be this machine's."""
    found: Versions = {}
    for program in filter(None, (cosign(), openssl35())):
        record = record_of(program)
        if record.is_file():
            told = json.loads(record.read_text("utf-8"))
            found[f"{program.name} of Debian {told['suite']}"] = told["packages"]
        else:
            version = _said([program, "version"])
            found[f"this machine's {program.name}"] = {program.name: version}
    return {**found, **lab_media()}


def lab_media() -> Versions:
    """The packages that the recipe of the newest lab media names."""
    records = sorted(CACHE.glob("packages-*.json"), key=lambda path: path.stat().st_mtime)
    if not records:
        return {}
    told = json.loads(records[-1].read_text("utf-8"))
    return {f"lab media of Debian {told['suite']}": told["packages"]}


def changed(tested: Mapping[str, Mapping[str, str]], now: Versions) -> list[str]:
    """One line for each version that is not the one the tests last passed with."""
    lines = []
    for place, found in now.items():
        expected = tested.get(place)
        if expected is None:
            lines.append(f"{place}: never tested: expected {_or(tested)}, got {place}")
            continue
        lines += [
            f"{name} ({place}): another version: expected {old}, got {new}"
            for name, new in sorted(found.items())
            if (old := expected.get(name, "none")) != new
        ]
    return lines


def table(tested: Mapping[str, Mapping[str, str]], now: Versions) -> Iterator[str]:
    """Everything, one line each, with what is not as it was tested marked."""
    for place, found in now.items():
        yield f"{place}:"
        width = max(map(len, found), default=0)
        for name, version in sorted(found.items()):
            old = tested.get(place, {}).get(name)
            note = "" if old == version else f"   tested: {old or 'never'}"
            yield f"  {name:<{width}}  {version}{note}"


def read(path: Path) -> Versions:
    """A record; empty where there is none."""
    found: Versions = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return found


def current() -> Versions:
    """The record of set-up with what was fetched or built since; starts no package manager."""
    return {**read(RECORD), **lab_media()}


def _or(tested: Mapping[str, object]) -> str:
    return " or ".join(tested) or "a record"


def _system() -> str:
    text = Path("/etc/os-release").read_text("utf-8")
    found = dict(re.findall(r'(?m)^(ID|VERSION_ID)="?([^"\n]*)"?$', text))
    return f"{found.get('ID', 'unknown')} {found.get('VERSION_ID', '')}".strip()


def _packages(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not names:
        return
    if which("dpkg-query"):
        ask = ["dpkg-query", "-W", "-f", "${db:Status-Status}|${Package}|${Version}\\n"]
    else:
        ask = ["rpm", "-q", "--qf", "installed|%{NAME}|%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n"]
    # 1: some are not installed; then nothing of the machine needs them.
    for line in run([*ask, *names], timeout_s=60, ok=(0, 1)).stdout.splitlines():
        status, _, rest = line.partition("|")
        if status == "installed":
            name, _, version = rest.partition("|")
            yield name, version


def _said(argv: Sequence[str | Path]) -> str:
    """The first version in what a program says of itself."""
    done = run(argv, timeout_s=60)
    found = re.search(r"\d+\.\d+[\w.+~-]*", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def main() -> int:
    """Ask or read, and print. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", default="", help="system packages to ask about")
    parser.add_argument("--brief", action="store_true", help="only what differs")
    parser.add_argument("--accept", action="store_true", help="all tests have passed with these")
    asked = parser.parse_args()
    tested = read(TESTED)
    now = taken(asked.packages.split()) if asked.packages else current()
    text = json.dumps(now, indent=1, sort_keys=True) + "\n"
    if asked.packages:
        write_atomic(RECORD, text)
    if asked.accept:
        tested = {**tested, **now}
        write_atomic(TESTED, json.dumps(tested, indent=1, sort_keys=True) + "\n")
    lines = changed(tested, now)
    if not asked.brief:
        sys.stdout.writelines(f"{line}\n" for line in table(tested, now))
    count = sum(map(len, now.values()))
    sys.stdout.write(f"versions: {count} recorded in {RECORD}, {len(lines)} not as tested\n")
    sys.stdout.writelines(f"  {line}\n" for line in lines)
    sys.stdout.write(f"{HINT}\n" if lines else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
