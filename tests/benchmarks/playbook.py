"""Generate the playbook of ``oscap xccdf generate fix``, run it on a host, and time both."""

import re
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hardpan.builder.ansible.runner import (
    PLAYBOOKS,
    RoleRun,
    _ansible_environment,
    _write_inventory,
)
from hardpan.builder.artifacts import BootedGuest
from hardpan.builder.pip import run_pip
from hardpan.core.errors import ToolError
from hardpan.core.process import run

REQUIREMENT = Path(__file__).parents[2] / "requirements" / "bench.txt"
_COLLECTIONS = ("community/general/", "ansible/posix/")
TIMEOUT_S = 4 * 3600
_TIMEOUT_EXIT_CODES = (124, 137)
_RECAP = re.compile(r"^guest\s+:(.+)$", re.MULTILINE)
_COUNT = re.compile(r"(\w+)=(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookRun:
    """One run of the playbook."""

    tasks: int
    """Tasks and handlers that it holds, nested ones too."""

    started_tasks: int
    """Tasks that were begun; a block that does not apply begins none."""

    is_complete: bool
    """False where the time limit ended it: then ``took_s`` is less than it needs."""

    duration_s: float
    counts: dict[str, int]
    """Ansible's own recap: ``ok``, ``changed``, ``skipped``, ``ignored``, …; empty without end."""


def install_collections(cache: Path) -> Path:
    """The folder of the two collections, downloaded by digest and unpacked once."""
    folder = cache / "bench-collections"
    if (folder / ".done").exists():
        return folder
    wheels = cache / "bench-wheels"
    argv: list[str | Path] = ["download", "-q", "--no-deps", "--require-hashes"]
    argv += ["--only-binary", ":all:", "-r", REQUIREMENT, "-d", wheels]
    run_pip(argv, timeout_s=600)
    with zipfile.ZipFile(next(wheels.glob("ansible-*.whl"))) as wheel:
        prefixes = tuple(f"ansible_collections/{name}" for name in _COLLECTIONS)
        wheel.extractall(folder, [n for n in wheel.namelist() if n.startswith(prefixes)])
    (folder / ".done").touch()
    return folder


def generate_playbook(stream: Path, profile_id: str, to: Path) -> int:
    """Write the playbook to ``to``; how many tasks it holds.

    One thing is changed: a task that fails ends nothing. Upstream's playbook ends at its first
    failure, so it would do less in less time.
    """
    argv = ["oscap", "xccdf", "generate", "fix", "--fix-type", "ansible", "--profile", profile_id]
    run([*argv, "--output", to, stream], timeout_s=300)
    text = to.read_text("utf-8")
    head = "- hosts: all\n"
    if text.count(head) != 1:
        raise ToolError(["oscap"], "generated a playbook with an unknown structure")
    to.write_text(text.replace(head, f"{head}  ignore_errors: true\n"), "utf-8")
    plays = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return sum(_count_tasks(x["tasks"]) for x in plays)


def run_playbook(
    playbook: Path,
    guest: BootedGuest,
    *,
    tasks: int,
    skip: Sequence[str],
    only: Sequence[str] = (),
    timeout_s: int = TIMEOUT_S,
    cache: Path,
    folder: Path,
) -> PlaybookRun:
    """Run it as the build runs its roles: same Ansible, same connection, pipelining, sudo.

    ``skip`` and ``only`` are names of rules, which are the playbook's tags.
    """
    folder.mkdir()
    job = RoleRun(layer="stig", workdir=folder, guest=guest, variables={})
    environment = _ansible_environment(folder) | {
        "HOME": str(folder),
        "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(install_collections(cache)),
        "ANSIBLE_GATHERING": "implicit",
        "ANSIBLE_STDOUT_CALLBACK": "default",
        # Written for an older Ansible: conditions that are no booleans are taken as it took them.
        "ANSIBLE_ALLOW_BROKEN_CONDITIONALS": "True",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        "ANSIBLE_LOG_PATH": str(folder / "playbook.log"),
    }
    argv = ["timeout", "--kill-after=30", str(timeout_s)]
    argv += [str(Path(sys.executable).parent / "ansible-playbook"), "--become"]
    argv += ["-i", str(_write_inventory(job)), "--skip-tags", ",".join(skip), str(playbook)]
    argv += ["--tags", ",".join(only)] if only else []
    done = run(argv, timeout_s=timeout_s + 60, ok=(0, 2, 4, *_TIMEOUT_EXIT_CODES), env=environment)
    recap = _RECAP.search(done.stdout)
    is_complete = done.returncode not in _TIMEOUT_EXIT_CODES
    if recap is None and is_complete:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise ToolError(argv, "gave no recap", output_tail=tail)
    counts = {name: int(n) for name, n in _COUNT.findall(recap[1])} if recap else {}
    started_tasks = done.stdout.count("\nTASK [")
    return PlaybookRun(
        tasks=tasks,
        started_tasks=started_tasks,
        is_complete=is_complete,
        duration_s=done.duration_s,
        counts=counts,
    )


def _count_tasks(tasks: list[dict[str, Any]]) -> int:
    return sum(_count_tasks(t["block"]) if "block" in t else 1 for t in tasks)
