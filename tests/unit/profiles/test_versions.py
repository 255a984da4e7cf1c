import pytest

from hardpan.profiles.schema.versions import major_minor, parse_version


def test_version_numbers_compare_numerically() -> None:
    assert parse_version("10.0") > parse_version("9.8")
    assert parse_version("580.178.04") > parse_version("580.65.06")
    assert major_minor("7.14.1") > major_minor("7.9")
    assert major_minor("10") == (10, 0)


@pytest.mark.parametrize("text", ["", "9.", "nine", "9.x"])
def test_invalid_version_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid version"):
        parse_version(text)


@pytest.mark.parametrize("text", ["9rc1", "9.dev1", "9.post1", "9-1", "1!9", "9+el9"])
def test_version_with_more_than_a_release_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a release as 1\.2\.3, got "):
        parse_version(text)
