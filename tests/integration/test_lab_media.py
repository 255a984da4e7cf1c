"""The built lab media: what an installer, dnf and a boot loader will ask of it."""

import hashlib
import json
import sys
from configparser import RawConfigParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hardpan.core.files import sha256_file
from hardpan.core.process import run
from images.lab.media_definition import load_definition
from tests.integration.lab_host import Payload

pytestmark = pytest.mark.integration
REPO = Path(__file__).parents[2]
NS = {"r": "http://linux.duke.edu/metadata/repo"}


@pytest.fixture(scope="module")
def media(lab_media: dict[str, object]) -> Path:
    return Path(str(lab_media["iso"]))


@pytest.fixture(scope="module")
def tree(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The media's small files and a few of its packages."""
    out = tmp_path_factory.mktemp("tree")
    names = (
        ".treeinfo",
        ".discinfo",
        "BaseOS/repodata",
        "AppStream/repodata",
        "images",
        "boot/grub2/grub.cfg",
        "EFI/BOOT",
        "RPM-GPG-KEY-hardpan-lab",
    )
    extracts = [part for name in names for part in ("-extract", f"/{name}", out / name)]
    run(["xorriso", "-osirrox", "on", "-indev", media, *extracts], timeout_s=120)
    return out


def test_receipt_matches_media(lab_media: dict[str, object], media: Path) -> None:
    assert lab_media["sha256"] == sha256_file(media)
    assert lab_media["size"] == media.stat().st_size
    assert lab_media["volume_label"] == "HARDPAN-LAB-9"


def test_debian_versions_are_recorded(lab_media: dict[str, object], media: Path) -> None:
    digest = media.stem.rpartition("-")[2]
    record = json.loads((media.parent / f"packages-{digest}.json").read_text("utf-8"))

    assert record["suite"] == "trixie"
    kernel = record["packages"]["linux-image-cloud-amd64"]
    assert str(lab_media["kernel"]).startswith(f"{kernel.partition('-')[0]}+")
    assert record["packages"].keys() <= set(load_definition().install_packages)
    assert record["dependencies"].keys() >= {"libc6", "libssl3t64"}


def test_treeinfo_checksums_match_files(tree: Path) -> None:
    ini = RawConfigParser()
    ini.optionxform = str  # type: ignore[assignment,method-assign]
    ini.read(tree / ".treeinfo")

    sums = dict(ini["checksums"])
    assert "images/install.img" in sums
    for name, digest in sums.items():
        assert digest == f"sha256:{sha256_file(tree / name)}", name


def test_repositories_list_existing_signed_packages(media: Path, tree: Path) -> None:
    for repo in ("BaseOS", "AppStream"):
        repomd = tree / repo / "repodata/repomd.xml"
        assert (repomd.parent / "repomd.xml.asc").exists()
        for data in ET.parse(repomd).getroot().findall("r:data", NS):  # noqa: S314  (our own)
            location, checksum = data.find("r:location", NS), data.find("r:checksum", NS)
            assert location is not None
            assert checksum is not None
            body = (tree / repo / location.attrib["href"]).read_bytes()
            assert hashlib.sha256(body).hexdigest() == checksum.text


def test_repositories_have_groups_and_el_9_module_streams(tree: Path) -> None:
    types = {
        repo: {
            data.attrib["type"]
            for data in ET.parse(tree / repo / "repodata/repomd.xml")  # noqa: S314  (our own)
            .getroot()
            .findall("r:data", NS)
        }
        for repo in ("BaseOS", "AppStream")
    }
    assert "group" in types["BaseOS"]
    assert "modules" not in types["BaseOS"]
    assert "modules" in types["AppStream"]
    (comps,) = (tree / "BaseOS/repodata").glob("*comps*.xml")
    root = ET.parse(comps).getroot()  # noqa: S314  (our own)
    members = {m.text for m in root.findall("group[id='core']/packagelist/packagereq")}
    assert {"NetworkManager", "audit", "dnf", "firewalld", "grubby", "openssh-server"} <= members
    assert root.find("environment[id='minimal-environment']") is not None


def test_payload_has_no_package_that_a_minimal_el_system_lacks(lab_payload: Payload) -> None:
    # Debian's rpm of this machine has its own place for the database.
    query = ["rpm", "--root", lab_payload.root, "--dbpath", "/var/lib/rpm", "-qa"]
    names = set(run([*query, "--qf", "%{NAME}\\n"], timeout_s=120).stdout.split())

    assert {"NetworkManager", "dracut", "kernel-core", "sssd-common"} <= names
    lacking = {"attr", "bc", "bzip2", "file", "gdisk", "jq", "lz4", "rsync", "tar", "zstd"}
    assert not lacking & names
    for program in ("bc", "bzip2", "file", "jq", "rsync", "sgdisk", "tar", "unsquashfs", "zstd"):
        assert not (lab_payload.root / "usr/bin" / program).exists(), program
        assert not (lab_payload.root / "usr/sbin" / program).exists(), program


def test_rpm_signature_verifies_with_key_on_media(media: Path, tree: Path, tmp_path: Path) -> None:
    listing = run(
        ["xorriso", "-indev", media, "-find", "/BaseOS/Packages/a", "-name", "audit-4*.rpm"],
        timeout_s=60,
    ).stdout
    (rpm_path,) = [line.strip("'") for line in listing.split() if line.strip("'").endswith(".rpm")]
    rpm = tmp_path / "audit.rpm"
    run(["xorriso", "-osirrox", "on", "-indev", media, "-extract", rpm_path, rpm], timeout_s=60)
    database = ["--dbpath", tmp_path / "db"]
    run(["rpm", *database, "--import", tree / "RPM-GPG-KEY-hardpan-lab"], timeout_s=60)

    output = run(["rpm", *database, "-K", rpm], timeout_s=60).stdout
    assert "signatures OK" in output
    files = run(["rpm", "-qpl", rpm], timeout_s=60).stdout.splitlines()
    assert "/usr/sbin/auditd" in files


def test_boot_records_match_el_10_layout(media: Path) -> None:
    output = run(
        ["xorriso", "-indev", media, "-report_el_torito", "plain", "-report_system_area", "plain"],
        timeout_s=60,
    ).stdout

    assert "BIOS  y" in output
    assert "UEFI  y" in output
    assert "grub2-mbr" in output
    # The type of the EFI system partition, in GPT's byte order, on partition 2.
    assert "GPT type GUID      :   2  28732ac11ff8d211ba4b00a0c93ec93b" in output


def test_menus_are_identical_and_offer_fips(tree: Path) -> None:
    bios, uefi = tree / "boot/grub2/grub.cfg", tree / "EFI/BOOT/grub.cfg"

    assert bios.read_bytes() == uefi.read_bytes()
    assert "fips=1" in bios.read_text("utf-8")


def test_second_build_reuses_cached_media(media: Path) -> None:
    again = run(
        [sys.executable, "-m", "images.lab.build", "--cache", media.parent], timeout_s=120, cwd=REPO
    )

    assert '"reused": true' in again.stdout
    assert str(media) in again.stdout
