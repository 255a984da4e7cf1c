import stat
from configparser import RawConfigParser
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.core.files import Sha256
from images.lab import boot, build, cpio, iso, mirror
from images.lab.media_definition import LAB_FOLDER, Globs, load_definition
from images.lab.root import render_release_files

DEP = """\
kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko.xz
kernel/drivers/virtio/virtio.ko.xz:
kernel/fs/isofs/isofs.ko.xz: kernel/drivers/cdrom/cdrom.ko.xz
kernel/drivers/cdrom/cdrom.ko.xz:
"""


def test_shipped_definition_is_valid_and_never_names_rocky() -> None:
    result = load_definition()

    assert result.volume_label == "HARDPAN-LAB-9"
    assert "audit" in result.packages
    assert not any("rocky" in name.lower() for name in result.packages)


def test_invalid_definition_reports_location_and_setting(tmp_path: Path) -> None:
    text = (LAB_FOLDER / "packages.yaml").read_text("utf-8")
    path = tmp_path / "packages.yaml"
    path.write_text(text.replace('release: "9.0"', "release: 9.0"), "utf-8")
    line = text.splitlines().index('    release: "9.0"') + 1

    with pytest.raises(InputError) as caught:
        load_definition(path)

    problem = "releases.9.release: expected text (quote it), got 9.0"
    assert str(caught.value) == f"{path}:{line}:14: {problem}"


def test_releases_differ_in_version_label_and_modules() -> None:
    el9, el10 = load_definition(major="9"), load_definition(major="10")

    assert (el9.release, el9.volume_label, el9.has_modules) == ("9.0", "HARDPAN-LAB-9", True)
    assert (el10.release, el10.volume_label, el10.has_modules) == ("10.0", "HARDPAN-LAB-10", False)
    assert "libengine-pkcs11-openssl" in el10.excluded_packages - el9.excluded_packages
    assert "/usr/lib/systemd/system/audit-rules.service" in el9.removed_paths
    assert "/usr/lib/systemd/system/audit-rules.service" not in el10.removed_paths


def test_release_files_name_their_release() -> None:
    files = render_release_files("10.0")

    assert 'VERSION_ID="10.0"\n' in files["usr/lib/os-release"]
    assert 'PLATFORM_ID="platform:el10"\n' in files["usr/lib/os-release"]
    assert files["etc/dnf/vars/releasever"] == "10\n"
    assert files["etc/system-release-cpe"] == "cpe:/o:hardpan:lab:10\n"


def test_modules_are_ordered_after_their_dependencies() -> None:
    order = boot.order_modules(
        ("isofs", "virtio_blk", "usb_storage"), DEP, "kernel/fs/squashfs/squashfs.ko\n"
    )

    assert [p.rpartition("/")[2] for p in order] == [
        "cdrom.ko.xz",
        "isofs.ko.xz",
        "virtio.ko.xz",
        "virtio_blk.ko.xz",
    ]


def test_kernel_without_required_module_is_refused() -> None:
    with pytest.raises(InputError, match="has no module overlay"):
        boot.order_modules(("overlay",), DEP, "")


def test_menu_offers_install_with_and_without_fips() -> None:
    menu = boot.render_grub_cfg(load_definition())
    lines = [line for line in menu.splitlines() if line.strip().startswith("linux ")]

    assert menu.count("menuentry ") == 2
    assert all("inst.stage2=hd:LABEL=HARDPAN-LAB-9" in line for line in lines)
    assert ["fips=1" in line for line in lines] == [False, True]
    assert "search --no-floppy --set=root -l 'HARDPAN-LAB-9'" in menu


def test_treeinfo_is_productmd_format_with_checksums() -> None:
    ini = RawConfigParser()
    ini.read_string(
        iso.render_treeinfo(
            load_definition(), {"images/install.img": Sha256("ab" * 32)}, 1700000000
        )
    )

    assert ini["header"]["type"] == "productmd.treeinfo"
    assert ini["checksums"]["images/install.img"] == "sha256:" + "ab" * 32
    assert ini["stage2"]["mainimage"] == "images/install.img"
    assert ini["images-x86_64"]["kernel"] == "images/pxeboot/vmlinuz"
    assert ini["variant-AppStream"]["repository"] == "AppStream"


def test_discinfo_has_four_lines() -> None:
    assert iso.render_discinfo(load_definition(), 17).splitlines() == [
        "17.000000",
        "hardpan lab 9.0",
        "x86_64",
        "ALL",
    ]


def test_cpio_archive_is_newc_and_reproducible() -> None:
    result = cpio.build_archive(
        [cpio.directory_entry("bin"), cpio.file_entry("init", b"hello", 0o755)]
    )

    assert result.startswith(b"070701")
    assert len(result) % 512 == 0
    assert f"{stat.S_IFREG | 0o755:08X}".encode() in result
    assert b"TRAILER!!!\0" in result
    assert result == cpio.build_archive(
        [cpio.directory_entry("bin"), cpio.file_entry("init", b"hello", 0o755)]
    )


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("http://m/debian|Debian|main|bookworm\n", "http://m/debian"),
        (
            "http://m/debian-security/|Debian|main|bookworm-security\nhttp://m/debian/|Debian|main|x\n",
            "http://m/debian",
        ),
        ("http://u/ubuntu|Ubuntu|main|noble\n", None),
        ("http://m/debian-security|Debian|main|bookworm-security\n", None),
        ("", None),
    ],
)
def test_debian_archive_is_selected_from_apt_targets(targets: str, expected: str | None) -> None:
    assert mirror.select_archive(targets) == expected


def test_parse_simulation_returns_names_and_versions() -> None:
    simulation = "Inst bash (5.2-1 Debian:13/stable [amd64])\nConf bash (5.2-1)\nInst a [1] (2 X)\n"

    assert mirror.parse_simulation(simulation) == {"a": "2", "bash": "5.2-1"}


def test_glob_star_stays_in_folder_and_double_star_crosses() -> None:
    result = Globs(("/etc/*.conf", "/usr/**", "/etc/rc?.d"))

    assert "/etc/a.conf" in result
    assert "/etc/x/a.conf" not in result
    assert "/usr/a/b" in result
    assert "/etc/rc3.d" in result


def test_inputs_digest_covers_content_versions_and_executable_bit(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("x")
    first = build.digest_inputs({"a": "1"}, {"f": file})
    versions = build.digest_inputs({"a": "2"}, {"f": file})
    file.chmod(0o755)
    mode = build.digest_inputs({"a": "1"}, {"f": file})

    assert len({first, versions, mode}) == 3
