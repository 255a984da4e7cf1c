"""Digests that FIPS mode refuses: every way to write them, guards, reach, and hostile sources."""

from pathlib import Path

import pytest

from hardpan.builder.wheels import md5, source
from hardpan.builder.wheels.audit import audit
from hardpan.builder.wheels.model import BrokenError, Finding, Limits
from tests.unit.wheels.makers import put, wheel


def uses(text: str) -> list[tuple[int, str, str]]:
    return [(u.line, u.algorithm, u.how) for u in md5.uses(source.parse(text.encode()))]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import hashlib\nhashlib.md5(b'')", (2, "md5", "called")),
        ("import hashlib as h\nh.md5(b'')", (2, "md5", "called")),
        ("from hashlib import md5\nmd5(b'')", (2, "md5", "called")),
        ("from hashlib import md5 as m\nm(b'')", (2, "md5", "called")),
        ("from hashlib import *\nmd5(b'')", (2, "md5", "called")),
        ("def f():\n import hashlib\n return hashlib.md5()", (3, "md5", "called")),
        ("import hashlib\nhashlib.new('md5')", (2, "md5", "called")),
        ("import hashlib\nhashlib.new('MD5', b'')", (2, "md5", "called")),
        ("import hashlib\nhashlib.new(name='md5')", (2, "md5", "called")),
        ("from hashlib import new\nnew('md5')", (2, "md5", "called")),
        ("import hashlib\nhashlib.file_digest(f, 'md5')", (2, "md5", "called")),
        ("import hashlib\nhashlib.md5(usedforsecurity=True)", (2, "md5", "called")),
        ("import hashlib\nhashlib.md5(usedforsecurity=no)", (2, "md5", "unclear")),
        ("import hashlib\nhashlib.md5(b'', **more)", (2, "md5", "unclear")),
        ("import hashlib\nhashlib.sha1(b'')", (2, "sha1", "called")),
        ("import hashlib\nhashlib.new('sha-1')", (2, "sha1", "called")),
        ("import hashlib, functools\nfunctools.partial(hashlib.md5)", (2, "md5", "called")),
        ("from hashlib import md5\nfrom functools import partial as p\np(md5)",
         (3, "md5", "called")),
        ("import hashlib\nfrom functools import partial\npartial(hashlib.new, 'md5')",
         (3, "md5", "called")),
        ("import hashlib\nm = hashlib.md5\nm(b'')", (3, "md5", "called")),
        ("import hashlib\nm = hashlib.md5", (2, "md5", "passed_on")),
        ("import hashlib\nf(key=hashlib.md5)", (2, "md5", "passed_on")),
        ("import hashlib\nTABLE = {'md5': hashlib.md5}", (2, "md5", "passed_on")),
        ("import hashlib\ngetattr(hashlib, 'md5')(b'')", (2, "md5", "called")),
        ("import hashlib\nf(getattr(hashlib, 'md5'))", (2, "md5", "passed_on")),
        ("import hashlib\nx = [hashlib.md5(y).hexdigest() for y in z]", (2, "md5", "called")),
        ("import hashlib\ntry:\n hashlib.md5()\nexcept KeyError: pass", (3, "md5", "called")),
        ("import hashlib\ntry: pass\nexcept ValueError:\n hashlib.md5()", (4, "md5", "called")),
        ("import hashlib\ntry:\n def f(): hashlib.md5()\nexcept ValueError: pass",
         (3, "md5", "called")),
        ("import hashlib\ntry:\n f = lambda: hashlib.md5()\nexcept: pass", (3, "md5", "called")),
        ("import hashlib\nwith suppress(KeyError):\n hashlib.md5()", (3, "md5", "called")),
    ],
)  # fmt: skip
def test_every_way_to_ask_for_it_is_found(text: str, told: tuple[int, str, str]) -> None:
    assert uses(text) == [told]


@pytest.mark.parametrize(
    "text",
    [
        "import hashlib\nhashlib.md5(b'', usedforsecurity=False)",
        "import hashlib\nhashlib.new('md5', usedforsecurity=False)",
        "import hashlib, functools as t\nt.partial(hashlib.md5, usedforsecurity=False)",
        "import hashlib\nm = hashlib.md5\nm(usedforsecurity=False)",
        "import hashlib\ntry:\n hashlib.md5()\nexcept ValueError: pass",
        "import hashlib\ntry:\n hashlib.md5()\nexcept (KeyError, ValueError): pass",
        "import hashlib\ntry:\n hashlib.md5()\nexcept _hashlib.UnsupportedDigestmodError: pass",
        "import hashlib\ntry:\n if x:\n  hashlib.md5()\nexcept Exception: pass",
        "import hashlib\ntry:\n hashlib.md5()\nexcept: pass",
        "import hashlib\ntry:\n hashlib.md5()\nexcept* ValueError: pass",
        "import hashlib\nwith contextlib.suppress(ValueError):\n hashlib.md5()",
        "import hashlib\nhashlib.sha256(b'md5')",
        "import hashlib\nhashlib.new(name)",
        "import hashlib\nhashlib.new('sha512')",
        "from mine import md5\nmd5(b'')",
        "from .hashlib import md5\nmd5(b'')",
        "other.md5(b'')",
        "# hashlib.md5(b'')",
        "'hashlib.md5(b\"\")'",
    ],
)
def test_what_is_guarded_or_not_hashlibs_is_no_finding(text: str) -> None:
    assert uses(text) == []


CALL = b"import hashlib\nhashlib.md5(b'')\n"


def found(tmp_path: Path, files: dict[str, bytes], limits: Limits | None = None) -> list[Finding]:
    return list(audit(put(tmp_path / "house", wheel(files)), limits=limits).findings)


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        ({"demo/__init__.py": CALL}, "high"),
        ({"demo.py": CALL}, "high"),
        ({"demo-1.0.data/purelib/demo/__init__.py": CALL}, "high"),
        ({"demo/__init__.py": b"from . import a", "demo/a.py": CALL}, "high"),
        ({"demo/__init__.py": b"from .a import f", "demo/a.py": CALL}, "high"),
        ({"demo/__init__.py": b"import demo.a.b", "demo/a/__init__.py": CALL}, "high"),
        ({"demo/__init__.py": b"from demo.b import x", "demo/b.py": b"from .a import y",
          "demo/a.py": CALL}, "high"),
        ({"demo/__init__.py": b"try:\n from .a import f\nexcept ImportError: pass",
          "demo/a.py": CALL}, "high"),
        ({"demo/__init__.py": b"from .tests import f", "demo/tests/__init__.py": CALL}, "high"),
        ({"demo/__init__.py": b"", "demo/a.py": CALL}, "medium"),
        ({"demo/__init__.py": b"def f():\n from . import a", "demo/a.py": CALL}, "medium"),
        ({"demo/__init__.py": b"if TYPE_CHECKING:\n from . import a", "demo/a.py": CALL}, "medium"),
        ({"demo/__init__.py": b"from ... import a", "demo/a.py": CALL}, "medium"),
        ({"demo/__init__.py": b"def (", "demo/a.py": CALL}, "medium"),
        ({"demo/tests/test_a.py": CALL}, "low"),
        ({"demo/conftest.py": CALL}, "low"),
        ({"examples/run.py": CALL}, "low"),
        ({"demo/__init__.py": CALL.replace(b"md5", b"sha1")}, "low"),
        ({"demo/__init__.py": b"import hashlib\nx = hashlib.md5"}, "medium"),
    ],
)  # fmt: skip
def test_the_severity_is_how_far_an_import_reaches(
    tmp_path: Path, files: dict[str, bytes], severity: str
) -> None:
    told = [f for f in found(tmp_path, files) if f.kind == "unguarded_md5"]

    assert [f.severity for f in told] == [severity]
    assert told[0].line == 2
    assert told[0].where in files


def test_imports_that_were_not_followed_to_the_end_count_as_reached(tmp_path: Path) -> None:
    files = {"demo/__init__.py": b"import os\n" * 50, "demo/a.py": CALL}

    (finding,) = found(tmp_path, files, Limits(closure_bytes=100))
    assert finding.severity == "high"


def deep(before: str, after: str = "", count: int = 100_000) -> bytes:
    return ("hashlib.md5\n" + before * count + "1" + after * count).encode()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (deep("("), "line 2: not Python: "),
        (deep("-"), "nests too deep to be read"),
        (deep("f(", ")"), "line 2: not Python: too many nested parentheses"),
        (deep("1+("), "line 2: not Python: "),
        (deep("1+"), "nests too deep to be read"),
        (b"md5" + b".x" * 300_000, "nests too deep to be read"),
        (b"md5\n" + b"if 1:" * 1000, "line 2: not Python: invalid syntax"),
        (b"print 'md5'", "line 1: not Python: "),
        (b"x = 'md5\0'", "not Python: source code string cannot contain null bytes"),
        (b"'md5\xff'", "byte 4: not utf-8"),
        (b"# coding: idna\n'md5'", "written in 'idna', which is not read"),
        (b"#\n# -*- coding: zlib_codec -*-\n'md5'", "written in 'zlib-codec', which is not read"),
        (b"md5\n" + b"9" * 5000, "not Python: Exceeds the limit"),
    ],
)
def test_a_hostile_source_is_told_and_ends(tmp_path: Path, data: bytes, problem: str) -> None:
    (finding,) = found(tmp_path, {"demo/x.py": data})

    assert problem in finding.what
    assert (finding.kind, finding.severity, finding.where) == ("not_checked", "medium", "demo/x.py")


def test_a_huge_source_is_not_read(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, {"demo/x.py": CALL}, Limits(source_bytes=10))

    assert finding.what == f"expected at most 10 bytes of source, found {len(CALL)}: not read"


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + CALL,
        b"# coding: latin-1\nx = '\xe9'; " + CALL,
        b"#!/bin/sh\n# vim: set fileencoding=ISO_8859-1 :\nx = '\xe9'; " + CALL,
        CALL.replace(b"\n", b"\r\n"),
        b"x = '\\d'\n" + CALL,
    ],
)
def test_a_source_in_another_dress_is_read(data: bytes) -> None:
    assert [u.algorithm for u in md5.uses(source.parse(data))] == ["md5"]


def test_nothing_in_a_wheel_is_run(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w')\nimport hashlib\nhashlib.md5()\n".encode()
    found(tmp_path, {"demo/__init__.py": trap, "sitecustomize.py": trap, "demo.pth": trap})

    assert not (tmp_path / "sprung").exists()


def test_a_tree_that_does_not_parse_is_an_error_with_its_line() -> None:
    with pytest.raises(BrokenError, match="line 3: not Python"):
        source.parse(b"x = 1\ny = 2\nz z\n")
