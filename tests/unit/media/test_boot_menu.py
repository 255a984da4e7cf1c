"""Boot menus as they come from media: any bytes."""

import time

import pytest

from hardpan.builder.media import grubcfg
from hardpan.builder.media.boot_menu import (
    IN_FAT,
    MAX_BYTES,
    MAX_LINE_LENGTH,
    MAX_LINES,
    MENUS,
    BootMenu,
    menu_text,
)
from hardpan.errors import InputError
from tests.unit.media.test_grubcfg import ARGUMENTS
from tests.unit.media.test_grubcfg import MENU as GRUB
from tests.unit.media.test_isolinuxcfg import MENU as ISOLINUX

MENU = BootMenu(arguments=ARGUMENTS, old_label="X", label="X")


@pytest.mark.parametrize("name", [*MENUS, IN_FAT])
def test_each_menu_is_edited_by_its_own_syntax(name: str) -> None:
    text = ISOLINUX if name.startswith("/isolinux") else GRUB

    edited = MENU.edited(name, text.encode())

    assert MENU.is_in(name, edited.encode())
    assert not MENU.is_in(name, text.encode())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\xff", "expected text in UTF-8, got byte 0xff at 0"),
        (b"menu \xc3\x28", "expected text in UTF-8, got byte 0xc3 at 5"),
        (b"\xed\xa0\x80", "expected text in UTF-8"),
        (GRUB.encode("utf-16"), "expected text in UTF-8"),
        (GRUB.encode("utf-32-be"), "the control character '\\x00'"),
        (b"a\0b", "the control character '\\x00'"),
        (b"\x1b[2J", "the control character '\\x1b'"),
        (b"\xc2\x9b2J", "the control character '\\x9b'"),
        (b"a" * (MAX_BYTES + 1), f"too long: expected at most {MAX_BYTES} bytes"),
        (b"\n" * (MAX_LINES + 1), f"expected at most {MAX_LINES} lines"),
        (b"a" * (MAX_LINE_LENGTH + 1), f"lines of {MAX_LINE_LENGTH} characters"),
    ],
)
@pytest.mark.parametrize("name", [MENUS[0], MENUS[1]])
def test_menu_that_is_no_text_is_refused(name: str, data: bytes, problem: str) -> None:
    for reader in (MENU.edited, MENU.is_in):
        with pytest.raises(InputError) as caught:
            reader(name, data)

        assert str(caught.value).startswith(f"{name}: ")
        assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (MENUS[1], "menuentry\n linux /v inst.repo=x\n}\n", "an install entry without a title"),
        (MENUS[1], "menuentry {\n linux /v inst.repo=x\n}\n", "an install entry without a title"),
        (MENUS[1], "submenu x {\n" * 9 + GRUB, "at most 8 submenus one in another"),
        (MENUS[0], "label\n append inst.repo=x\n", "an install entry without a name"),
    ],
)
def test_menu_in_a_form_that_no_loader_shows_is_refused(name: str, text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        MENU.edited(name, text.encode())

    assert f"{name}: the boot menu" in str(caught.value)
    assert problem in str(caught.value)


WORST = [
    "menuentry " + "'" * 8_000,
    'menuentry "' + '\\"' * 4_000,
    "linux " + "{ " * 4_000,
    "set " + " " * 8_000,
    "\\",
    "a\\",
    " \\",
    "submenu x {\n}",
    "search " + "'X' " * 2_000,
]


@pytest.mark.parametrize("line", WORST, ids=[line[:8].strip() for line in WORST])
def test_the_longest_menu_is_read_in_a_moment(line: str) -> None:
    data = f"{line}\n".encode()
    lines = (MAX_LINES - 100) // data.count(b"\n")
    count = min(lines, (MAX_BYTES - len(GRUB)) // len(data))
    text = (data * count).decode() + GRUB
    begun = time.process_time()

    menu_text(MENUS[1], text.encode())
    grubcfg.names_kickstart(text, ARGUMENTS)
    joined = "".join(grubcfg._logical(text))

    assert time.process_time() - begun < 2.0
    assert joined.count("inst.rescue") == 1


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\\\nb", ["ab"]),
        ("# a\\\nb", ["# a\\", "b"]),
        ("  \\\n# a\\\nb", ["  # a\\", "b"]),
        ("\\\n# a\\\nb", ["# a\\", "b"]),
        ("a\\\n# b\\\nc", ["a# bc"]),
        ("a\\", ["a"]),
    ],
)
def test_lines_are_joined_as_grub_joins_them(text: str, lines: list[str]) -> None:
    assert list(grubcfg._logical(text)) == lines
