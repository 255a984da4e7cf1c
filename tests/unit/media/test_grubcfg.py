import pytest

from hardpan.builder.media import grubcfg
from hardpan.builder.media.grubcfg import add_kickstart_arguments, has_kickstart_arguments
from hardpan.core.errors import InputError

ARGUMENTS = ("inst.ks=hd:LABEL=X:/ks.cfg", "fips=1", "console=tty0", "console=ttyS0,115200")
MENU = """\
set default="1"
set timeout=60
search --no-floppy --set=root -l 'X'

### BEGIN /etc/grub.d/10_linux ###
menuentry 'Install Rocky Linux 10.2' --class red --class gnu-linux {
\tlinux /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=X inst.ks=http://old/ks quiet
\tinitrd /images/pxeboot/initrd.img
}
menuentry 'Test this media & install Rocky Linux 10.2' --class red {
\tlinuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=X rd.live.check quiet
\tinitrdefi /images/pxeboot/initrd.img
}
submenu 'Troubleshooting -->' {
\tmenuentry 'Install in basic graphics mode' --class red {
\t\tlinux /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=X nomodeset quiet
\t\tinitrd /images/pxeboot/initrd.img
\t}
\tmenuentry 'Rescue a Rocky Linux system' --class red {
\t\tlinux /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=X inst.rescue quiet
\t\tinitrd /images/pxeboot/initrd.img
\t}
}
menuentry 'Boot first drive' {
\texit 1
}
"""


def kernel_lines(text: str) -> list[str]:
    return [x.strip() for x in text.splitlines() if x.strip().startswith("linux")]


def make_entry(title: str, kernel: str) -> str:
    return f"menuentry {title} {{\n  linux /v {kernel}\n  initrd /i\n}}\n"


def test_install_entries_get_the_arguments_once() -> None:
    first, second, basic, _ = kernel_lines(add_kickstart_arguments(MENU, ARGUMENTS))

    for line in (first, second, basic):
        assert line.endswith(" ".join(ARGUMENTS))
        assert line.count("inst.ks=") == 1
        assert "quiet" not in line.split()
        assert "inst.stage2=hd:LABEL=X" in line


def test_only_entry_that_says_so_tests_the_media() -> None:
    menu = MENU.replace("quiet", "rd.live.check quiet")

    first, second, basic, _ = kernel_lines(add_kickstart_arguments(menu, ARGUMENTS))

    assert "rd.live.check" in second.split()
    assert "rd.live.check" not in first + basic


def test_other_entries_are_unchanged() -> None:
    text = add_kickstart_arguments(MENU, ARGUMENTS)

    assert kernel_lines(text)[3] == kernel_lines(MENU)[3]
    assert text.endswith(MENU[MENU.index("menuentry 'Boot first") :])
    assert "Rescue a Rocky Linux system' --class red {\n" in text


def test_first_install_entry_is_default_with_short_timeout() -> None:
    text = add_kickstart_arguments(MENU, ARGUMENTS)

    assert "set default=0\n" in text
    assert "set timeout=5\n" in text
    assert "60" not in text


def test_menu_waits_for_a_key_without_consent() -> None:
    text = add_kickstart_arguments(MENU, ARGUMENTS, waits_for_key=True)

    assert [x for x in text.splitlines() if "timeout=" in x] == ["set timeout=-1"]
    assert len(grubcfg.WAITING_TIMEOUT) == len(grubcfg.STARTING_TIMEOUT)


@pytest.mark.parametrize(
    ("before", "default"),
    [
        ("menuentry 'Boot first drive' {\n  exit 1\n}\n", "1"),
        ("submenu 'More' {\n  menuentry 'Memtest' {\n    linux16 /m\n  }\n}\n", "1"),
        ("submenu 'More' {\n  menuentry 'Memtest' {\n    linux16 /m\n  }\n", '"0>1"'),
        ("function load_video {\n  insmod all_video\n}\n", "0"),
    ],
)
def test_default_entry_is_numbered_like_grub(before: str, default: str) -> None:
    text = add_kickstart_arguments(
        before + make_entry("'Install'", "inst.stage2=hd:LABEL=X"), ARGUMENTS
    )

    assert text.startswith(f"set default={default}\nset timeout=5\n")


def test_missing_timeout_is_added() -> None:
    menu = 'if [ -s x ]; then set timeout="-1"; fi\nset timeout_style=hidden\n'

    text = add_kickstart_arguments(menu + make_entry("'Install'", "inst.repo=cdrom"), ARGUMENTS)

    assert "if [ -s x ]; then set timeout=5; fi\nset timeout_style=menu\n" in text


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("'Install it'", "'Install it (hardpan: unattended, ERASES DISKS)'"),
        (
            '"Install \\"EL\\" {x}"',
            '"Install \\"EL\\" {x} (hardpan: unattended, ERASES DISKS)"',
        ),
        ("Install", "Install' (hardpan: unattended, ERASES DISKS)'"),
        ("'It'\\''s'", "'It'\\''s (hardpan: unattended, ERASES DISKS)'"),
        ("''", "' (hardpan: unattended, ERASES DISKS)'"),
    ],
)
def test_titles_warn_about_disk_erasure(title: str, expected: str) -> None:
    text = add_kickstart_arguments(make_entry(title, "inst.stage2=hd:LABEL=X"), ARGUMENTS)

    assert f"menuentry {expected} {{" in text


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("inst.stage2=x\tinst.ks=a  inst.ks=b", "inst.stage2=x"),
        ('inst.stage2=x "inst.ks=hd:LABEL=A B:/ks" keep', "inst.stage2=x keep"),
        ("inst.stage2=x 'a b' c\\ d", "inst.stage2=x 'a b' c\\ d"),
        ("inst.stage2=x \\\n    more \\\n    yet", "inst.stage2=x more yet"),
        ("inst.stage2=x fips=0 console=ttyS9", "inst.stage2=x"),
        ("inst.stage2=x inst.ksdevice=eth0 ksx=1", "inst.stage2=x inst.ksdevice=eth0 ksx=1"),
        ("inst.stage2=x it's", "inst.stage2=x it's"),
    ],
)
def test_lines_are_split_like_grub(kernel: str, expected: str) -> None:
    (line,) = kernel_lines(add_kickstart_arguments(make_entry("'I'", kernel), ARGUMENTS))

    assert line == f"linux /v {expected} {' '.join(ARGUMENTS)}"


def test_crlf_and_comments_are_handled() -> None:
    menu = "# linux inst.stage2=x \\\n" + make_entry("'I'", "inst.stage2=x").replace("\n", "\r\n")

    text = add_kickstart_arguments(menu, ARGUMENTS)

    assert "# linux inst.stage2=x \\\n" in text
    assert "\r" not in text
    assert has_kickstart_arguments(text, ARGUMENTS)


def test_editing_is_idempotent() -> None:
    once = add_kickstart_arguments(MENU, ARGUMENTS)

    assert add_kickstart_arguments(once, ARGUMENTS) == once


@pytest.mark.parametrize(
    "menu",
    [
        "",
        "menuentry 'Rescue' {\n linux /x inst.stage2=hd:LABEL=X\n}\n",
        "menuentry 'R' {\n linux /x inst.stage2=hd:LABEL=X inst.rescue\n}\n",
        "# menuentry 'I' {\n# linux /x inst.stage2=hd:LABEL=X\n# }\n",
    ],
)
def test_menu_without_install_entry_is_rejected(menu: str) -> None:
    with pytest.raises(InputError, match="no install entry"):
        add_kickstart_arguments(menu, ARGUMENTS)


def test_single_line_entry_is_rejected() -> None:
    menu = MENU + "menuentry 'I' { linux /v inst.stage2=hd:LABEL=X; initrd /i; }\n"

    with pytest.raises(InputError, match="an entry on one line"):
        add_kickstart_arguments(menu, ARGUMENTS)


def test_entry_without_argument_is_detected() -> None:
    edited_menu = add_kickstart_arguments(MENU, ARGUMENTS)

    assert has_kickstart_arguments(edited_menu, ARGUMENTS)
    assert not has_kickstart_arguments(MENU, ARGUMENTS)
    assert not has_kickstart_arguments(edited_menu.replace("fips=1", "fips=0", 1), ARGUMENTS)
    assert not has_kickstart_arguments("", ARGUMENTS)


def test_new_label_replaces_every_occurrence() -> None:
    old_label = "Rocky 10"
    menu = MENU.replace("'X'", f"'{old_label}'").replace("LABEL=X", "LABEL=Rocky\\x2010")

    text = add_kickstart_arguments(menu, ARGUMENTS, relabel=(old_label, "NEW"))

    assert "-l 'NEW'" in text
    assert text.count("inst.stage2=hd:LABEL=NEW") == 4
    assert "x2010" not in text


def test_label_with_same_prefix_is_unchanged() -> None:
    menu = make_entry("'I'", "inst.stage2=hd:LABEL=X inst.repo=hd:LABEL=XY:/a inst.x=hd:LABEL=X:/b")

    text = add_kickstart_arguments(menu, (), relabel=("X", "NEW"))

    assert "inst.stage2=hd:LABEL=NEW inst.repo=hd:LABEL=XY:/a inst.x=hd:LABEL=NEW:/b" in text
