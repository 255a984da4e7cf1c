"""The list of packages that comes with hardpan, and every way to write one wrongly."""

import re
from urllib.parse import urlsplit

import pytest

from hardpan.core.errors import InputError
from hardpan.profiles.loader import shipped
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.software_catalog.catalog_file import (
    CATALOG_FILE,
    package_catalog,
    parse_catalog,
)
from hardpan.profiles.software_catalog.package_plan import CATALOG_LAYERS, plan_packages
from hardpan.profiles.software_catalog.schema import PLACEHOLDERS

CATALOG_TEXT = CATALOG_FILE.read_text("utf-8")


def test_every_key_digest_is_a_sha256() -> None:
    digests = [r.key.sha256 for r in package_catalog().repositories if r.key and r.key.sha256]

    assert len(digests) == 10
    assert all(re.fullmatch("[0-9a-f]{64}", d) for d in digests)


def test_every_address_is_https() -> None:
    addresses = [r.url for r in package_catalog().repositories if r.url]
    addresses += [r.key.url for r in package_catalog().repositories if r.key]

    assert len(addresses) > 20
    assert {urlsplit(a).scheme for a in addresses} == {"https"}


def test_nvidia_key_differs_per_release() -> None:
    by_release = {
        r.release: r.key.sha256 for r in package_catalog().repositories if r.id == "cuda" and r.key
    }

    assert set(by_release) == {"rocky9", "rocky10"}
    assert by_release["rocky9"] != by_release["rocky10"]


def test_every_repository_checks_signatures() -> None:
    assert all(r.gpgcheck for r in package_catalog().repositories)


@pytest.mark.parametrize("name", shipped.shipped_profiles())
def test_packages_of_shipped_profiles_are_listed(name: str) -> None:
    profile = load_profile(name)

    packages = {
        m.layer: m.packages or () for m in plan_packages(profile) if m.layer in CATALOG_LAYERS
    }

    assert list(packages) == [layer for layer in profile.layers if layer in CATALOG_LAYERS]
    assert [layer for layer, specs in packages.items() if not specs] == []
    texts = [w.package + (w.version or "") for specs in packages.values() for w in specs]
    assert [text for text in texts if set("{}") & set(text)] == []


def test_catalog_layers_match_package_layers() -> None:
    assert {p.layer for p in package_catalog().packages} == set(CATALOG_LAYERS)


def test_every_placeholder_is_used() -> None:
    assert [p for p in PLACEHOLDERS if f"{{{p}}}" not in CATALOG_TEXT] == []


def test_every_source_is_used() -> None:
    package_list = package_catalog()
    used = {
        entry.source
        for group in (
            package_list.repositories,
            package_list.packages,
            package_list.nvidia_branches,
            package_list.rocm_series,
        )
        for entry in group
    }

    assert used == set(package_list.sources)


def test_catalog_has_no_cuda_metapackage() -> None:
    assert "cuda" not in {p.name for p in package_catalog().packages}


INVALID_ENTRIES = [
    ("sources:", "sorces:", "sources: is missing"),
    ("    verified: second_hand", "    verified: surely", "expected yes, second_hand or from_mem"),
    (
        "as_of: 2026-08-17",
        "as_of: last summer",
        "expected a day as 2027-11-30, got 'last summer'",
    ),
    ("url: https://repo.amd.com", "url: http://repo.amd.com", "expected an https address"),
    ("url: https://repo.amd.com", "url: https://me:pw@repo.amd.com", "expected an https address"),
    ("sha256: d0664fbb", "sha256: D0664FBB", "key.sha256: expected a sha256 of 64 lower-case"),
    ("sha256: d0664fbb", "sha256: d0664f", "key.sha256: expected a sha256 of 64 lower-case"),
    (
        "gpgcheck: true",
        "gpgcheck: false",
        "gpgcheck: expected true: packages that a vendor does not sign",
    ),
    ("gpgcheck: true", "gpgcheck: yes", "gpgcheck: expected true or false, got 'yes'"),
    ("cuda-toolkit-{cuda_dash}", "cuda", "expected a package name other than cuda"),
    ("cuda-toolkit-{cuda_dash}", "cuda-{year}", "expected one of amdgpu, branch, cuda_dash"),
    ("cuda-toolkit-{cuda_dash}", '"cuda-{driver"', "expected placeholders as {driver}"),
    ("name: libnccl", "name: lib nccl", "expected a package name"),
    ("name: libnccl", "name: -y", "expected a package name"),
    ("name: libnccl", "nmae: libnccl", "packages[18].nmae: unknown setting"),
    ("layer: rocm", "layer: stig", "expected nvidia_driver, cuda, amd_driver, rocm or containers"),
    ("repository: amdgpu", "repository: amd-gpu", "expected a repository of rocky9, got amd-gpu"),
    ("source: precompiled-kmod", "source: hearsay", "expected one of sources, got hearsay"),
    ("name: nvidia-imex", "name: libnvsdm", "libnvsdm is listed twice for rocky9"),
    ("id: amdgpu", "id: rocm-classic", "rocm-classic rocky9 x86_64 is listed twice"),
    ("stream: {rocky9: ", "stream: {rocky10: ", "expected none for rocky10: it has no modules"),
    ('version: "{driver}"', "version: null", "expected a version, since it is pinned on rocky9"),
    ("releases: [rocky10]", "releases: [rocky8]", "expected rocky9 or rocky10, got 'rocky8'"),
    ('first: "7.9"', 'first: "7.2"', "rocm_series[2]: overlaps with 7.0 to 7.2"),
    ('first: "7.9"', 'first: "7.15"', "rocm_series[2]: expected first before last, got 7.15"),
]


@pytest.mark.parametrize(("was", "now", "problem"), INVALID_ENTRIES)
def test_invalid_entry_reports_location(was: str, now: str, problem: str) -> None:
    assert was in CATALOG_TEXT

    with pytest.raises(InputError) as caught:
        parse_catalog(CATALOG_TEXT.replace(was, now, 1).encode("utf-8"), "packages.yaml")

    assert problem in str(caught.value)
    assert all(
        re.match(r"packages\.yaml:[0-9]+:[0-9]+: ", line) for line in str(caught.value).splitlines()
    )


def test_all_problems_are_reported_at_once() -> None:
    invalid_text = (
        CATALOG_TEXT.replace("gpgcheck: true", "gpgcheck: false", 1)
        .replace("{cuda_dash}", "{year}")
        .replace("source: precompiled-kmod", "source: hearsay", 1)
    )

    with pytest.raises(InputError) as caught:
        parse_catalog(invalid_text.encode("utf-8"), "packages.yaml")

    assert len(str(caught.value).splitlines()) == 3
