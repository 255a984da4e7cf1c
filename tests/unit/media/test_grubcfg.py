import pytest

from hardpan.builder.media.grubcfg import edited, names_kickstart
from hardpan.errors import InputError

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


def entry(title: str, kernel: str) -> str:
    return f"menuentry {title} {{\n  linux /v {kernel}\n  initrd /i\n}}\n"


def test_install_entries_get_the_arguments_once() -> None:
    first, second, basic, _ = kernel_lines(edited(MENU, ARGUMENTS))

    for line in (first, second, basic):
        assert line.endswith(" ".join(ARGUMENTS))
        assert line.count("inst.ks=") == 1
        assert "quiet" not in line.split()
        assert "rd.live.check" not in line
        assert "inst.stage2=hd:LABEL=X" in line


def test_entries_that_install_nothing_are_left_alone() -> None:
    text = edited(MENU, ARGUMENTS)

    assert kernel_lines(text)[3] == kernel_lines(MENU)[3]
    assert text.endswith(MENU[MENU.index("menuentry 'Boot first") :])
    assert "Rescue a Rocky Linux system' --class red {\n" in text


def test_the_first_install_entry_is_the_default_with_a_short_wait() -> None:
    text = edited(MENU, ARGUMENTS)

    assert "set default=0\n" in text
    assert "set timeout=5\n" in text
    assert "60" not in text


@pytest.mark.parametrize(
    ("before", "default"),
    [
        ("menuentry 'Boot first drive' {\n  exit 1\n}\n", "1"),
        ("submenu 'More' {\n  menuentry 'Memtest' {\n    linux16 /m\n  }\n}\n", "1"),
        ("submenu 'More' {\n  menuentry 'Memtest' {\n    linux16 /m\n  }\n", '"0>1"'),
        ("function load_video {\n  insmod all_video\n}\n", "0"),
    ],
)
def test_the_default_is_counted_as_grub_counts(before: str, default: str) -> None:
    text = edited(before + entry("'Install'", "inst.stage2=hd:LABEL=X"), ARGUMENTS)

    assert text.startswith(f"set default={default}\nset timeout=5\n")


def test_a_menu_that_would_wait_for_ever_gets_a_time_limit() -> None:
    menu = 'if [ -s x ]; then set timeout="-1"; fi\nset timeout_style=hidden\n'

    text = edited(menu + entry("'Install'", "inst.repo=cdrom"), ARGUMENTS)

    assert "if [ -s x ]; then set timeout=5; fi\nset timeout_style=menu\n" in text


@pytest.mark.parametrize(
    ("title", "shown"),
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
def test_the_titles_warn_that_disks_are_erased(title: str, shown: str) -> None:
    text = edited(entry(title, "inst.stage2=hd:LABEL=X"), ARGUMENTS)

    assert f"menuentry {shown} {{" in text


@pytest.mark.parametrize(
    ("kernel", "kept"),
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
def test_words_are_what_grub_takes_for_words(kernel: str, kept: str) -> None:
    (line,) = kernel_lines(edited(entry("'I'", kernel), ARGUMENTS))

    assert line == f"linux /v {kept} {' '.join(ARGUMENTS)}"


def test_line_ends_of_windows_and_comments_do_no_harm() -> None:
    menu = "# linux inst.stage2=x \\\n" + entry("'I'", "inst.stage2=x").replace("\n", "\r\n")

    text = edited(menu, ARGUMENTS)

    assert "# linux inst.stage2=x \\\n" in text
    assert "\r" not in text
    assert names_kickstart(text, ARGUMENTS)


def test_editing_twice_changes_nothing_more() -> None:
    once = edited(MENU, ARGUMENTS)

    assert edited(once, ARGUMENTS) == once


@pytest.mark.parametrize(
    "menu",
    [
        "",
        "menuentry 'Rescue' {\n linux /x inst.stage2=hd:LABEL=X\n}\n",
        "menuentry 'R' {\n linux /x inst.stage2=hd:LABEL=X inst.rescue\n}\n",
        "# menuentry 'I' {\n# linux /x inst.stage2=hd:LABEL=X\n# }\n",
    ],
)
def test_a_menu_without_an_install_entry_is_refused(menu: str) -> None:
    with pytest.raises(InputError, match="no install entry"):
        edited(menu, ARGUMENTS)


def test_an_entry_on_one_line_is_refused_and_not_missed() -> None:
    menu = MENU + "menuentry 'I' { linux /v inst.stage2=hd:LABEL=X; initrd /i; }\n"

    with pytest.raises(InputError, match="an entry on one line"):
        edited(menu, ARGUMENTS)


def test_a_menu_in_which_one_entry_lacks_an_argument_does_not_name_the_kickstart() -> None:
    done = edited(MENU, ARGUMENTS)

    assert names_kickstart(done, ARGUMENTS)
    assert not names_kickstart(MENU, ARGUMENTS)
    assert not names_kickstart(done.replace("fips=1", "fips=0", 1), ARGUMENTS)
    assert not names_kickstart("", ARGUMENTS)


def test_a_new_label_reaches_every_place_the_old_one_was_in() -> None:
    old = "Rocky 10"
    menu = MENU.replace("'X'", f"'{old}'").replace("LABEL=X", "LABEL=Rocky\\x2010")

    text = edited(menu, ARGUMENTS, relabel=(old, "NEW"))

    assert "-l 'NEW'" in text
    assert text.count("inst.stage2=hd:LABEL=NEW") == 4
    assert "x2010" not in text


def test_a_label_that_only_begins_like_the_old_one_is_kept() -> None:
    menu = entry("'I'", "inst.stage2=hd:LABEL=X inst.repo=hd:LABEL=XY:/a inst.x=hd:LABEL=X:/b")

    text = edited(menu, (), relabel=("X", "NEW"))

    assert "inst.stage2=hd:LABEL=NEW inst.repo=hd:LABEL=XY:/a inst.x=hd:LABEL=NEW:/b" in text
