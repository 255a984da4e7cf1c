"""The files that are written into the new system."""

import pytest

from images.lab.installer import config_files
from images.lab.installer.config_files import Mount
from images.lab.installer.plan import Password


def _make_mount(mount: str, fstype: str, options: str | None = None, spec: str = "UUID=1") -> Mount:
    return Mount(spec=spec, device="/dev/x", mount=mount, fstype=fstype, options=options, uuid="1")


def test_fstab_keeps_kickstart_options() -> None:
    text = config_files.render_fstab(
        [
            _make_mount("/", "xfs", spec="/dev/mapper/vg0-root"),
            _make_mount("/boot", "ext4", "nodev,nosuid"),
            _make_mount("/boot/efi", "vfat", "umask=0077,shortname=winnt,nosuid", "UUID=AB-CD"),
            _make_mount("swap", "swap", spec="/dev/mapper/vg0-swap"),
        ]
    )

    assert text.splitlines()[1:] == [
        "/dev/mapper/vg0-root / xfs defaults 0 0",
        "UUID=1 /boot ext4 nodev,nosuid 1 2",
        "UUID=AB-CD /boot/efi vfat umask=0077,shortname=winnt,nosuid 0 2",
        "/dev/mapper/vg0-swap none swap defaults 0 0",
    ]


def test_ext4_root_has_fsck_pass_1() -> None:
    assert config_files.render_fstab([_make_mount("/", "ext4")]).endswith(
        "UUID=1 / ext4 defaults 1 1\n"
    )


def test_crypttab_has_no_key_file() -> None:
    assert config_files.render_crypttab(["ab-1"]) == "luks-ab-1 UUID=ab-1 none luks,discard\n"


def test_boot_entry_paths_are_relative_to_boot_file_system() -> None:
    entry = config_files.render_bls_entry(
        title="lab 9", version="6.1", prefix="", options=["root=/dev/x", "ro"]
    )

    assert entry.splitlines()[:5] == [
        "title lab 9 (6.1)",
        "version 6.1",
        "linux /vmlinuz-6.1",
        "initrd /initramfs-6.1.img",
        "options root=/dev/x ro",
    ]
    assert "linux /boot/vmlinuz-6.1" in config_files.render_bls_entry(
        title="t", version="6.1", prefix="/boot", options=[]
    )


@pytest.mark.parametrize(
    ("append", "fips", "boot", "expected"),
    [
        (["audit=1"], False, "B", "console=ttyS0 audit=1"),
        (["audit=1"], True, "B", "console=ttyS0 audit=1 fips=1 boot=UUID=B"),
        # /boot on the root's own file system: boot= would make the self-test look elsewhere.
        (["audit=1"], True, None, "console=ttyS0 audit=1 fips=1"),
        (["fips=1", "boot=LABEL=x"], True, "B", "console=ttyS0 fips=1 boot=UUID=B"),
        (["console=ttyS0", "a"], False, None, "console=ttyS0 a"),
    ],
)
def test_fips_argument_is_carried_over_with_boot_uuid(
    append: list[str], fips: bool, boot: str | None, expected: str
) -> None:
    result = config_files.build_kernel_arguments(
        consoles=["console=ttyS0"], append=append, luks=[], fips=fips, boot_uuid=boot
    )

    assert " ".join(result) == expected


def test_kernel_arguments_name_devices_of_the_root() -> None:
    result = config_files.build_kernel_arguments(
        consoles=[],
        append=["audit=1"],
        volumes=["vg0/root"],
        luks=["ab-1"],
        fips=False,
        boot_uuid="B",
    )

    assert result == ["rd.luks.uuid=luks-ab-1", "rd.lvm.lv=vg0/root", "audit=1"]


def test_default_grub_replaces_existing_and_adds_missing_variables() -> None:
    old = 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="quiet"\nGRUB_DEFAULT=saved\n'

    assert config_files.render_default_grub(old, ["a=1", "b"], 1) == (
        'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="a=1 b"\nGRUB_DEFAULT=saved\n'
    )
    assert config_files.render_default_grub("", ["a"], None) == 'GRUB_CMDLINE_LINUX="a"\n'


def test_chrony_conf_contains_only_kickstart_servers() -> None:
    old = "pool 2.debian.pool.ntp.org iburst\nsourcedir /run/x\nmakestep 1 3\n"

    assert (
        config_files.render_chrony_conf(old, ["server a iburst"])
        == "server a iburst\nmakestep 1 3\n"
    )


@pytest.mark.parametrize(
    ("password", "field"),
    [
        (Password(crypted="$6$a$b"), "$6$a$b"),
        (Password(crypted="$6$a$b", locked=True), "!$6$a$b"),
        (Password(locked=True), "!!"),
        (Password(), "!!"),
    ],
)
def test_account_without_password_is_locked(password: Password, field: str) -> None:
    old = "root:*:1:0:99999:7:::\nbob:!:1:0:99999:7:::\n"

    assert config_files.set_shadow_password(old, "bob", password, 20000) == (
        f"root:*:1:0:99999:7:::\nbob:{field}:20000:0:99999:7:::\n"
    )


def test_user_without_shadow_line_is_an_error() -> None:
    with pytest.raises(KeyError, match="eve"):
        config_files.set_shadow_password("root:*:1::::::\n", "eve", Password(), 1)


def test_networkd_matches_interface_by_name_or_mac() -> None:
    assert "Name=eth0\n" in config_files.render_networkd_dhcp("eth0")
    assert "MACAddress=52:54:00:12:34:56\n" in config_files.render_networkd_dhcp(
        "52:54:00:12:34:56"
    )


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        ("42\n", 42),
        ("100%", 100),
        ("  Installing       : aide-0.19-1.x86_64          3/20 \n", 15),
        ("Running transaction check", None),
        ("see file:///a/b", None),
        ("1/0", None),
        ("999", 100),
    ],
)
def test_parse_percent_reads_program_output(line: str, percent: int | None) -> None:
    assert config_files.parse_percent(line) == percent


def test_make_printable_replaces_control_characters() -> None:
    assert config_files.make_printable("a\x1b[31mb\r\n") == "a?[31mb"
