"""Python that runs as root on a target imports from its own folders alone: always with ``-I``.

Without it the first folder that Python imports from is the one that it is started in, the login's
own, and a file there called ``json.py`` runs as root. Ansible's modules are apart:
``tests/integration/test_isolated_ansible.py``.
"""

import re
from pathlib import Path

import pytest

_REPO = Path(__file__).parents[3]
_FOLDERS = ("builder", "scanners", "kickstart")
_HERE = ("builder/stacks/", "builder/wheels/", "scanners/content/shipped/")
"""Runs on the machine that builds, or is data."""

_START = re.compile(
    r"""
    (?:/usr/bin/python3|\bpython3?|\{\{\s*python\s*\}\}|\{\}|\{python\})   # an interpreter
    ["']?,?\s+(?:-\s)?["']?                                               # and its first argument
    (?P<option>-[A-Za-z]*|-(?=["'\s]))
    """,
    re.VERBOSE,
)
_OF_A_SERVICE = {"scanners/collect/workload/paired/confined.py: 'python, \"-c'": "-c"}
"""Runs as the service's user in the service's environment, or it would prove nothing about it."""

_TEXTS = (".py", ".yml", ".yaml", ".j2", ".sh", ".cfg", ".service", ".timer", ".conf")


def files() -> list[Path]:
    found = [p for folder in _FOLDERS for p in (_REPO / folder).rglob("*") if p.is_file()]
    return sorted(
        p for p in found if p.suffix in _TEXTS and not str(p.relative_to(_REPO)).startswith(_HERE)
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
    ],
)
def test_starts_of_python_are_found(text: str, expected: list[str]) -> None:
    assert [m["option"] for m in _START.finditer(text)] == expected


def test_python_on_a_target_is_isolated() -> None:
    found = {
        f"{path.relative_to(_REPO)}: {m[0]!r}": m["option"]
        for path in files()
        for m in _START.finditer(path.read_text("utf-8"))
    }

    assert len(found) >= 24
    assert {where: option for where, option in found.items() if option != "-I"} == _OF_A_SERVICE


def test_programs_of_the_roles_start_isolated() -> None:
    programs = sorted((_REPO / "builder/ansible").rglob("files/*.py"))
    first = {p.name: p.read_text("utf-8").partition("\n")[0] for p in programs}

    assert len(first) >= 7
    assert set(first.values()) == {"#!/usr/bin/python3 -I"}
