"""What an ISO gets for its layers: written by real xorriso, and read back."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.builder import pipeline
from hardpan.builder.artifacts import Assessment, InstallMedia, OfflineContent, SshAccess
from hardpan.builder.build_plan import BuildPlan
from hardpan.builder.media.inspect import extract, find_files
from hardpan.builder.offline.size_plan import planned_bytes
from hardpan.core.errors import InputError
from hardpan.core.events import discard
from hardpan.core.files import MiB, Sha256, sha256_bytes, sha256_file
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.ssg import RULE_PREFIX, Fix
from tests.integration import tiny_media

pytestmark = pytest.mark.integration

KEY = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwN"
    "Dg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= x"
)
CONTENT = OfflineContent(
    data_stream=b"<ds/>\n" * 1000,
    profile_id="xccdf_org.ssgproject.content_profile_stig",
    assessment=Assessment(
        content_sha256=Sha256("0" * 64),
        counts={},
        fixes=(Fix(rule_id=f"{RULE_PREFIX}sample", severity="high", script="echo sample\n"),),
    ),
)
_LISTING = re.compile(r"^(\S{10})\S*\s+\d+\s+(\S+)\s+(\S+)\s+(\d+)\s.*'(/[^']*)'$", re.MULTILINE)


@pytest.fixture(scope="module", params=["el9", "el10"])
def media(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> InstallMedia:
    make_media: Callable[[Path], InstallMedia] = getattr(tiny_media, f"make_{request.param}_media")
    return make_media(tmp_path_factory.mktemp(request.param))


def make_plan(media: InstallMedia, folder: Path) -> BuildPlan:
    profile = load_profile("rocky9-stig").model_copy(update={"layers": ("stig",)})
    for name in ("out", "cache"):
        (folder / name).mkdir(parents=True)
    return BuildPlan(
        profile=profile,
        media=media,
        access=SshAccess(user=profile.build_user, private_key=folder / "key", public_key=KEY),
        output_folder=folder / "out",
        cache_folder=folder / "cache",
        emit=discard,
        offline=CONTENT,
    )


@pytest.fixture(scope="module")
def iso(media: InstallMedia, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline.build_iso(make_plan(media, tmp_path_factory.mktemp("built"))).path


def list_files(iso: Path) -> dict[str, tuple[str, str, str]]:
    """Path -> mode, owner and group of everything below /hardpan."""
    argv: list[str | Path] = ["xorriso", "-indev", iso, "-find", "/hardpan", "-exec", "lsdl", "--"]
    report = run(argv, timeout_s=60).stdout
    return {path: (mode, user, group) for mode, user, group, _, path in _LISTING.findall(report)}


def test_iso_has_playbook_roles_and_content(iso: Path) -> None:
    names = set(list_files(iso))

    assert {
        "/hardpan/SHA256SUMS",
        "/hardpan/apply.sh",
        "/hardpan/aide.sh",
        "/hardpan/hardpan-layers.service",
        "/hardpan/ansible/site.yml",
        "/hardpan/ansible/roles/stig/tasks/main.yml",
        "/hardpan/ansible/roles/stig/files/evaluate.py",
        "/hardpan/layers/00-stig/variables.json",
        "/hardpan/layers/00-stig/fixes.tar",
        "/hardpan/layers/00-stig/content.xml",
    } <= names
    # Of this profile's layers only, and nothing of the build machine's caches.
    assert not [n for n in names if "roles/ml_cpu" in n or "__pycache__" in n or n.endswith(".pyc")]


def test_every_file_has_the_digest_of_the_list(iso: Path, tmp_path: Path) -> None:
    extract(iso, {"/hardpan/SHA256SUMS": tmp_path / "sums"})
    lines = (tmp_path / "sums").read_text().splitlines()
    digests = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {path for path, (mode, *_) in list_files(iso).items() if mode[0] == "-"}

    assert {f"/hardpan/{name}" for name in digests} | {"/hardpan/SHA256SUMS"} == files
    extract(iso, {f"/hardpan/{n}": tmp_path / str(i) for i, n in enumerate(digests)})
    assert [sha256_file(tmp_path / str(i)) for i in range(len(digests))] == list(digests.values())
    assert digests["layers/00-stig/content.xml"] == sha256_bytes(CONTENT.data_stream)


def test_everything_belongs_to_root_and_nobody_else_can_write(iso: Path) -> None:
    listing = list_files(iso)

    assert {value for path, value in listing.items() if value[0][0] == "d"} == {
        ("drwxr-xr-x", "0", "0")
    }
    assert {value for path, value in listing.items() if value[0][0] != "d"} == {
        ("-rw-r--r--", "0", "0")
    }


def test_builds_with_the_same_inputs_have_the_same_bytes(
    media: InstallMedia, iso: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    old_umask = os.umask(0o077)
    try:
        second = pipeline.build_iso(make_plan(media, tmp_path / "elsewhere"))
    finally:
        os.umask(old_umask)

    assert second.sha256 == sha256_file(iso)


def test_iso_with_other_content_has_other_identifiers(
    media: InstallMedia, iso: Path, tmp_path: Path
) -> None:
    plan = make_plan(media, tmp_path)
    other = pipeline.build_iso(replace(plan, offline=replace(CONTENT, data_stream=b"<other/>")))

    uuids = [path.read_bytes()[0x8000 + 830 : 0x8000 + 846] for path in (iso, other.path)]
    assert uuids[0] != uuids[1]
    # ISO 9660 passes the media check of the installer.
    run(["checkisomd5", other.path], timeout_s=60)


def test_kickstart_on_the_iso_copies_the_files(iso: Path, tmp_path: Path) -> None:
    extract(iso, {"/ks.cfg": tmp_path / "ks.cfg"})

    assert "source=/run/install/repo/hardpan\n" in (tmp_path / "ks.cfg").read_text()


def test_size_is_planned_and_the_limit_checked_before_writing(
    media: InstallMedia, iso: Path, tmp_path: Path
) -> None:
    plan = make_plan(media, tmp_path)

    with pytest.raises(InputError) as caught:
        pipeline.build_iso(replace(plan, max_iso_mib=MiB(1)))

    message = str(caught.value)
    assert re.search(
        r"rocky9-stig\.iso: expected at most 1 MiB \(--max-size\), got \d+ MiB: media \d+ MiB,"
        r" layer stig 1 MiB$",
        message,
    )
    assert "larger --max-size" in caught.value.hint
    assert list((tmp_path / "out").glob("*.iso")) == []
    assert list((tmp_path / "cache").rglob("SHA256SUMS")) == []


def test_planned_size_is_not_exceeded(media: InstallMedia, iso: Path, tmp_path: Path) -> None:
    with pipeline.collect_payload(make_plan(media, tmp_path)) as payload:
        assert payload is not None
        planned = planned_bytes(media.size_bytes, payload)

    assert iso.stat().st_size <= planned < iso.stat().st_size + (3 << 20)


def test_iso_without_offline_has_no_folder(media: InstallMedia, tmp_path: Path) -> None:
    plan = replace(make_plan(media, tmp_path), offline=None)

    built = pipeline.build_iso(plan)

    assert built.payload_sha256 == ""
    assert find_files(built.path, ["/hardpan/SHA256SUMS"]) == {}
