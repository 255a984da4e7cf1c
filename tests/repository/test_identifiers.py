"""One domain, written in one file: a second spelling would be another type to every verifier."""

import re
from typing import get_args

import pytest

from hardpan.core import identifiers
from hardpan.scanners.evidence.statement.model import Statement
from tests.source_tree import PRODUCT, REPO, list_files, read_texts

IDENTIFIERS = {
    "PREDICATE_TYPE": "https://hardpan.dev/attestation/compliance-scan/v1",
    "BUILD_TYPE": "https://hardpan.dev/build/unattended-install/v1",
    "BUILDER_ID": "https://hardpan.dev/builder/local/v1",
    "SPDX_NAMESPACE": "https://hardpan.dev/spdx",
    "VERIFIER_ID": "https://hardpan.dev/verifier",
    "OSCAL_NAMESPACE": "https://hardpan.dev/ns/oscal",
    "SARIF_TAXONOMY": "https://hardpan.dev/ns/sarif/nist-sp-800-53-r4",
    "INSTALL_PORT": "dev.hardpan.install.0",
}
"""A second time on purpose: signed evidence holds them, so none may change by accident."""

_HARDPAN_DOMAIN = re.compile(r"\bhardpan\.dev\b|\bdev\.hardpan\b")
_TOP_LEVEL = "com|org|net|dev|io|app|ai|eu|de|cloud|tech|security|example|test|local|internal|home"
_DOMAIN_PATTERN = re.compile(
    rf"""
    [\w.+-]+@[\w.-]*hardpan[\w.-]*             # an e-mail address
    | ://[^/\s"'<>()`]*hardpan[^/\s"'<>()`]*   # the host of a URL
    | \b[\w-]*hardpan[\w-]*\.(?:{_TOP_LEVEL})\b(?!\.\w)
    | \b(?:{_TOP_LEVEL})\.hardpan\b            # reversed
    """,
    re.VERBOSE,
)
# RFC 2606 reserves .invalid; the lab's signing key names nobody.
_ALLOWED = {"://hardpan.dev", "hardpan.dev", "dev.hardpan", "lab@hardpan.invalid"}


def find_foreign_domains(text: str) -> list[str]:
    """Domains, mail addresses and reversed domains with hardpan's name that are not its own."""
    # Line by line: the pattern is slow in the long lines of keys and digests.
    lines = [line for line in text.splitlines() if "hardpan" in line]
    return [
        match[0]
        for line in lines
        for match in _DOMAIN_PATTERN.finditer(line)
        if match[0] not in _ALLOWED
    ]


def test_identifiers_are_the_published_ones() -> None:
    defined = {name: value for name, value in vars(identifiers).items() if name.isupper()}

    assert defined == IDENTIFIERS


def test_statement_accepts_the_predicate_type_and_no_other() -> None:
    annotation = Statement.model_fields["predicate_type"].annotation

    assert get_args(annotation) == (identifiers.PREDICATE_TYPE,)


def test_domain_is_written_in_a_single_module() -> None:
    modules = [
        name for name, text in read_texts(list_files(PRODUCT)) if _HARDPAN_DOMAIN.search(text)
    ]

    assert modules == ["hardpan/core/identifiers.py"]


def test_documentation_lists_every_identifier() -> None:
    page = (REPO / "docs" / "evidence.md").read_text("utf-8")

    assert [value for value in IDENTIFIERS.values() if f"`{value}" not in page] == []


def test_no_file_contains_a_foreign_hardpan_domain() -> None:
    top_level_files = [path for path in REPO.iterdir() if path.is_file()]
    text_by_name = dict(
        read_texts([*top_level_files, *list_files((*PRODUCT, "images", "docs", "tests"))])
    )
    del text_by_name["tests/repository/test_identifiers.py"]

    foreign_domains = {
        name: foreign
        for name, text in text_by_name.items()
        if (foreign := find_foreign_domains(text))
    }

    assert len(text_by_name) > 700
    assert foreign_domains == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://hardpan.org/docs", ["://hardpan.org"]),
        ("https://docs.hardpan.dev/x", ["://docs.hardpan.dev"]),
        ("security@hardpan.dev", ["security@hardpan.dev"]),
        ("git clone https://git.example/hardpan/hardpan", []),
        ("org.hardpan.install.0", ["org.hardpan"]),
        ("get-hardpan.io is it", ["get-hardpan.io"]),
        ("https://hardpan.dev/ns/oscal and dev.hardpan.install.0", []),
        ("from hardpan.test import x; hardpan.io.read()", ["hardpan.test"]),
        ("import hardpan.signing", []),
    ],
)
def test_foreign_domain_search_finds_planted_domains(text: str, expected: list[str]) -> None:
    assert find_foreign_domains(text) == expected
