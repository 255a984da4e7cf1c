from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.scanners.content import datastream
from hardpan.scanners.content.catalog import BenchmarkSummary, ProfileSummary, list_benchmarks
from hardpan.scanners.content.prepare import prepare
from hardpan.scanners.content.products import OsRelease
from hardpan.scanners.content.scap_xml import parse_data_stream
from hardpan.scanners.content.selection import choose_content, choose_profile
from hardpan.scanners.model.scan import ContentOrigin
from tests.unit.content.content_folders import write_content_folder
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM, PROFILE

ROCKY = OsRelease(os_id="rocky", version_id="9.4", cpe_name="cpe:/o:rocky:rocky:9::baseos")
DEBIAN = OsRelease(os_id="debian", version_id="11", title="Debian 11")


@pytest.fixture(autouse=True)
def content_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shipped content in the small, no updated content, and a folder of installed content."""
    shipped = write_content_folder(tmp_path / "shipped", "0.2")
    (tmp_path / "installed").mkdir()
    monkeypatch.setattr(datastream.store, "shipped_folder", lambda: shipped)
    monkeypatch.setattr(datastream.store, "updated_folder", lambda: tmp_path / "updated")
    monkeypatch.setattr(datastream, "INSTALLED", tmp_path / "installed")


def make_benchmark(*profiles: str) -> BenchmarkSummary:
    return BenchmarkSummary(
        benchmark_id="xccdf_org.example_benchmark_B",
        title="B",
        version="1",
        date="",
        platforms=(),
        rule_count=3,
        profiles=tuple(
            ProfileSummary(profile_id=PROFILE + p, title=p, rule_count=1) for p in profiles
        ),
    )


def two_benchmarks() -> bytes:
    """The minimal collection with a second benchmark, for RHEL 8, in a second data stream."""
    head, start, tail = MINIMAL_DATASTREAM.partition(b' <ds:component id="comp_x">')
    component, end, tail = tail.partition(b"</ds:component>")
    second = (
        component.replace(b'"xccdf_b"', b'"xccdf_org.x_benchmark_C"')
        .replace(b"enterprise_linux:9", b"enterprise_linux:8")
        .replace(b"<x:version>0.1<", b"<x:version>0.8<")
    )
    stream = head[head.index(b" <ds:data-stream id=") : head.index(b"</ds:data-stream>") + 17]
    second_stream = stream.replace(b"#comp_x", b"#comp_y").replace(b"scap_ds", b"scap_ds2")
    head = head.replace(stream, stream + second_stream)
    components = start + component + end + b' <ds:component id="comp_y">' + second + end
    return head + components + tail


def test_rocky_is_scanned_with_shipped_content_and_stig() -> None:
    chosen = choose_content(ROCKY)

    assert (chosen.source.name, chosen.source.origin_kind) == (
        "ssg-rhel9-ds.xml",
        ContentOrigin.SHIPPED,
    )
    assert (chosen.benchmark.benchmark_id, chosen.profile_id) == ("xccdf_b", PROFILE + "stig")
    assert chosen.explanation == (
        f"{chosen.source}; for ID=rocky, VERSION_ID=9.4",
        "profile stig, 4 rules: the default",
    )
    assert chosen.reason == "content for ID=rocky, VERSION_ID=9.4; profile: the default"


def test_reason_quotes_the_request() -> None:
    chosen = choose_content(ROCKY, ContentOrigin.SHIPPED, profile="stig")

    assert chosen.reason == (
        "content as requested, for ID=rocky, VERSION_ID=9.4; profile: as requested"
    )


def test_installed_content_is_used_if_none_is_shipped(tmp_path: Path) -> None:
    (tmp_path / "installed/ssg-debian11-ds.xml").write_bytes(MINIMAL_DATASTREAM)

    assert choose_content(DEBIAN).source.origin_kind is ContentOrigin.INSTALLED


def test_missing_content_error_names_update_and_package() -> None:
    with pytest.raises(InputError, match="expected a data stream for debian11") as caught:
        choose_content(DEBIAN)

    assert "'hardpan content update debian11'" in caught.value.hint
    assert "ssg-debian" in caught.value.hint


def test_unknown_system_needs_a_file() -> None:
    with pytest.raises(InputError, match=r"ID=arch.*no SCAP content is known") as caught:
        choose_content(OsRelease(os_id="arch"))

    assert "--content FILE" in caught.value.hint


@pytest.mark.parametrize(
    ("profiles", "name", "expected"),
    [
        (("cis", "stig", "standard"), None, "stig"),
        (("cis", "cis_server_l1", "standard"), None, "cis_server_l1"),
        (("cis_level2_server", "cis_level1_server"), None, "cis_level1_server"),
        (("anssi", "standard"), None, "standard"),
        (("MAC-2_Public", "MAC-1_Classified"), None, "MAC-1_Classified"),
        (("cusp",), None, "cusp"),
        (("cis_level2_server", "stig"), "cis", "cis_level2_server"),
        (("stig", "CUI"), "cui", "CUI"),
        (("stig", "cui"), PROFILE + "cui", "cui"),
    ],
)
def test_profile_is_the_requested_or_the_first_default(
    profiles: tuple[str, ...], name: str | None, expected: str
) -> None:
    profile, _ = choose_profile(make_benchmark(*profiles), name, "x-ds.xml")

    assert profile.profile_id == PROFILE + expected


@pytest.mark.parametrize(
    ("profiles", "name", "problem"),
    [
        (("a", "b"), None, "x-ds.xml: has no default profile"),
        ((), None, "x-ds.xml: has no profile"),
        (("a", "b"), "c", "x-ds.xml: no profile 'c'"),
    ],
)
def test_missing_profile_error_lists_the_profiles(
    profiles: tuple[str, ...], name: str | None, problem: str
) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        choose_profile(make_benchmark(*profiles), name, "x-ds.xml")

    assert caught.value.hint.endswith("choose with --profile: a, b" if profiles else "FILE")


def test_benchmark_of_the_hosts_platform_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "two-ds.xml"
    path.write_bytes(two_benchmarks())
    rhel8 = OsRelease(os_id="rhel", version_id="8.9", cpe_name="cpe:/o:redhat:enterprise_linux:8")

    chosen = choose_content(rhel8, path)

    assert (chosen.benchmark.benchmark_id, chosen.source.version) == (
        "xccdf_org.x_benchmark_C",
        "0.8",
    )
    assert prepare(chosen.source, chosen.profile_id).benchmark.platforms == (
        "cpe:/o:redhat:enterprise_linux:8",
    )


def test_benchmark_is_chosen_by_its_short_id(tmp_path: Path) -> None:
    path = tmp_path / "two-ds.xml"
    path.write_bytes(two_benchmarks())

    assert choose_content(DEBIAN, path, benchmark="C").source.version == "0.8"
    assert datastream.from_file(path, "xccdf_b").version == "0.1"


@pytest.mark.parametrize(
    ("benchmark", "problem"),
    [
        (None, "two-ds.xml: has 2 benchmarks, expected one for this system"),
        ("D", "two-ds.xml: has no benchmark 'D'"),
    ],
)
def test_ambiguous_benchmark_error_lists_the_ids(
    tmp_path: Path, benchmark: str | None, problem: str
) -> None:
    path = tmp_path / "two-ds.xml"
    path.write_bytes(two_benchmarks())

    with pytest.raises(InputError, match=problem) as caught:
        choose_content(DEBIAN, path, benchmark=benchmark)
    assert caught.value.hint == "choose with --benchmark: xccdf_b, xccdf_org.x_benchmark_C"


def test_abstract_profile_is_neither_listed_nor_the_default() -> None:
    data = MINIMAL_DATASTREAM
    for name, abstract in (("stig", b"1"), ("other", b"false")):
        attribute = f'<x:Profile id="{PROFILE}{name}"'.encode()
        assert attribute in data
        data = data.replace(attribute, attribute + b' abstract="' + abstract + b'"')
    (summary,) = list_benchmarks(parse_data_stream(data, "x-ds.xml"), "x-ds.xml")

    profile, reason = choose_profile(summary, None, "x-ds.xml")

    assert (profile.profile_id, reason) == (PROFILE + "other", "the only profile of the content")
    with pytest.raises(InputError) as caught:
        choose_profile(summary, "stig", "x-ds.xml")
    assert caught.value.hint == "choose with --profile: other"
