import pytest

from hardpan.scanners.collect.packages import build_deb_url
from hardpan.scanners.comparison.package_changes import compare_packages, split_name_and_version


@pytest.mark.parametrize(
    ("name", "version"), [("libstdc++6", "1:12.2.0-14+deb12u1~x"), ("bash", "5.2.15-2+b2")]
)
def test_name_and_version_of_a_package_url_are_decoded(name: str, version: str) -> None:
    url = build_deb_url(name, version, "amd64", "debian-12")

    assert split_name_and_version(url) == (f"{name}.amd64", version)


def test_updated_debian_package_is_changed_and_not_replaced() -> None:
    baseline, current = (build_deb_url("bash", v, "amd64", "debian-12") for v in ("5.1", "5.2"))

    changes = compare_packages([baseline], [current])

    assert (changes.added, changes.removed) == ((), ())
    assert [(c.name, c.baseline, c.current) for c in changes.changed] == [
        ("bash.amd64", ("5.1",), ("5.2",))
    ]


@pytest.mark.parametrize(
    "text", ["pkg:deb/debian/bash", "pkg:deb/x/y@1?arch=", "pkg:deb/a@b?arch=x"]
)
def test_malformed_package_url_is_a_name_without_version(text: str) -> None:
    assert split_name_and_version(text) == (text, "")
