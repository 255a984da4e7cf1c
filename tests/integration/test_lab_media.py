"""The built lab media: what an installer, dnf and a boot loader will ask of it."""

import hashlib
import json
import sys
from configparser import RawConfigParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hardpan.files import sha256_file
from hardpan.process import run
from images.lab.recipe import load

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
    wanted = (
        ".treeinfo",
        ".discinfo",
        "BaseOS/repodata",
        "AppStream/repodata",
        "images",
        "boot/grub2/grub.cfg",
        "EFI/BOOT",
        "RPM-GPG-KEY-hardpan-lab",
    )
    extracts = [part for name in wanted for part in ("-extract", f"/{name}", out / name)]
    run(["xorriso", "-osirrox", "on", "-indev", media, *extracts], timeout_s=120)
    return out


def test_the_receipt_tells_the_truth(lab_media: dict[str, object], media: Path) -> None:
    assert lab_media["sha256"] == sha256_file(media)
    assert lab_media["size"] == media.stat().st_size
    assert lab_media["volume_label"] == "HARDPAN-LAB-9"


def test_the_debian_versions_it_is_made_of_are_recorded(
    lab_media: dict[str, object], media: Path
) -> None:
    digest = media.stem.rpartition("-")[2]
    told = json.loads((media.parent / f"packages-{digest}.json").read_text("utf-8"))

    assert told["suite"] == "trixie"
    kernel = told["packages"]["linux-image-cloud-amd64"]
    assert str(lab_media["kernel"]).startswith(f"{kernel.partition('-')[0]}+")
    assert told["packages"].keys() <= set(load().wanted)
    assert told["brought"].keys() >= {"libc6", "libssl3t64"}


def test_treeinfo_names_files_that_have_the_digests_it_says(tree: Path) -> None:
    ini = RawConfigParser()
    ini.optionxform = str  # type: ignore[assignment,method-assign]
    ini.read(tree / ".treeinfo")

    sums = dict(ini["checksums"])
    assert "images/install.img" in sums
    for name, digest in sums.items():
        assert digest == f"sha256:{sha256_file(tree / name)}", name


def test_the_repositories_list_signed_packages_that_are_there(media: Path, tree: Path) -> None:
    for repo in ("BaseOS", "AppStream"):
        repomd = tree / repo / "repodata/repomd.xml"
        assert (repomd.parent / "repomd.xml.asc").exists()
        for data in ET.parse(repomd).getroot().findall("r:data", NS):  # noqa: S314  (our own)
            location, checksum = data.find("r:location", NS), data.find("r:checksum", NS)
            assert location is not None
            assert checksum is not None
            body = (tree / repo / location.attrib["href"]).read_bytes()
            assert hashlib.sha256(body).hexdigest() == checksum.text


def test_an_rpm_has_a_good_signature_by_the_key_on_the_media(
    media: Path, tree: Path, tmp_path: Path
) -> None:
    listing = run(
        ["xorriso", "-indev", media, "-find", "/AppStream/Packages", "-name", "audit-*.rpm"],
        timeout_s=60,
    ).stdout
    (found,) = [line.strip("'") for line in listing.split() if line.strip("'").endswith(".rpm")]
    rpm = tmp_path / "audit.rpm"
    run(["xorriso", "-osirrox", "on", "-indev", media, "-extract", found, rpm], timeout_s=60)
    database = ["--dbpath", tmp_path / "db"]
    run(["rpm", *database, "--import", tree / "RPM-GPG-KEY-hardpan-lab"], timeout_s=60)

    said = run(["rpm", *database, "-K", rpm], timeout_s=60).stdout
    assert "signatures OK" in said
    files = run(["rpm", "-qpl", rpm], timeout_s=60).stdout.splitlines()
    assert "/usr/sbin/auditd" in files


def test_the_boot_records_are_laid_out_as_el_10_has_them(media: Path) -> None:
    said = run(
        ["xorriso", "-indev", media, "-report_el_torito", "plain", "-report_system_area", "plain"],
        timeout_s=60,
    ).stdout

    assert "BIOS  y" in said
    assert "UEFI  y" in said
    assert "grub2-mbr" in said
    # The type of the EFI system partition, in GPT's byte order, on partition 2.
    assert "GPT type GUID      :   2  28732ac11ff8d211ba4b00a0c93ec93b" in said


def test_both_menus_are_the_same_and_offer_fips(tree: Path) -> None:
    bios, uefi = tree / "boot/grub2/grub.cfg", tree / "EFI/BOOT/grub.cfg"

    assert bios.read_bytes() == uefi.read_bytes()
    assert "fips=1" in bios.read_text("utf-8")


def test_a_second_build_reuses_the_first(media: Path) -> None:
    again = run(
        [sys.executable, "-m", "images.lab.build", "--cache", media.parent], timeout_s=120, cwd=REPO
    )

    assert '"reused": true' in again.stdout
    assert str(media) in again.stdout
