"""Python that runs as root on a target imports from its own folders alone: always with ``-I``.

Without it the first folder that Python imports from is the one that it is started in, the login's
own, and a file there called ``json.py`` runs as root. Ansible's modules are apart:
``tests/integration/test_isolated_ansible.py``.
"""

import re
from pathlib import Path

import pytest

_REPO = Path(__file__).parents[2]
_FOLDERS = ("builder", "scanners", "kickstart")
_BUILD_MACHINE_FOLDERS = (
    "builder/python_stacks/",
    "builder/wheel_audit/",
    "scanners/content/shipped/",
)
"""Runs on the machine that builds, or is data."""

_PYTHON_COMMAND = re.compile(
    r"""
    (?:/usr/bin/python3|\bpython3?|\b_PYTHON|\{\{\s*python\s*\}\}|\{\}|\{python\}  # an interpreter
    |\{shlex\.quote\([\w.]*\bpython\)\})
    ["']?,?\s+(?:-\s)?["']?                                               # and its first argument
    (?P<option>-[A-Za-z]*|-(?=["'\s]))
    """,
    re.VERBOSE,
)
_SERVICE_EXCEPTIONS = {
    "scanners/collect/workload/compatibility/confinement.py: 'python, \"-c'": "-c"
}
"""Runs as the service's user in the service's environment, or it would prove nothing about it."""

_TEXT_SUFFIXES = (".py", ".yml", ".yaml", ".j2", ".sh", ".cfg", ".service", ".timer", ".conf")


def text_files() -> list[Path]:
    paths = [p for folder in _FOLDERS for p in (_REPO / folder).rglob("*") if p.is_file()]
    return sorted(
        p
        for p in paths
        if p.suffix in _TEXT_SUFFIXES
        and not str(p.relative_to(_REPO)).startswith(_BUILD_MACHINE_FOLDERS)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["/usr/bin/python3", "-c", X]', ["-c"]),
        ('["/usr/bin/python3", "-I", "-c", X]', ["-I"]),
        ("/usr/bin/python3 -m tarfile -e x", ["-m"]),
        ("argv: [/usr/bin/python3, -I, -c]", ["-I"]),
        ('- /usr/bin/python3\n      - "-"\n', ["-"]),
        ("- /usr/bin/python3\n      - -I\n", ["-I"]),
        ("ExecStart={{ python }} -I {{ home }} login", ["-I"]),
        ("{} -c 'import torch'", ["-c"]),
        ("exec {python} - --model", ["-"]),
        ('["exec", _PYTHON, "-c", X]', ["-c"]),
        ('f"{shlex.quote(settings.python)} -c x"', ["-c"]),
    ],
)
def test_pattern_matches_python_commands(text: str, expected: list[str]) -> None:
    assert [m["option"] for m in _PYTHON_COMMAND.finditer(text)] == expected


def test_python_on_a_target_is_isolated() -> None:
    option_by_command = {
        f"{path.relative_to(_REPO)}: {m[0]!r}": m["option"]
        for path in text_files()
        for m in _PYTHON_COMMAND.finditer(path.read_text("utf-8"))
    }

    assert len(option_by_command) >= 25
    assert {
        command: option for command, option in option_by_command.items() if option != "-I"
    } == _SERVICE_EXCEPTIONS


def test_role_programs_have_isolated_shebang() -> None:
    programs = sorted((_REPO / "builder/ansible").rglob("files/*.py"))
    shebangs = {p.name: p.read_text("utf-8").partition("\n")[0] for p in programs}

    assert len(shebangs) >= 7
    assert set(shebangs.values()) == {"#!/usr/bin/python3 -I"}
