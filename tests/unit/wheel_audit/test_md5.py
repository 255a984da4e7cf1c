"""Digests that FIPS mode refuses: every way to write them, guards, reach, and hostile sources."""

from pathlib import Path

import pytest

from hardpan.builder.wheel_audit import md5, source
from hardpan.builder.wheel_audit.audit import audit_wheels
from hardpan.builder.wheel_audit.model import AuditFinding, AuditLimits, MalformedWheelError
from tests.unit.wheel_audit.factories import make_wheel, make_zip, write_wheel


def find_uses(text: str) -> list[tuple[int, str, str]]:
    return [
        (u.line, u.algorithm, u.form) for u in md5.find_uses(source.parse_source(text.encode()))
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_every_unguarded_call_is_reported(text: str, expected: tuple[int, str, str]) -> None:
    assert find_uses(text) == [expected]


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
def test_guarded_or_unrelated_call_has_no_finding(text: str) -> None:
    assert find_uses(text) == []


CALL = b"import hashlib\nhashlib.md5(b'')\n"


def audit_files(
    tmp_path: Path, files: dict[str, bytes], limits: AuditLimits | None = None
) -> list[AuditFinding]:
    return list(
        audit_wheels(
            write_wheel(tmp_path / "wheelhouse", make_wheel(files)), limits=limits
        ).findings
    )


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
def test_severity_depends_on_import_reachability(
    tmp_path: Path, files: dict[str, bytes], severity: str
) -> None:
    md5_findings = [f for f in audit_files(tmp_path, files) if f.kind == "unguarded_md5"]

    assert [f.severity for f in md5_findings] == [severity]
    assert md5_findings[0].line == 2
    assert md5_findings[0].path in files


def test_unfollowed_imports_count_as_reached(tmp_path: Path) -> None:
    files = {"demo/__init__.py": b"import os\n" * 50, "demo/a.py": CALL}

    (finding,) = audit_files(tmp_path, files, AuditLimits(max_closure_bytes=100))
    assert finding.severity == "high"


def nested_source(before: str, after: str = "", count: int = 100_000) -> bytes:
    return ("hashlib.md5\n" + before * count + "1" + after * count).encode()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (nested_source("("), "line 2: not Python: "),
        (nested_source("-"), "nests too deep to be read"),
        (nested_source("f(", ")"), "line 2: not Python: too many nested parentheses"),
        (nested_source("1+("), "line 2: not Python: "),
        (nested_source("1+"), "nests too deep to be read"),
        (b"hashlib" + b".x" * 300_000, "nests too deep to be read"),
        (b"hashlib\n" + b"if 1:" * 1000, "line 2: not Python: invalid syntax"),
        (b"print 'hashlib'", "line 1: not Python: "),
        (b"x = 'md5\0'", "not Python: source code string cannot contain null bytes"),
        (b"'md5\xff'", "byte 4: not utf-8"),
        (b"# coding: idna\n'md5'", "written in 'idna', which is not read"),
        (b"#\n# -*- coding: zlib_codec -*-\n'md5'", "written in 'zlib-codec', which is not read"),
        (b"hashlib\n" + b"9" * 5000, "not Python: Exceeds the limit"),
    ],
)
def test_hostile_source_is_not_checked(tmp_path: Path, data: bytes, problem: str) -> None:
    (finding,) = audit_files(tmp_path, {"demo/x.py": data})

    assert problem in finding.message
    assert (finding.kind, finding.severity, finding.path) == ("not_checked", "medium", "demo/x.py")


def test_oversized_source_is_not_checked(tmp_path: Path) -> None:
    (finding,) = audit_files(tmp_path, {"demo/x.py": CALL}, AuditLimits(max_source_bytes=10))

    assert finding.message == f"expected at most 10 bytes of source, got {len(CALL)}: not read"


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
def test_source_in_ascii_based_encoding_is_parsed(data: bytes) -> None:
    assert [u.algorithm for u in md5.find_uses(source.parse_source(data))] == ["md5"]


def test_audit_executes_nothing(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w')\nimport hashlib\nhashlib.md5()\n".encode()
    audit_files(tmp_path, {"demo/__init__.py": trap, "sitecustomize.py": trap, "demo.pth": trap})

    assert not (tmp_path / "sprung").exists()


def test_syntax_error_is_reported_with_line() -> None:
    with pytest.raises(MalformedWheelError, match="line 3: not Python"):
        source.parse_source(b"x = 1\ny = 2\nz z\n")


FULL_WIDTH = str.maketrans({c: chr(ord(c) + 0xFEE0) for c in "abcdefghijklmnopqrstuvwxyz"})
SCRIPT = str.maketrans({c: chr(0x1D4B6 + ord(c) - ord("a")) for c in "hashlib"})
EVASIONS = {
    # Encodings in which other bytes are these letters.
    "utf-7": b"# coding: utf-7\nimport hashlib\nhashlib.+AG0AZA-5()\n",
    "utf-7 import": b"#!/usr/bin/python\n# coding=u7\nimport +AGgAYQBzAGg-lib as h\nh.md5()\n",
    "utf-7 after a carriage return": b"#\r# coding: utf-7\rimport +AGg-ashlib as h\rh.md5()\r",
    "unicode_escape": b"# coding: unicode_escape\nimport hashl\\x69b as h\nh.\\x6d\\x64\\x35()\n",
    "unicode_escape lines": b"# coding: unicode_escape\n#\\x0aimport hashlib\\x0ahashlib.md5()\n",
    "raw_unicode_escape": b"# coding: raw-unicode-escape\nimport \\u0068ashlib as h\nh.md5()\n",
    # Identifiers whose NFKC form is the name.
    "full width": f"import {'hashlib'.translate(FULL_WIDTH)} as h\nh.md5()\n".encode(),
    "full width attribute": "import hashlib\nhashlib.\uff4dd5()\n".encode(),
    "mathematical": f"from {'hashlib'.translate(SCRIPT)} import md5\nmd5()\n".encode(),
    "full width in gbk": "# coding: gbk\nimport \uff48ashlib as h\nh.md5()\n".encode("gbk"),
    # Texts that are not there letter by letter.
    "hex escape": b'import hashlib\ngetattr(hashlib, "\\x6d\\x64\\x35")()\n',
    "octal escape": b'import hashlib\nhashlib.new("\\155d5")\n',
    "named escape": b'import hashlib\nhashlib.new("\\N{LATIN SMALL LETTER M}d5")\n',
    "line continued in a text": b'import hashlib\nhashlib.new("m\\\nd5")\n',
    "texts side by side": b'import hashlib\nhashlib.new("m" "d5")\n',
    "sum of texts": b'import hashlib\nhashlib.new("m" + "d" + "5")\n',
    "long sum of texts": b'import hashlib\nhashlib.new("m"' + b' + ""' * 500 + b' + "d5")\n',
    "formatted text": b"import hashlib\nhashlib.new(f\"{'m'}d5\")\n",
    "joined texts": b'import hashlib\nhashlib.new("".join(["m", "d5"]))\n',
    # Ways to the module and to the function.
    "statement continued": b"import \\\n  hashlib \\\n  as h\nh \\\n  . md5()\n",
    "form feed": b"\x0cimport hashlib\n\x0chashlib.md5()\n",
    "__import__": b'__import__("hash" "lib").md5()\n',
    "import_module": b'import importlib\nimportlib.import_module("hash" + "lib").md5()\n',
    "import_module by name": b'from importlib import import_module\nimport_module("hashlib").md5()',
    "another name of the module": b"import hashlib\nh = hashlib\ng = h\ng.md5()\n",
    "a name in a condition": b"import hashlib\nif (h := hashlib): h.md5()\n",
    "_hashlib": b"import _hashlib\n_hashlib.openssl_md5()\n",
    "dictionary of the module": b'import hashlib\nhashlib.__dict__["md5"]()\n',
    "vars of the module": b'import hashlib\nvars(hashlib)["m" "d5"]()\n',
    "modules of sys": b'import sys\nsys.modules["hashlib"].md5()\n',
    "module of another module": b"import uuid\nuuid.hashlib.md5()\n",
    "import from another module": b"from uuid import hashlib\nhashlib.md5()\n",
    "names side by side": b"import hashlib\na, b = hashlib.md5, 1\na()\n",
}


@pytest.mark.parametrize("kind", EVASIONS)
def test_disguised_call_is_reported(tmp_path: Path, kind: str) -> None:
    compile(EVASIONS[kind], "demo", "exec")  # Python takes it

    findings = audit_files(tmp_path, {"demo/__init__.py": EVASIONS[kind]})

    assert {f.kind for f in findings} == {"unguarded_md5"}
    assert {f.path for f in findings} == {"demo/__init__.py"}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"# coding: rot13\nvzcbeg unfuyvo\n", "written in 'rot13', which is not read"),
        (b"# coding: cp037\n\x89\x94", "written in 'cp037', which is not read"),
        (b"# coding: punycode\nx = 1\n", "written in 'punycode', which is not read"),
        (b"# coding: their_own\nx = 1\n", "written in 'their-own', which is not read"),
        (b"#\r# coding: utf-16\rx = 1", "written in 'utf-16', which is not read"),
        (b"\xef\xbb\xbf# coding: hz\nx = 1\n", "written in 'hz', which is not read"),
        ("import hashlib".encode("utf-16"), "null bytes"),
        ("import hashlib".encode("utf-16-le"), "null bytes"),
        ("import hashlib".encode("utf-32"), "null bytes"),
        (b"# \xff\nimport os\n", "byte 2: not utf-8"),
        (b"# coding: ascii\nx = '\xc3\xa9'\n", "not ascii"),
        (b"# coding: shift_jis\nx = '\x81'\n", "not shift_jis"),
        (b"# coding: utf-7\n+2AA-", "not Python"),
    ],
)
def test_source_in_unsupported_encoding_is_not_checked(
    tmp_path: Path, data: bytes, problem: str
) -> None:
    (finding,) = audit_files(tmp_path, {"demo/x.py": data})

    assert problem in finding.message
    assert (finding.kind, finding.severity, finding.path) == ("not_checked", "medium", "demo/x.py")


@pytest.mark.parametrize("encoding", sorted(source.ASCII_BASED))
def test_ascii_based_encodings_decode_ascii_unchanged(encoding: str) -> None:
    ascii_ = bytes(range(128))

    assert ascii_.decode(encoding) == ascii_.decode("ascii")


@pytest.mark.parametrize(
    "data",
    [
        b"# coding: gbk\nimport hashlib\nx = '" + "中".encode("gbk") + b"'\n",
        "# José\nimport hashlib\nhashlib.sha256()\n".encode(),
        b"# coding: koi8-r\nx = '\xd2'\n",
        b"# coding: cp1251\n# \xcf\nx = 1\n",
        "# \U0001d4bd md5 in a comment\n".encode(),
        b"x = 'hashlib.md5'\n",
    ],
)
def test_clean_source_in_other_encoding_has_no_finding(tmp_path: Path, data: bytes) -> None:
    assert audit_files(tmp_path, {"demo/x.py": data}) == []


ZIP = make_zip([("x.py", CALL)])


@pytest.mark.parametrize(
    ("name", "data", "severity", "problem"),
    [
        ("demo/__pycache__/x.cpython-311.pyc", b"\xa7\r\r\n" + bytes(30), "medium", "compiled"),
        ("demo/x.pyc", b"", "medium", "is compiled Python: not read"),
        ("demo-1.0.data/purelib/x.pyc", b"x", "medium", "is compiled Python: not read"),
        ("demo.pth", b"import hashlib; hashlib.md5()\n", "medium", "runs at every start of Python"),
        ("demo.pth", b"/x\r\nimport\tos\r\n", "medium", "runs at every start of Python"),
        ("demo.pth", b"\xef\xbb\xbfimport os", "medium", "runs at every start of Python"),
        ("demo-1.0.data/platlib/demo.pth", b"import os", "medium", "runs at every start of Python"),
        ("demo/lib.zip", ZIP, "medium", "is an archive: not inspected"),
        ("demo/run", b"#!/usr/bin/env python3\n" + ZIP, "medium", "is an archive"),
        ("demo/data.bin", b"x" * 70_000 + ZIP, "medium", "is an archive"),
        ("demo/more.py", b"#" * (1 << 20) + ZIP, "medium", "is an archive"),
        ("demo/empty.egg", make_zip([]), "medium", "is an archive"),
        ("demo/x.tar", bytes(257) + b"ustar\0", "low", "is an archive"),
        ("demo/x.tar.gz", b"\x1f\x8b" + bytes(9), "low", "is compressed"),
        ("demo/x.xz", b"\xfd7zXZ\0" + bytes(9), "low", "is compressed"),
        ("demo/x.bz2", b"BZh9" + bytes(9), "low", "is compressed"),
        ("demo/x.zst", b"\x28\xb5\x2f\xfd" + bytes(9), "low", "is compressed"),
    ],
)
def test_code_other_than_source_is_not_checked(
    tmp_path: Path, name: str, data: bytes, severity: str, problem: str
) -> None:
    findings = [f for f in audit_files(tmp_path, {name: data}) if "at most" not in f.message]

    assert [(f.kind, f.severity, f.path) for f in findings] == [("not_checked", severity, name)]
    assert problem in findings[0].message


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("demo.pth", b"/opt/demo\n# import os\n"),
        ("demo/inner.pth", b"import os\n"),
        ("demo-1.0.data/scripts/demo", b"#!/bin/sh\nimport hashlib\nhashlib.md5()\n"),
        ("demo/readme", CALL),
    ],
)
def test_file_python_does_not_run_has_no_finding(tmp_path: Path, name: str, data: bytes) -> None:
    assert audit_files(tmp_path, {name: data}) == []


@pytest.mark.parametrize("first", [b"#!python\n", b"#!/usr/bin/env python3\n", b"#!pythonw\n"])
def test_python_script_is_audited_under_any_name(tmp_path: Path, first: bytes) -> None:
    (finding,) = audit_files(tmp_path, {"demo-1.0.data/scripts/demo": first + CALL})

    assert (finding.kind, finding.severity, finding.line) == ("unguarded_md5", "medium", 3)
