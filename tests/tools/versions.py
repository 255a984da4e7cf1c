"""What was taken from places that move, and what of it the tests have not passed with.

Debian drops a version when it has the next, so none is pinned: the suite decides, and what it gave
is recorded. ``requirements/tested.json`` has the versions of the last run of all tests that passed.

    .venv/bin/python -m tests.tools.versions --packages "qemu-utils chromium"
    .venv/bin/python -m tests.tools.versions --brief       # what differs, from the record alone
    .venv/bin/python -m tests.tools.versions --accept      # after all tests have passed
"""

import argparse
import importlib.metadata
import json
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hardpan.core.files import write_atomic
from hardpan.core.process import find_program, run
from tests.tools.get_cosign import find_cosign, record_path
from tests.tools.get_openssl import find_openssl35

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


def collect_versions(packages: Sequence[str]) -> Versions:
    """What this machine has, by asking it."""
    system = _system_name()
    return {
        "Python": {
            "python": platform.python_version(),
            "pip": importlib.metadata.version("pip"),
        },
        f"packages of {system}": dict(_query_packages(packages)),
        **read_fetched(),
    }


def read_fetched() -> Versions:
    """What was fetched from a Debian suite that need not be this machine's."""
    result: Versions = {}
    for program in filter(None, (find_cosign(), find_openssl35())):
        record = record_path(program)
        if record.is_file():
            document = json.loads(record.read_text("utf-8"))
            result[f"{program.name} of Debian {document['suite']}"] = document["packages"]
        else:
            version = _program_version([program, "version"])
            result[f"this machine's {program.name}"] = {program.name: version}
    return {**result, **read_lab_media()}


def read_lab_media() -> Versions:
    """The packages that the recipe of the newest lab media names."""
    records = sorted(CACHE.glob("packages-*.json"), key=lambda path: path.stat().st_mtime)
    if not records:
        return {}
    document = json.loads(records[-1].read_text("utf-8"))
    return {f"lab media of Debian {document['suite']}": document["packages"]}


def list_changes(tested: Mapping[str, Mapping[str, str]], now: Versions) -> list[str]:
    """One line for each version that is not the one the tests last passed with."""
    lines = []
    for source, versions in now.items():
        expected = tested.get(source)
        if expected is None:
            lines.append(f"{source}: never tested: expected {_join_names(tested)}, got {source}")
            continue
        lines += [
            f"{name} ({source}): another version: expected {old}, got {new}"
            for name, new in sorted(versions.items())
            if (old := expected.get(name, "none")) != new
        ]
    return lines


def format_table(tested: Mapping[str, Mapping[str, str]], now: Versions) -> Iterator[str]:
    """Everything, one line each, with what is not as it was tested marked."""
    for source, versions in now.items():
        yield f"{source}:"
        width = max(map(len, versions), default=0)
        for name, version in sorted(versions.items()):
            old = tested.get(source, {}).get(name)
            note = "" if old == version else f"   tested: {old or 'never'}"
            yield f"  {name:<{width}}  {version}{note}"


def read_record(path: Path) -> Versions:
    """A record; empty where there is none."""
    record: Versions = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return record


def current_versions() -> Versions:
    """The record of set-up with what was fetched or built since; starts no package manager."""
    return {**read_record(RECORD), **read_lab_media()}


def _join_names(tested: Mapping[str, object]) -> str:
    return " or ".join(tested) or "a record"


def _system_name() -> str:
    text = Path("/etc/os-release").read_text("utf-8")
    fields = dict(re.findall(r'(?m)^(ID|VERSION_ID)="?([^"\n]*)"?$', text))
    return f"{fields.get('ID', 'unknown')} {fields.get('VERSION_ID', '')}".strip()


def _query_packages(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not names:
        return
    if find_program("dpkg-query"):
        query = ["dpkg-query", "-W", "-f", "${db:Status-Status}|${Package}|${Version}\\n"]
    else:
        query = ["rpm", "-q", "--qf", "installed|%{NAME}|%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n"]
    # 1: some are not installed; then nothing of the machine needs them.
    for line in run([*query, *names], timeout_s=60, ok=(0, 1)).stdout.splitlines():
        status, _, remainder = line.partition("|")
        if status == "installed":
            name, _, version = remainder.partition("|")
            yield name, version


def _program_version(argv: Sequence[str | Path]) -> str:
    """The first version in what a program says of itself."""
    done = run(argv, timeout_s=60)
    match = re.search(r"\d+\.\d+[\w.+~-]*", done.stdout + done.stderr)
    return match[0] if match else "unknown"


def main() -> int:
    """Ask or read, and print. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", default="", help="system packages to ask about")
    parser.add_argument("--brief", action="store_true", help="only what differs")
    parser.add_argument("--accept", action="store_true", help="all tests have passed with these")
    options = parser.parse_args()
    tested = read_record(TESTED)
    now = collect_versions(options.packages.split()) if options.packages else current_versions()
    text = json.dumps(now, indent=1, sort_keys=True) + "\n"
    if options.packages:
        write_atomic(RECORD, text)
    if options.accept:
        tested = {**tested, **now}
        write_atomic(TESTED, json.dumps(tested, indent=1, sort_keys=True) + "\n")
    lines = list_changes(tested, now)
    if not options.brief:
        sys.stdout.writelines(f"{line}\n" for line in format_table(tested, now))
    count = sum(map(len, now.values()))
    sys.stdout.write(f"versions: {count} recorded in {RECORD}, {len(lines)} not as tested\n")
    sys.stdout.writelines(f"  {line}\n" for line in lines)
    sys.stdout.write(f"{HINT}\n" if lines else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
