"""A mark planted in every field of evidence and policies: a terminal only draws what is printed."""

import copy
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hardpan import cli
from hardpan.core import clock
from tests.tools.terminal_capture import (
    HOSTILE_LINES,
    PLANTED_TEXT,
    find_control_characters,
    find_forged_lines,
    run_on_terminal,
)
from tests.unit.evidence.evidence_fixture import NOW, EvidenceFixture

Place = tuple[str | int, ...]


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Where a value that is no object or list is; of a list's entries the first alone."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        if value:
            yield from places(value[0], (*at, 0))
    else:
        yield at


def objects(value: Any, at: Place = ()) -> Iterator[Place]:
    """Where an object is, in the same way."""
    if isinstance(value, dict):
        yield at
        for key, inner in value.items():
            yield from objects(inner, (*at, key))
    elif isinstance(value, list) and value:
        yield from objects(value[0], (*at, 0))


def with_value(value: Any, at: Place) -> Any:
    """A copy with the mark at ``at``: in place of a number, or behind a text."""
    copied = copy.deepcopy(value)
    parent = inside(copied, at[:-1])
    old = parent[at[-1]]
    parent[at[-1]] = f"{old}{HOSTILE_LINES}" if isinstance(old, str) else HOSTILE_LINES
    return copied


def with_keys(value: Any, at: Place) -> Any:
    """A copy in which the object at ``at`` has the mark as a key, with a value that fits nothing.

    Where any key may be, the error names it.
    """
    copied = copy.deepcopy(value)
    inside(copied, at)[HOSTILE_LINES] = []
    return copied


def inside(value: Any, at: Place) -> Any:
    for step in at:
        value = value[step]
    return value


def run_commands(
    run: Callable[[list[str]], tuple[int, str]], path: Path, commands: list[list[str]]
) -> tuple[int, set[str], list[str]]:
    """In how many runs the mark was shown, and what of it was odd or forged."""
    outputs = [run([str(path) if word == "EVIDENCE" else word for word in c])[1] for c in commands]
    combined = "\n".join(outputs)
    return (
        sum(PLANTED_TEXT in output for output in outputs),
        find_control_characters(combined),
        find_forged_lines(combined),
    )


@pytest.mark.parametrize("plant", [with_value, with_keys])
@pytest.mark.parametrize("name", ["statement.json", "findings.json"])
def test_evidence_fields_are_neutralized_on_terminal(
    lab: EvidenceFixture,
    name: str,
    plant: Callable[[Any, Place], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = str(lab.ring.policy)
    good = str(lab.valid_path)
    document = json.loads(lab.read_files()[name])
    paths = list(places(document) if plant is with_value else objects(document))
    shows = 0

    def run(argv: list[str]) -> tuple[int, str]:
        return run_on_terminal(lambda: cli.run(argv), monkeypatch)

    for at in paths:
        changed = plant(document, at)
        if name == "statement.json":
            path = lab.sign_payload(changed)
        else:
            path = lab.resign_with_files({name: json.dumps(changed).encode()})
        commands = [["show", "EVIDENCE"]]
        if plant is with_value and name == "statement.json":
            commands = [["show", "EVIDENCE", "--json"], ["verify", "EVIDENCE", "--policy", policy]]
        elif plant is with_value:
            commands += [["diff", "EVIDENCE", good]]
        n, unexpected, forged = run_commands(run, path, commands)
        shows += n
        assert (at, unexpected, forged) == (at, set(), [])

    assert len(paths) >= 10
    assert shows >= (5 if plant is with_value else 1)


def test_unsigned_evidence_fields_are_neutralized_on_terminal(
    lab: EvidenceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = lab.read_files()
    names = ("evidence.sigstore.json", "findings.json", "statement.json", "smoke.json")
    count = 0
    for name in names:
        document = json.loads(files[name])
        for at in list(objects(document))[:12]:
            path = lab.pack({**files, name: json.dumps(with_keys(document, at)).encode()})
            _, text = run_on_terminal(lambda path=path: cli.run(["show", str(path)]), monkeypatch)
            count += 1
            assert (name, at, find_control_characters(text)) == (name, at, set())

    assert count >= 10


@pytest.mark.parametrize(
    "name", [HOSTILE_LINES.replace("\0", ""), f"{PLANTED_TEXT}\x1b[2J", f"{PLANTED_TEXT}\u202e"]
)
def test_file_names_in_evidence_are_neutralized_on_terminal(
    lab: EvidenceFixture, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lab.pack(lab.read_files())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")

    code, output = run_on_terminal(lambda: cli.run(["show", str(path)]), monkeypatch)

    assert code == 6
    assert PLANTED_TEXT in output
    assert find_control_characters(output) == set()
    assert find_forged_lines(output) == []


@pytest.mark.parametrize("plant", [with_value, with_keys])
def test_policy_fields_are_neutralized_on_terminal(
    lab: EvidenceFixture,
    plant: Callable[[Any, Place], Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    policy = yaml.safe_load(lab.ring.policy.read_text())
    paths = list(places(policy) if plant is with_value else objects(policy))
    path = tmp_path / "trust.yaml"
    count = 0
    for at in paths:
        path.write_text(yaml.safe_dump(plant(policy, at)))
        argv = ["verify", str(lab.valid_path), "--policy", str(path)]
        _, text = run_on_terminal(lambda argv=argv: cli.run(argv), monkeypatch)
        count += PLANTED_TEXT in text
        assert (at, find_control_characters(text), find_forged_lines(text)) == (at, set(), [])

    assert count >= 2
