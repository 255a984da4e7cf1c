"""What holds for every role: releases are numbers, and no signature goes unchecked."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.builder.layers import registry as layers

ROLES = layers.PLAYBOOKS / "roles"
_RELEASE = r"(?:distribution_major_version|distribution_version|VERSION_ID)"
_AS_TEXT = (
    # Jinja: a release that is not made a number first. As text '10' is less than '9'.
    re.compile(rf"{_RELEASE}['\"\])}} ]*(?!\s*\|\s*int)\s*(?:\|\s*(?!int)\w+|[<>=!]=?|\bin\b)"),
    # The shell's own comparison of texts.
    re.compile(rf"\$\{{?{_RELEASE}[^\n]*?(?:\\?[<>]|==?|!=)"),
)
_UNCHECKED = re.compile(
    r"--nogpgcheck|--no-gpgchecks|disable_gpg_check\s*[:=]\s*(?:true|yes)|gpgcheck\s*[:=]\s*['\"]?"
    r"(?:0|no|false)\b",
    re.IGNORECASE,
)


def compared_as_text(text: str) -> list[str]:
    """The places where a release is compared as text."""
    return [found[0] for pattern in _AS_TEXT for found in pattern.finditer(text)]


def files() -> Iterator[Path]:
    for path in sorted(ROLES.rglob("*")):
        if path.is_file() and ".ansible" not in path.parts:
            yield path


@pytest.mark.parametrize(
    "text",
    [
        "when: ansible_distribution_major_version > '9'",
        "when: ansible_distribution_major_version == '10'",
        "when: ansible_facts['distribution_major_version'] >= '9'",
        "when: ansible_facts.distribution_major_version in ['9', '10']",
        "when: ansible_distribution_version | string < '10'",
        '[[ "$VERSION_ID" > 9 ]] && echo new',
        '[ "${VERSION_ID}" \\< 10 ]',
    ],
)
def test_a_release_that_is_compared_as_text_is_found(text: str) -> None:
    assert compared_as_text(text) != []


@pytest.mark.parametrize(
    "text",
    [
        "when: ansible_distribution_major_version | int >= 10",
        "when: ansible_facts['distribution_major_version'] | int == 9",
        '[ "${VERSION_ID%%.*}" -ge 10 ]',
        "# VERSION_ID of the lab is 9.0",
    ],
)
def test_a_release_that_is_a_number_is_let_through(text: str) -> None:
    assert compared_as_text(text) == []


def test_no_role_compares_a_release_as_text() -> None:
    found = {str(p): compared_as_text(p.read_text("utf-8")) for p in files()}

    assert len(found) > 50
    assert {p: f for p, f in found.items() if f} == {}


@pytest.mark.parametrize(
    "text", ["dnf --nogpgcheck install x", "disable_gpg_check: true", "gpgcheck=0", "gpgcheck: no"]
)
def test_an_unchecked_signature_is_found(text: str) -> None:
    assert _UNCHECKED.search(text)


def test_no_role_lets_a_signature_go_unchecked() -> None:
    found = {str(p): _UNCHECKED.search(p.read_text("utf-8")) for p in files()}

    assert len(found) > 50
    assert [path for path, unchecked in found.items() if unchecked] == []
