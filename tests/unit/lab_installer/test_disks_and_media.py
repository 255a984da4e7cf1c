"""Which disk is meant, which kickstart is meant, and what is run for it."""

from pathlib import Path

import pytest

from images.lab.installer import accounts, bootloader, media, payload
from images.lab.installer.disks import Disk, choose, present
from images.lab.installer.plan import InstallError, MiB, Packages, Password, Storage, User

VDA = Disk(path="/dev/vda", size_mib=MiB(10240))
VDB = Disk(path="/dev/vdb", size_mib=MiB(20480))


def _storage(
    disk: str | None = None,
    clear: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
) -> Storage:
    return Storage(
        disk=disk, clear=clear, only_use=only, ignore=ignore, partitions=(), groups=(), volumes=()
    )


@pytest.mark.parametrize(
    ("storage", "target", "cleared"),
    [
        (_storage(), VDA, (VDA, VDB)),
        (_storage(disk="vdb"), VDB, (VDA, VDB)),
        (_storage(only=("vdb",)), VDB, (VDB,)),
        (_storage(ignore=("vda",)), VDB, (VDB,)),
        (_storage(clear=("vdb",)), VDB, (VDB,)),
        (_storage(disk="disk/by-id/virtio-b"), VDB, (VDA, VDB)),
    ],
)
def test_the_disk_is_the_one_the_kickstart_names_or_the_first(
    storage: Storage, target: Disk, cleared: tuple[Disk, ...]
) -> None:
    names = {"/dev/disk/by-id/virtio-b": "/dev/vdb"}

    assert choose(storage, [VDA, VDB], names) == (target, cleared)


@pytest.mark.parametrize(
    ("storage", "problem"),
    [
        (_storage(disk="sda"), "the disk 'sda' of the kickstart is not there; found: vda (10240"),
        (_storage(only=("vdc",)), "the disk 'vdc' of the kickstart is not there"),
        (_storage(ignore=("vda", "vdb")), "no disk to install to"),
        (_storage(disk="vda", ignore=("vda",)), "excluded by ignoredisk, yet the kickstart names"),
        (_storage(disk="vda", clear=("vdb",)), "but clearpart does not clear it"),
    ],
)
def test_a_disk_that_cannot_be_used_is_an_error(storage: Storage, problem: str) -> None:
    with pytest.raises(InstallError) as caught:
        choose(storage, [VDA, VDB], {})

    assert problem in str(caught.value)


def test_only_fixed_writable_disks_count(tmp_path: Path) -> None:
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

    assert present(tmp_path) == (Disk(path="/dev/vda", size_mib=MiB(10)),)


def test_the_kernel_command_line_is_read() -> None:
    found = media.boot(
        "BOOT_IMAGE=/x inst.ks=hd:LABEL=HARDPAN-LAB-9:/ks.cfg fips=1 inst.ksstrict "
        "inst.nosave=input_ks console=ttyS0,115200\n"
    )

    assert found.kickstart == "hd:LABEL=HARDPAN-LAB-9:/ks.cfg"
    assert (found.fips, found.strict, found.keep_kickstart) == (True, True, False)
    assert media.boot("inst.ks=file:/x").keep_kickstart


def test_no_kickstart_is_an_error() -> None:
    with pytest.raises(InstallError, match="no kickstart"):
        media.boot("inst.text fips=1")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("hd:LABEL=X:/ks.cfg", ("LABEL=X", "/ks.cfg")),
        ("hd:vdb1:/a/b.ks", ("vdb1", "/a/b.ks")),
        ("file:///run/ks.cfg", ("", "/run/ks.cfg")),
    ],
)
def test_a_kickstarts_address_is_taken_apart(value: str, found: tuple[str, str]) -> None:
    assert media.source(value) == found


@pytest.mark.parametrize("value", ["http://example/ks", "nfs:x:/y", "cdrom:/ks", "hd:X", "hd::/x"])
def test_another_kind_of_address_is_refused_with_the_known_ones(value: str) -> None:
    with pytest.raises(InstallError, match="expected hd:LABEL=NAME:/PATH"):
        media.source(value)


def test_dnf_makes_one_transaction_that_stops_at_a_missing_package() -> None:
    argv = payload.dnf_argv(
        Packages(install=("aide", "audit"), exclude=("telnet",), weak=False, docs=False)
    )

    assert argv[0] == "dnf"
    assert argv[-3:] == ["install", "aide", "audit"]
    assert {
        "-y",
        "--installroot=/mnt/sysroot",
        "--setopt=install_weak_deps=False",
        "--setopt=strict=True",
        "--exclude=telnet",
        "--nodocs",
    } <= set(argv)
    assert "--setopt=strict=False" in payload.dnf_argv(Packages(ignore_missing=True))


def test_a_password_hash_is_not_in_useradds_arguments() -> None:
    user = User(
        name="bob", password=Password(crypted="$6$a$b"), groups=("wheel",), uid=1234, gecos="B B"
    )

    assert accounts.useradd(user) == [
        *("useradd", "--create-home", "--groups", "wheel", "--uid", "1234", "--comment", "B B"),
        "bob",
    ]


def test_grub_is_installed_for_both_firmwares() -> None:
    bios = bootloader.grub_install("i386-pc", "/dev/vda")
    uefi = bootloader.grub_install("x86_64-efi", "/dev/vda")

    assert bios[-1] == "/dev/vda"
    assert uefi[-3:] == ["--efi-directory=/boot/efi", "--removable", "--no-nvram"]
