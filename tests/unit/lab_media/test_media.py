import stat
from configparser import RawConfigParser
from pathlib import Path

import pytest

from hardpan.errors import InputError
from hardpan.files import Sha256
from images.lab import boot, build, cpio, iso, mirror
from images.lab.recipe import Globs, load

DEP = """\
kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko.xz
kernel/drivers/virtio/virtio.ko.xz:
kernel/fs/isofs/isofs.ko.xz: kernel/drivers/cdrom/cdrom.ko.xz
kernel/drivers/cdrom/cdrom.ko.xz:
"""


def test_the_shipped_recipe_is_valid_and_never_says_rocky() -> None:
    found = load()

    assert found.volume_label == "HARDPAN-LAB-9"
    assert "audit" in found.packages
    assert not any("rocky" in name.lower() for name in found.packages)


def test_modules_come_after_what_they_need() -> None:
    order = boot.install_modules_order(
        ("isofs", "virtio_blk", "usb_storage"), DEP, "kernel/fs/squashfs/squashfs.ko\n"
    )

    assert [p.rpartition("/")[2] for p in order] == [
        "cdrom.ko.xz",
        "isofs.ko.xz",
        "virtio.ko.xz",
        "virtio_blk.ko.xz",
    ]


def test_a_kernel_without_a_needed_module_is_refused() -> None:
    with pytest.raises(InputError, match="has no module overlay"):
        boot.install_modules_order(("overlay",), DEP, "")


def test_the_menu_offers_the_install_with_and_without_fips() -> None:
    menu = boot.grub_cfg(load())
    lines = [line for line in menu.splitlines() if line.strip().startswith("linux ")]

    assert menu.count("menuentry ") == 2
    assert all("inst.stage2=hd:LABEL=HARDPAN-LAB-9" in line for line in lines)
    assert ["fips=1" in line for line in lines] == [False, True]
    assert "search --no-floppy --set=root -l 'HARDPAN-LAB-9'" in menu


def test_treeinfo_is_productmds_with_checksums() -> None:
    ini = RawConfigParser()
    ini.read_string(iso.treeinfo(load(), {"images/install.img": Sha256("ab" * 32)}, 1700000000))

    assert ini["header"]["type"] == "productmd.treeinfo"
    assert ini["checksums"]["images/install.img"] == "sha256:" + "ab" * 32
    assert ini["stage2"]["mainimage"] == "images/install.img"
    assert ini["images-x86_64"]["kernel"] == "images/pxeboot/vmlinuz"
    assert ini["variant-AppStream"]["repository"] == "AppStream"


def test_discinfo_has_its_four_lines() -> None:
    assert iso.discinfo(load(), 17).splitlines() == [
        "17.000000",
        "hardpan lab 9.0",
        "x86_64",
        "ALL",
    ]


def test_an_archive_is_what_the_kernel_reads() -> None:
    found = cpio.archive([cpio.folder("bin"), cpio.file("init", b"hello", 0o755)])

    assert found.startswith(b"070701")
    assert len(found) % 512 == 0
    assert f"{stat.S_IFREG | 0o755:08X}".encode() in found
    assert b"TRAILER!!!\0" in found
    assert found == cpio.archive([cpio.folder("bin"), cpio.file("init", b"hello", 0o755)])


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
def test_the_debian_archive_is_picked_from_apts_targets(targets: str, expected: str | None) -> None:
    assert mirror.pick(targets) == expected


def test_a_simulated_install_gives_names_and_versions() -> None:
    said = "Inst bash (5.2-1 Debian:13/stable [amd64])\nConf bash (5.2-1)\nInst a [1] (2 X)\n"

    assert mirror.parse_simulation(said) == {"a": "2", "bash": "5.2-1"}


def test_a_glob_star_stays_in_its_folder_and_two_cross_it() -> None:
    found = Globs(("/etc/*.conf", "/usr/**", "/etc/rc?.d"))

    assert "/etc/a.conf" in found
    assert "/etc/x/a.conf" not in found
    assert "/usr/a/b" in found
    assert "/etc/rc3.d" in found


def test_the_digest_sees_content_versions_and_the_executable_bit(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("x")
    first = build.inputs_digest({"a": "1"}, {"f": file})
    versions = build.inputs_digest({"a": "2"}, {"f": file})
    file.chmod(0o755)
    mode = build.inputs_digest({"a": "1"}, {"f": file})

    assert len({first, versions, mode}) == 3
