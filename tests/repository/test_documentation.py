"""The documentation is complete and true where a program can tell: links, paths, commands, size."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from hardpan.profiles.schema.profile import Profile
from hardpan.scanners.evidence.policy.model import TrustPolicy
from tests.source_tree import REPO
from tests.tools import cli_reference

PAGES = sorted(
    [*REPO.glob("*.md"), *(REPO / "docs").glob("*.md"), REPO / "images" / "lab" / "README.md"]
)
NAMES = [str(page.relative_to(REPO)) for page in PAGES]
MAX_README_LINES = 150
MAX_SAMPLE_LINES = 20

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_CODE_PATH = re.compile(
    r"`((?:hardpan|builder|profiles|kickstart|scanners|tests|images/lab|requirements)/[\w./-]+)`"
)
_COMMAND = re.compile(r"\bhardpan((?: [a-z][a-z-]*)+)")
_NOT_TRACKED = {"hardpan/ledger.sqlite"}
"""Paths in XDG folders."""


def test_readme_has_at_most_150_lines() -> None:
    lines = (REPO / "README.md").read_text("utf-8").splitlines()

    assert 50 < len(lines) <= MAX_README_LINES


def test_readme_samples_have_at_most_20_lines() -> None:
    samples = [
        text.count("\n")
        for language, text in _FENCE.findall((REPO / "README.md").read_text("utf-8"))
        if language == "text"
    ]

    assert samples
    assert max(samples) <= MAX_SAMPLE_LINES


def test_index_lists_every_page() -> None:
    index = (REPO / "docs" / "README.md").read_text("utf-8")
    pages = {page.name for page in (REPO / "docs").glob("*.md")} - {"README.md"}

    assert len(pages) > 15
    assert [name for name in sorted(pages) if f"]({name})" not in index] == []


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_existing_files_and_headings(name: str) -> None:
    page = REPO / name
    text = _FENCE.sub("", page.read_text("utf-8"))
    problems = []
    for target in _LINK.findall(text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        if not file.exists():
            problems.append(f"{target}: no such file")
        elif anchor and anchor not in _anchors(file):
            problems.append(f"{target}: no such heading")

    assert problems == []


@pytest.mark.parametrize("name", NAMES)
def test_paths_in_code_spans_exist(name: str) -> None:
    text = (REPO / name).read_text("utf-8")
    paths = {path.rstrip("/.") for path in _CODE_PATH.findall(text)} - _NOT_TRACKED

    assert [path for path in sorted(paths) if not (REPO / path).exists()] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "docs/cli.md"])
def test_commands_in_pages_exist(name: str) -> None:
    text = (REPO / name).read_text("utf-8")

    assert sorted(_mentioned_commands(text) - _commands()) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "docs/cli.md"])
def test_options_in_pages_exist(name: str) -> None:
    options = set(re.findall(r"--[a-z][a-z0-9-]*", cli_reference.render())) | {"--help"}
    mentioned = {
        option
        for span in _spans((REPO / name).read_text("utf-8"))
        for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", span)
    }

    assert sorted(mentioned - options) == []


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_in_pages_exist(name: str) -> None:
    makefiles = "".join(
        path.read_text("utf-8") for path in (REPO / "Makefile", REPO / "tests/npm.mk")
    )
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefiles, re.MULTILINE))
    text = (REPO / name).read_text("utf-8")
    spans = re.findall(r"`(make [^`]+)`", _FENCE.sub("", text))
    spans += [line for _, block in _FENCE.findall(text) for line in block.splitlines()]
    mentioned = {
        word
        for span in spans
        for word in re.findall(r"(?:^|HARDPAN_\S+ )make ([a-z][a-z-]*)", span)
    }

    assert sorted(mentioned - targets) == []


def test_policy_example_has_keys_of_the_policy_model() -> None:
    text = (REPO / "docs" / "evidence.md").read_text("utf-8")
    (example,) = [block for language, block in _FENCE.findall(text) if language == "yaml"]

    assert sorted(_unknown_keys(yaml.safe_load(example), TrustPolicy)) == []


@pytest.mark.parametrize("name", ["docs/build.md", "docs/ai-service.md", "docs/gpu.md"])
def test_profile_examples_have_keys_of_the_profile_model(name: str) -> None:
    text = (REPO / name).read_text("utf-8")
    examples = [block for language, block in _FENCE.findall(text) if language == "yaml"]

    assert examples
    for example in examples:
        keys = set(yaml.safe_load(example.replace("    ...\n", ""))) - {"extends"}
        assert sorted(keys - set(Profile.model_fields)) == []


def test_cli_reference_matches_the_program() -> None:
    assert cli_reference.PAGE.read_text("utf-8") == cli_reference.render(), "'make docs' writes it"


@cache
def _commands() -> frozenset[str]:
    headings = re.findall(r"^#+ hardpan (.+)$", cli_reference.render(), re.MULTILINE)
    return frozenset(str(heading) for heading in headings)


def _mentioned_commands(text: str) -> set[str]:
    """Return the commands in code spans and code blocks, subcommands included."""
    groups = {command.split()[0] for command in _commands() if " " in command}
    commands = set()
    for match in (_COMMAND.search(span) for span in _spans(text)):
        if match is not None:
            command, *subcommands = match[1].split()
            commands.add(" ".join([command, *subcommands[:1]]) if command in groups else command)
    return commands


def _spans(text: str) -> list[str]:
    """Return the calls of hardpan in code spans and code blocks, with continued lines joined."""
    spans = re.findall(r"`(hardpan [^`]+)`", _FENCE.sub("", text))
    for language, block in _FENCE.findall(text):
        if language in ("sh", "console"):
            lines = block.replace("\\\n", " ").splitlines()
            spans += [line.partition("#")[0] for line in lines if re.search(r"\bhardpan ", line)]
    return [" ".join(span.split()) for span in spans]


def _unknown_keys(values: dict[str, object], model: type[BaseModel]) -> Iterator[str]:
    """Yield the keys that a model and the models in it do not have."""
    for key, value in values.items():
        if key not in model.model_fields:
            yield key
            continue
        annotation = model.model_fields[key].annotation
        for part in (annotation, *get_args(annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel) and isinstance(value, dict):
                yield from (f"{key}.{inner}" for inner in _unknown_keys(value, part))


def _anchors(page: Path) -> set[str]:
    """Return the anchors of the headings as GitHub derives them."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text("utf-8")))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}
