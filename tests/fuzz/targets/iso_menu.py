"""Damaged boot menus: each is refused, or every install entry of the result has the arguments."""

from pathlib import Path

from hypothesis import strategies as st

from hardpan.builder.media.boot_menu import MAX_MENU_BYTES, MENUS, BootMenu
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.unit.media.test_grubcfg import MENU as GRUB
from tests.unit.media.test_isolinuxcfg import MENU as ISOLINUX

_MENU = BootMenu(
    arguments=("inst.ks=hd:LABEL=NEW:/ks.cfg", "fips=1", "console=ttyS0,115200"),
    media_label="X",
    label="NEW",
    waits_for_key=True,
)
_PIECES = (
    *(bytes([c]) for c in b"'\"\\{}#;> \t\r\n=^\0\x1b\xff"),
    *(b"menuentry ", b"submenu 'x' {\n", b"linux ", b"set default=", b"set timeout=", b"function "),
    *(b"inst.stage2=hd:LABEL=X", b"inst.rescue", b"inst.ks=x", b"search -l 'X'", b"}\n", b"\\\n"),
    *(b"label ", b"label\n", b"append ", b"menu label ", b"menu default\n", b"text help\n"),
    *(b"endtext\n", b"default vesamenu.c32\n", b"include x\n", b"ui ", b"timeout 1\n", b"LABEL "),
    *("\u2028".encode(), "\u0130".encode(), "\u202e".encode(), b"\xc2\xa0", b"\xed\xa0\x80"),
)


def target(folder: Path) -> FuzzTarget:
    """Menus of both kinds for the reader and the editor of the kind."""

    def check(value: tuple[str, bytes]) -> str:
        name, data = value
        text = _MENU.edit(name, data)
        for argument in _MENU.arguments:
            assert argument in text
        if len(text.encode()) > MAX_MENU_BYTES:
            return "edited to more than is read back"
        assert _MENU.is_applied(name, text.encode())
        return "edited"

    return FuzzTarget(
        name="iso_menu",
        inputs=st.one_of(
            st.tuples(st.just(MENUS[1]), mutate_samples([GRUB.encode()], _PIECES)),
            st.tuples(st.just(MENUS[0]), mutate_samples([ISOLINUX.encode()], _PIECES)),
        ),
        check=check,
    )
