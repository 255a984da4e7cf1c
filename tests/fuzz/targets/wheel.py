"""Damaged wheels and disguised md5 calls: reported as a finding or as not checked."""

import ast
import base64
import codecs
import warnings
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from hardpan.builder.wheel_audit import md5
from hardpan.builder.wheel_audit.audit import audit_wheels
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.unit.wheel_audit.factories import make_elf, make_wheel, write_wheel

CALLS = (
    "import hashlib\nhashlib.md5(b'')\n",
    "from hashlib import md5 as m\nm()\n",
    "import hashlib as h\nh.new('md5')\n",
    "def f():\n import hashlib\n return getattr(hashlib, 'm' + 'd5')()\n",
    "import importlib\nimportlib.import_module('hashlib').md5()\n",
    "h = __import__('hash' 'lib')\nh.md5()\n",
)
_COOKIES = (
    "",
    "# coding: {}\n",
    "#!/usr/bin/python\n# -*- coding: {} -*-\n",
    "#\r# vim: coding={}\r",
)
_ENCODINGS = ("utf-8", "utf-8-sig", "latin-1", "cp1252", "gbk", "shift_jis", "utf_7", "U7",
              "unicode_escape", "raw-unicode-escape", "ascii", "utf-16", "cp037", "rot13", "hz",
              "idna", "none")  # fmt: skip
_PIECES = (
    *(bytes([c]) for c in b"#'\"\\()[]{}:;,.=+-_ \t\f\r\n\0"),
    *(b"# coding: utf-7\n", b"# coding: unicode_escape\n", b"+AG0-", b"\\x6d", b"\\u006d", b"\\\n"),
    *(
        codecs.BOM_UTF8,
        "\uff4d".encode(),
        b"\xff",
        b"md5",
        b"hashlib",
        b"import ",
        b"lambda:",
        b"f'{",
    ),
)


def target(folder: Path) -> FuzzTarget:
    """Damaged wheels, and sources inside of a valid wheel."""

    def check(value: tuple[str, bytes]) -> str:
        kind, data = value
        if kind == "wheel":
            (audited,) = audit_wheels(write_wheel(folder / "wheels", data)).wheels
            return "refused" if audited.refused else "read"
        findings = audit_wheels(
            write_wheel(folder / "wheels", make_wheel({"demo/__init__.py": data}))
        ).findings
        kinds = {f.kind for f in findings if f.path == "demo/__init__.py"}
        assert kinds <= {"unguarded_md5", "not_checked"}
        if calls_md5(data):
            assert kinds
        return " and ".join(sorted(kinds)) or "no finding"

    samples = (
        make_wheel(
            {"demo/__init__.py": CALLS[0].encode(), "demo/x.so": make_elf(text=b"OpenSSL 3.0.1 x")}
        ),
        make_wheel({"demo.pth": b"import demo\n", "demo/__init__.py": b"from . import a\n"}),
    )
    damaged_wheels = mutate_samples(
        samples, (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"\xff\xff\xff\xff", b"\0\0\0\0")
    )
    sources = mutate_samples([text.encode() for text in CALLS], _PIECES)
    return FuzzTarget(
        name="wheel",
        inputs=st.one_of(
            st.tuples(st.just("wheel"), damaged_wheels),
            st.tuples(st.just("source"), sources),
            st.tuples(st.just("disguised"), disguised_sources()),
        ),
        check=check,
    )


@st.composite
def disguised_sources(draw: DrawFn) -> bytes:
    """A call of md5 with some letters written in another way, in one of Python's encodings."""
    text = draw(st.sampled_from(CALLS))
    encoding = draw(st.sampled_from(_ENCODINGS))
    cookie = draw(st.sampled_from(_COOKIES)).format(encoding)
    letters = draw(st.lists(st.integers(0, len(text) - 1), max_size=4))
    style = draw(st.sampled_from(("plain", "full width", "utf-7", "hex", "unicode")))
    body = "".join(_disguise_character(c, style) if n in letters else c for n, c in enumerate(text))
    line_end = draw(st.sampled_from(("\n", "\r\n", "\r")))
    source_text = (cookie + body).replace("\n", line_end)
    if style in ("utf-7", "hex", "unicode"):
        return source_text.encode("ascii")
    try:
        return source_text.encode(
            "utf-8" if encoding in ("hz", "rot13", "none", "idna") else encoding
        )
    except (UnicodeEncodeError, LookupError):
        return source_text.encode()


def _disguise_character(c: str, style: str) -> str:
    if style == "full width" and c.isalpha():
        return chr(ord(c) + 0xFEE0)
    if style == "utf-7" and c.isalpha():
        text = base64.b64encode(c.encode("utf-16-be")).decode().rstrip("=")
        return f"+{text}-"
    if style == "hex":
        return f"\\x{ord(c):02x}"
    return f"\\u{ord(c):04x}" if style == "unicode" else c


def calls_md5(data: bytes) -> bool:
    """Whether the syntax tree that Python itself makes of ``data`` calls md5."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError, OverflowError):
        return False
    return bool(md5.find_uses(tree))
