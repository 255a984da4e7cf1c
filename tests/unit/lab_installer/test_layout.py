"""Sizes, places, and the commands that make them."""

import pytest

from images.lab.installer import layout
from images.lab.installer.layout import (
    PartitionExtent,
    SizeRequest,
    compute_extents,
    distribute_space,
    place_partitions,
)
from images.lab.installer.plan import (
    InstallError,
    Luks,
    MiB,
    PartitionKind,
    PartitionSpec,
    Volume,
    VolumeGroup,
)


def _make_request(size: int, *, grow: bool = False, max_size: int | None = None) -> SizeRequest:
    return SizeRequest(name="x", size=size, max_size=max_size, grow=grow)


@pytest.mark.parametrize(
    ("requests", "space", "sizes"),
    [
        ([_make_request(10), _make_request(20)], 100, [10, 20]),
        ([_make_request(10), _make_request(20, grow=True)], 100, [10, 90]),
        ([_make_request(10, grow=True), _make_request(30, grow=True)], 100, [25, 75]),
        ([_make_request(10, grow=True, max_size=12), _make_request(30, grow=True)], 100, [12, 88]),
        ([_make_request(10, grow=True, max_size=12), _make_request(30)], 100, [12, 30]),
        (
            [_make_request(1, grow=True), _make_request(1, grow=True), _make_request(1, grow=True)],
            10,
            [3, 3, 4],
        ),
        ([_make_request(50), _make_request(50, grow=True)], 100, [50, 50]),
        ([], 100, []),
    ],
)
def test_growing_sizes_share_remaining_space_in_proportion(
    requests: list[SizeRequest], space: int, sizes: list[int]
) -> None:
    assert distribute_space(requests, space) == sizes


def test_too_small_disk_is_reported_with_sizes() -> None:
    parts = [_make_partition("/boot", 1024), _make_partition("/", 8192)]

    with pytest.raises(InstallError) as caught:
        place_partitions(parts, 8192, "vda (8192 MiB)")

    assert str(caught.value) == (
        "not enough disk space on vda (8192 MiB), in MiB: needed 9216, available 8190 "
        "(/boot 1024, / 8192)"
    )


def _make_partition(
    mount: str, size: int, *, grow: bool = False, kind: PartitionKind = PartitionKind.FILESYSTEM
) -> PartitionSpec:
    return PartitionSpec(kind=kind, mount=mount, fstype="xfs", size_mib=MiB(size), grow=grow)


def test_partitions_are_contiguous_between_gpts() -> None:
    result = place_partitions(
        [_make_partition("/boot", 1024), _make_partition("/", 100, grow=True)], 10240, "vda"
    )

    assert [(s.number, s.start_mib, s.size_mib) for s in result] == [(1, 1, 1024), (2, 1025, 9214)]


@pytest.mark.parametrize(
    ("disk", "device"),
    [("/dev/vda", "/dev/vda2"), ("/dev/nvme0n1", "/dev/nvme0n1p2"), ("/dev/sdb", "/dev/sdb2")],
)
def test_partition_device_name_follows_disk_name(disk: str, device: str) -> None:
    slot = PartitionExtent(
        number=2, start_mib=MiB(1), size_mib=MiB(1), partition=_make_partition("/", 1)
    )

    assert slot.device(disk) == device


def test_sgdisk_argv_names_start_and_end_of_each_partition() -> None:
    parts = [
        _make_partition("biosboot", 1, kind=PartitionKind.BIOSBOOT),
        _make_partition("pv.01", 1, grow=True, kind=PartitionKind.PV),
    ]

    assert layout.sgdisk_argv("/dev/vda", place_partitions(parts, 100, "vda")) == [
        "sgdisk",
        "--zap-all",
        "--clear",
        "--set-alignment=2048",
        "--new=1:2048:4095",
        "--typecode=1:ef02",
        "--change-name=1:BIOS boot",
        "--new=2:4096:202751",
        "--typecode=2:8e00",
        "--change-name=2:LVM",
        "/dev/vda",
    ]


def _make_volume(name: str, size: int, *, grow: bool = False) -> Volume:
    return Volume(
        mount=f"/{name}", group="vg0", name=name, fstype="xfs", size_mib=MiB(size), grow=grow
    )


def test_volumes_are_rounded_up_to_extents() -> None:
    group = VolumeGroup(name="vg0", pvs=("pv.01",))

    assert compute_extents(group, [_make_volume("a", 5), _make_volume("b", 4, grow=True)], 100) == [
        2,
        98,
    ]


def test_oversized_volumes_are_reported_before_disk_is_changed() -> None:
    partition_extents = place_partitions(
        [_make_partition("pv.01", 1, grow=True, kind=PartitionKind.PV)], 1000, "vda"
    )
    group = VolumeGroup(name="vg0", pvs=("pv.01",))

    layout.compute_group_sizes(
        group, [_make_volume("a", 500), _make_volume("b", 497, grow=True)], partition_extents
    )
    with pytest.raises(InstallError) as caught:
        layout.compute_group_sizes(
            group, [_make_volume("a", 500), _make_volume("b", 498)], partition_extents
        )

    assert str(caught.value) == (
        "not enough disk space in vg0, in MiB: needed 998, available 997 (a 500, b 498)"
    )


def test_too_small_volume_group_is_an_error() -> None:
    with pytest.raises(InstallError, match="not enough disk space in volume group vg0"):
        compute_extents(VolumeGroup(name="vg0", pvs=("pv.01",)), [_make_volume("a", 500)], 100)


@pytest.mark.parametrize(
    ("fstype", "argv"),
    [
        ("xfs", "mkfs.xfs -f -q -K -m uuid=U-1 /dev/x"),
        ("ext4", "mkfs.ext4 -F -q -E nodiscard -U U-1 /dev/x"),
        ("efi", "mkfs.vfat -F 32 -i U1 /dev/x"),
        ("swap", "mkswap -q -U U-1 /dev/x"),
    ],
)
def test_mkfs_argv_per_file_system(fstype: str, argv: str) -> None:
    assert layout.mkfs_argv(fstype, "/dev/x", "U-1") == argv.split()


def test_luks_passphrase_is_not_in_argv() -> None:
    luks = Luks(passphrase="correct horse", pbkdf="pbkdf2")

    argv = layout.luks_format_argv("/dev/vda4", luks, "U")

    assert " ".join(argv) == (
        "cryptsetup luksFormat --batch-mode --type luks2 --uuid U --pbkdf pbkdf2 "
        "--key-file - /dev/vda4"
    )
    assert "horse" not in repr(luks)


def test_lvm_argvs_create_group_and_volume() -> None:
    group = VolumeGroup(name="vg0", pvs=("pv.01",))

    assert layout.lvm_group_argvs(group, ["/dev/vda4"]) == [
        ["lvm", "pvcreate", "-y", "-ff", "/dev/vda4"],
        ["lvm", "vgcreate", "-y", "-s", "4096k", "vg0", "/dev/vda4"],
    ]
    assert layout.lvm_volume_argv(_make_volume("root", 1), 12) == [
        "lvm",
        "lvcreate",
        "-y",
        "-W",
        "y",
        "-l",
        "12",
        "-n",
        "root",
        "vg0",
    ]


def test_mapper_name_doubles_hyphens() -> None:
    assert layout.mapper_name("my-vg", "var-log") == "my--vg-var--log"


def test_mount_order_puts_parents_first() -> None:
    result = layout.order_mounts(["/var/log/audit", "/boot/efi", "/", "/var", "/boot", "/var/log"])

    assert result == ["/", "/boot", "/var", "/boot/efi", "/var/log", "/var/log/audit"]


@pytest.mark.parametrize("name", ["../etc/passwd", "v da", "", "disk/../../x"])
def test_disk_name_outside_dev_is_refused(name: str) -> None:
    with pytest.raises(InstallError, match="not the name of a disk"):
        layout.to_device_path(name)
