"""What holds for every role: releases are numbers, and no signature goes unchecked."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.builder.layers import registry as layers

ROLES = layers.PLAYBOOKS / "roles"
_RELEASE = r"(?:distribution_major_version|distribution_version|VERSION_ID)"
_TEXT_COMPARISONS = (
    # Jinja: a release that is not converted to a number. As text '10' is less than '9'.
    re.compile(rf"{_RELEASE}['\"\])}} ]*(?!\s*\|\s*int)\s*(?:\|\s*(?!int)\w+|[<>=!]=?|\bin\b)"),
    # The shell's own comparison of texts.
    re.compile(rf"\$\{{?{_RELEASE}[^\n]*?(?:\\?[<>]|==?|!=)"),
)
_UNCHECKED = re.compile(
    r"--nogpgcheck|--no-gpgchecks|disable_gpg_check\s*[:=]\s*(?:true|yes)|gpgcheck\s*[:=]\s*['\"]?"
    r"(?:0|no|false)\b",
    re.IGNORECASE,
)


def find_text_comparisons(text: str) -> list[str]:
    """The places where a release is compared as text."""
    return [match[0] for pattern in _TEXT_COMPARISONS for match in pattern.finditer(text)]


def role_files() -> Iterator[Path]:
    for path in sorted(ROLES.rglob("*")):
        if path.is_file() and not {".ansible", "__pycache__"} & set(path.parts):
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
def test_text_comparison_of_release_is_detected(text: str) -> None:
    assert find_text_comparisons(text) != []


@pytest.mark.parametrize(
    "text",
    [
        "when: ansible_distribution_major_version | int >= 10",
        "when: ansible_facts['distribution_major_version'] | int == 9",
        '[ "${VERSION_ID%%.*}" -ge 10 ]',
        "# VERSION_ID of the lab is 9.0",
    ],
)
def test_numeric_comparison_of_release_is_accepted(text: str) -> None:
    assert find_text_comparisons(text) == []


def test_roles_compare_releases_as_numbers() -> None:
    comparisons = {str(p): find_text_comparisons(p.read_text("utf-8")) for p in role_files()}

    assert len(comparisons) > 50
    assert {p: f for p, f in comparisons.items() if f} == {}


@pytest.mark.parametrize(
    "text", ["dnf --nogpgcheck install x", "disable_gpg_check: true", "gpgcheck=0", "gpgcheck: no"]
)
def test_disabled_signature_check_is_detected(text: str) -> None:
    assert _UNCHECKED.search(text)


def test_roles_keep_signature_checks() -> None:
    matches = {str(p): _UNCHECKED.search(p.read_text("utf-8")) for p in role_files()}

    assert len(matches) > 50
    assert [path for path, unchecked in matches.items() if unchecked] == []
