"""Boot menus as they come from media: any bytes."""

import time

import pytest

from hardpan.builder.media import grubcfg
from hardpan.builder.media.boot_menu import (
    FAT_MENU,
    MAX_LINE_LENGTH,
    MAX_LINES,
    MAX_MENU_BYTES,
    MENUS,
    BootMenu,
    decode_menu,
)
from hardpan.core.errors import InputError
from tests.unit.media.test_grubcfg import ARGUMENTS
from tests.unit.media.test_grubcfg import MENU as GRUB
from tests.unit.media.test_isolinuxcfg import MENU as ISOLINUX

MENU = BootMenu(arguments=ARGUMENTS, media_label="X", label="X")


@pytest.mark.parametrize("name", [*MENUS, FAT_MENU])
def test_menu_is_edited_by_its_syntax(name: str) -> None:
    text = ISOLINUX if name.startswith("/isolinux") else GRUB

    edited = MENU.edit(name, text.encode())

    assert MENU.is_applied(name, edited.encode())
    assert not MENU.is_applied(name, text.encode())


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
        (b"a" * (MAX_MENU_BYTES + 1), f"too long: expected at most {MAX_MENU_BYTES} bytes"),
        (b"\n" * (MAX_LINES + 1), f"expected at most {MAX_LINES} lines"),
        (b"a" * (MAX_LINE_LENGTH + 1), f"lines of {MAX_LINE_LENGTH} characters"),
    ],
)
@pytest.mark.parametrize("name", [MENUS[0], MENUS[1]])
def test_menu_with_invalid_text_is_rejected(name: str, data: bytes, problem: str) -> None:
    for reader in (MENU.edit, MENU.is_applied):
        with pytest.raises(InputError) as caught:
            reader(name, data)

        assert str(caught.value).startswith(f"{name}: ")
        assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (MENUS[1], "menuentry\n linux /v inst.repo=x\n}\n", "an install entry without a title"),
        (MENUS[1], "menuentry {\n linux /v inst.repo=x\n}\n", "an install entry without a title"),
        (MENUS[1], "submenu x {\n" * 9 + GRUB, "at most 8 nested submenus"),
        (MENUS[0], "label\n append inst.repo=x\n", "an install entry without a name"),
    ],
)
def test_malformed_menu_is_rejected(name: str, text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        MENU.edit(name, text.encode())

    assert f"{name}: the boot menu" in str(caught.value)
    assert problem in str(caught.value)


WORST_LINES = [
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


@pytest.mark.parametrize("line", WORST_LINES, ids=[line[:8].strip() for line in WORST_LINES])
def test_worst_case_menu_is_parsed_quickly(line: str) -> None:
    data = f"{line}\n".encode()
    lines = (MAX_LINES - 100) // data.count(b"\n")
    count = min(lines, (MAX_MENU_BYTES - len(GRUB)) // len(data))
    text = (data * count).decode() + GRUB
    start = time.process_time()

    decode_menu(MENUS[1], text.encode())
    grubcfg.has_kickstart_arguments(text, ARGUMENTS)
    joined = "".join(grubcfg._logical_lines(text))

    assert time.process_time() - start < 2.0
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
def test_continued_lines_are_joined_like_grub(text: str, lines: list[str]) -> None:
    assert list(grubcfg._logical_lines(text)) == lines
