"""Wheels and lock entries are compared as ``packaging`` does, compared with text rules."""

import re

from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hardpan.builder.wheel_audit.lock_comparison import _parse_file_name

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
VERSIONS = st.from_regex(
    r"(1!)?[0-9]{1,2}(\.[0-9]{1,2}){0,2}((a|rc|\.post|\.dev|-)[0-9])?(\+[a-z0-9]{1,3}([._][0-9])?)?",
    fullmatch=True,
)
FILE_VERSIONS = st.one_of(VERSIONS, st.from_regex(r"[A-Za-z0-9.!+_]{1,8}", fullmatch=True))


def _is_same_release(first: str, second: str) -> bool:
    try:
        return Version(first) == Version(second)
    except InvalidVersion:
        return False


@given(NAMES)
def test_names_are_normalized_as_in_the_standard(name: str) -> None:
    assert canonicalize_name(name) == re.sub(r"[-_.]+", "-", name).lower()


@given(VERSIONS, FILE_VERSIONS)
def test_equal_version_texts_stay_equal(locked: str, other: str) -> None:
    def parse(version: str) -> tuple[str, str]:
        return _parse_file_name(f"demo-{version.replace('-', '_')}-py3-none-any.whl")

    def normalize(version: str) -> str:
        return version.lower().replace("_", "-")

    assert parse(locked)[0] == "demo"
    assert parse(locked) == parse(locked.upper())
    if parse(locked) == parse(other):
        assert normalize(locked) == normalize(other) or _is_same_release(
            normalize(locked), normalize(other)
        )
    else:
        assert normalize(locked) != normalize(other)
