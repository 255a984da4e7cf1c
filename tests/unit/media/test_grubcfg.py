import pytest

from builder.media.grubcfg import edited, names_kickstart
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
\tmenuentry 'Rescue a Rocky Linux system' --class red {
\t\tlinux /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=X inst.rescue quiet
\t\tinitrd /images/pxeboot/initrd.img
\t}
}
"""


def kernel_lines(text: str) -> list[str]:
    return [x.strip() for x in text.splitlines() if x.strip().startswith("linux")]


def test_install_entries_get_the_arguments_once() -> None:
    first, second, _ = kernel_lines(edited(MENU, ARGUMENTS))

    for line in (first, second):
        assert line.endswith(" ".join(ARGUMENTS))
        assert line.count("inst.ks=") == 1
        assert "quiet" not in line.split()
        assert "rd.live.check" not in line
        assert "inst.stage2=hd:LABEL=X" in line


def test_a_rescue_entry_is_left_alone() -> None:
    assert kernel_lines(edited(MENU, ARGUMENTS))[2] == kernel_lines(MENU)[2]


def test_the_first_install_entry_is_the_default_with_a_short_wait() -> None:
    text = edited(MENU, ARGUMENTS)

    assert "set default=0\n" in text
    assert "set timeout=5\n" in text


def test_the_titles_warn_that_disks_are_erased() -> None:
    text = edited(MENU, ARGUMENTS)

    assert "Install Rocky Linux 10.2 (hardpan: unattended, ERASES DISKS)" in text
    assert "Rescue a Rocky Linux system'" in text


def test_editing_twice_adds_nothing_to_the_kernel_lines() -> None:
    once = edited(MENU, ARGUMENTS)

    assert kernel_lines(edited(once, ARGUMENTS)) == kernel_lines(once)


def test_a_menu_without_an_install_entry_is_refused() -> None:
    with pytest.raises(InputError, match="no install entry"):
        edited("menuentry 'Rescue' {\n linux /x inst.stage2=hd:LABEL=X\n}\n", ARGUMENTS)


def test_an_untouched_menu_does_not_name_the_kickstart() -> None:
    assert not names_kickstart(MENU, ARGUMENTS)
    assert names_kickstart(edited(MENU, ARGUMENTS), ARGUMENTS)
