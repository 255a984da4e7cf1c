"""Which disk is meant, which kickstart is meant, and what is run for it."""

from pathlib import Path

import pytest

from images.lab.installer import accounts, bootloader, media
from images.lab.installer.disks import InstallDisk, choose_disks, list_disks
from images.lab.installer.plan import (
    InstallError,
    MiB,
    Password,
    StoragePlan,
    UserAccount,
)

VDA = InstallDisk(path="/dev/vda", size_mib=MiB(10240))
VDB = InstallDisk(path="/dev/vdb", size_mib=MiB(20480))


def _make_storage(
    disk: str | None = None,
    clear: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
) -> StoragePlan:
    return StoragePlan(
        disk=disk, clear=clear, only_use=only, ignore=ignore, partitions=(), groups=(), volumes=()
    )


@pytest.mark.parametrize(
    ("storage", "target", "cleared"),
    [
        (_make_storage(), VDA, (VDA, VDB)),
        (_make_storage(disk="vdb"), VDB, (VDA, VDB)),
        (_make_storage(only=("vdb",)), VDB, (VDB,)),
        (_make_storage(ignore=("vda",)), VDB, (VDB,)),
        (_make_storage(clear=("vdb",)), VDB, (VDB,)),
        (_make_storage(disk="disk/by-id/virtio-b"), VDB, (VDA, VDB)),
    ],
)
def test_install_disk_is_named_by_kickstart_or_first(
    storage: StoragePlan, target: InstallDisk, cleared: tuple[InstallDisk, ...]
) -> None:
    names = {"/dev/disk/by-id/virtio-b": "/dev/vdb"}

    assert choose_disks(storage, [VDA, VDB], names) == (target, cleared)


@pytest.mark.parametrize(
    ("storage", "problem"),
    [
        (
            _make_storage(disk="sda"),
            "the disk 'sda' of the kickstart does not exist; available: vda (10240",
        ),
        (_make_storage(only=("vdc",)), "the disk 'vdc' of the kickstart does not exist"),
        (_make_storage(ignore=("vda", "vdb")), "no disk to install to"),
        (
            _make_storage(disk="vda", ignore=("vda",)),
            "excluded by ignoredisk, yet the kickstart names",
        ),
        (_make_storage(disk="vda", clear=("vdb",)), "but clearpart does not clear it"),
    ],
)
def test_unusable_disk_is_an_error(storage: StoragePlan, problem: str) -> None:
    with pytest.raises(InstallError) as caught:
        choose_disks(storage, [VDA, VDB], {})

    assert problem in str(caught.value)


def test_list_disks_ignores_removable_and_read_only(tmp_path: Path) -> None:
    for name, size, readonly in (
        ("vda", 20480, 0),
        ("vdb", 4096, 1),
        ("sr0", 4096, 0),
        ("loop0", 4096, 0),
        ("vdc", 0, 0),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "size").write_text(f"{size}\n")
        (tmp_path / name / "ro").write_text(f"{readonly}\n")

    assert list_disks(tmp_path) == (InstallDisk(path="/dev/vda", size_mib=MiB(10)),)


def test_boot_options_are_parsed_from_kernel_command_line() -> None:
    options = media.parse_boot_options(
        "BOOT_IMAGE=/x inst.ks=hd:LABEL=HARDPAN-LAB-9:/ks.cfg fips=1 inst.ksstrict "
        "inst.nosave=input_ks console=ttyS0,115200\n"
    )

    assert options.kickstart == "hd:LABEL=HARDPAN-LAB-9:/ks.cfg"
    assert (options.fips, options.strict) == (True, True)


@pytest.mark.parametrize(
    ("nosave", "saved"),
    [
        ("", (True, True, True)),
        ("input_ks", (False, True, True)),
        ("output_ks", (True, False, True)),
        ("all_ks", (False, False, True)),
        ("logs", (True, True, False)),
        ("input_ks,logs", (False, True, False)),
        ("all", (False, False, False)),
    ],
)
def test_nosave_keeps_kickstarts_and_logs_from_the_target(
    nosave: str, saved: tuple[bool, bool, bool]
) -> None:
    options = media.parse_boot_options(f"inst.ks=file:/x inst.nosave={nosave}")

    assert saved == (
        options.save_input_kickstart,
        options.save_output_kickstart,
        options.save_logs,
    )


def test_command_line_without_kickstart_is_an_error() -> None:
    with pytest.raises(InstallError, match="no kickstart"):
        media.parse_boot_options("inst.text fips=1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("hd:LABEL=X:/ks.cfg", ("LABEL=X", "/ks.cfg")),
        ("hd:vdb1:/a/b.ks", ("vdb1", "/a/b.ks")),
        ("file:///run/ks.cfg", ("", "/run/ks.cfg")),
    ],
)
def test_kickstart_source_is_parsed(value: str, expected: tuple[str, str]) -> None:
    assert media.parse_kickstart_source(value) == expected


@pytest.mark.parametrize("value", ["http://example/ks", "nfs:x:/y", "cdrom:/ks", "hd:X", "hd::/x"])
def test_unsupported_kickstart_source_is_refused_with_supported_forms(value: str) -> None:
    with pytest.raises(InstallError, match="expected hd:LABEL=NAME:/PATH"):
        media.parse_kickstart_source(value)


def test_useradd_argv_has_no_password_hash() -> None:
    user = UserAccount(
        name="bob", password=Password(crypted="$6$a$b"), groups=("wheel",), uid=1234, gecos="B B"
    )

    assert accounts.useradd_argv(user) == [
        *("useradd", "--create-home", "--groups", "wheel", "--uid", "1234", "--comment", "B B"),
        "bob",
    ]


def test_boot_entries_are_listed_by_label() -> None:
    listing = (
        "BootCurrent: 0001\n"
        "Boot0001* hardpan lab\tHD(2,GPT,x)/File(\\EFI\\debian\\shimx64.efi)\n"
        "Boot000A  hardpan lab\n"
        "Boot0002* hardpan lab 2\n"
        "Boot0003* UEFI Misc Device\n"
    )

    assert bootloader.find_entries(listing) == ["0001", "000A"]
