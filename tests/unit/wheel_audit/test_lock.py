"""A wheelhouse compared with a lock file, and the command ``hardpan wheels audit``."""

import json
import os
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder.wheel_audit.audit import audit_wheels
from hardpan.builder.wheel_audit.lock import load_lock
from hardpan.core.errors import InputError
from hardpan.core.files import sha256_bytes
from tests.unit.wheel_audit.factories import WHEEL, make_elf, make_wheel, write_wheel

GOOD = make_wheel({"demo/__init__.py": b""})
DIGEST = sha256_bytes(GOOD)
OTHER_DIGEST = "0" * 64


def audit_with_lock(tmp_path: Path, lock: str) -> list[tuple[str, str, str]]:
    path = tmp_path / "ai.lock"
    path.write_text(lock, "utf-8")
    result = audit_wheels(write_wheel(tmp_path / "wheelhouse", GOOD), load_lock(path))
    assert result.lock_sha256 == sha256_bytes(lock.encode())
    return [(f.kind, f.severity, f.wheel) for f in result.findings]


@pytest.mark.parametrize(
    "lock",
    [
        f"demo==1.0 --hash=sha256:{DIGEST}",
        f"Demo[all] == 1.0 ; python_version >= '3.9' \\\n  --hash=sha256:{DIGEST}  # why\n",
        f"# by hand\n--no-binary :none:\ndemo==1.0 \\\n --hash=sha256:{DIGEST.upper()}\n",
        f"demo==1.0 --hash=sha256:{OTHER_DIGEST} --hash=sha256:{DIGEST}",
        f"demo==1.0 --hash=sha512:{'a' * 128} --hash=sha256:{DIGEST}\r\n",
    ],
)
def test_locked_wheel_has_no_finding(tmp_path: Path, lock: str) -> None:
    assert audit_with_lock(tmp_path, lock) == []


@pytest.mark.parametrize(
    ("lock", "expected"),
    [
        (
            f"demo==1.0 --hash=sha256:{OTHER_DIGEST}",
            [("digest_differs", "high", WHEEL), ("missing", "high", "demo==1.0")],
        ),
        (
            f"demo==1.1 --hash=sha256:{OTHER_DIGEST}",
            [("not_locked", "high", WHEEL), ("missing", "high", "demo==1.1")],
        ),
        (
            (
                f"demo==1.0 --hash=sha256:{DIGEST}\n"
                f"more==2 ; os_name == 'nt' --hash=sha256:{OTHER_DIGEST}"
            ),
            [("missing", "medium", "more==2")],
        ),
        # The right bytes under another package's name.
        (
            f"demo==1.0 --hash=sha256:{OTHER_DIGEST}\nmore==2 --hash=sha256:{DIGEST}",
            [
                ("digest_differs", "high", WHEEL),
                ("missing", "high", "demo==1.0"),
                ("missing", "high", "more==2"),
            ],
        ),
        (
            f"more==2 --hash=sha256:{DIGEST}",
            [("not_locked", "high", WHEEL), ("missing", "high", "more==2")],
        ),
        # Another spelling of the same version; the digest decides.
        (f"demo==1.0.0 --hash=sha256:{DIGEST}", []),
        (
            f"demo==1.0 --hash=sha256:{DIGEST}\ndemo==1.1 --hash=sha256:{OTHER_DIGEST}",
            [("missing", "high", "demo==1.1")],
        ),
    ],
)
def test_difference_from_lock_is_a_finding(
    tmp_path: Path, lock: str, expected: list[tuple[str, str, str]]
) -> None:
    assert audit_with_lock(tmp_path, lock) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "ai.lock: expected locked packages, got none"),
        (b"# nothing\n\n", "ai.lock: expected locked packages, got none"),
        (b"demo==1.0\n", "ai.lock:1: demo: expected a sha256 hash"),
        (b"\ndemo>=1.0 --hash=sha256:" + b"0" * 64, "ai.lock:2: expected name==version, got"),
        (b"demo @ file:///x --hash=sha256:" + b"0" * 64, "ai.lock:1: expected name==version"),
        (b"demo==1.0 --hash=sha256:abc", "ai.lock:1: demo: expected a sha256 hash"),
        (b"demo==1.0 --hash=md5:" + b"0" * 32, "ai.lock:1: demo: expected a sha256 hash"),
        (b"-r more.txt\n", "ai.lock:1: expected one complete lock, got '-r'"),
        (b"--requirement=more.txt\n", "ai.lock:1: expected one complete lock"),
        (b"-cmore.txt\n", "ai.lock:1: expected one complete lock, got '-cmore.txt'"),
        (b"demo==1.0\xff", "ai.lock: expected UTF-8, byte 9 is not"),
        (
            b"#" * ((16 << 20) + 1),
            "ai.lock: too long: expected at most 16777216 bytes, got 16777217",
        ),
    ],
)
def test_invalid_lock_file_is_refused(tmp_path: Path, text: bytes, problem: str) -> None:
    path = tmp_path / "ai.lock"
    path.write_bytes(text)

    with pytest.raises(InputError) as caught:
        load_lock(path)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("file", "arguments", "code"),
    [
        (b"", [], 0),
        (make_elf(defined=("OSSL_PROVIDER_load",)), [], 1),
        (make_elf(defined=("OSSL_PROVIDER_load",)), ["--fail-on", "none"], 0),
        (b"PK\3\4", [], 0),
        (b"PK\3\4", ["--fail-on", "medium"], 1),
        (b"PK\3\4", ["--fail-on", "low"], 1),
        (b"", ["--fail-on", "worst"], 2),
        (b"", ["--lock", "no-such.lock"], 3),
    ],
)
def test_exit_code_follows_fail_on(
    tmp_path: Path, file: bytes, arguments: list[str], code: int
) -> None:
    wheelhouse = write_wheel(tmp_path / "wheelhouse", make_wheel({"demo/x.so": file}))

    assert cli.run(["wheels", "audit", str(wheelhouse), *arguments]) == code


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda p: p.mkdir(), "expected 1 to 10000 wheels, got 0"),
        (lambda p: p.write_bytes(b""), "expected a folder of wheels"),
        (lambda p: None, "expected a folder of wheels"),
        (
            lambda p: (p / WHEEL).mkdir(parents=True),
            f"{WHEEL}: expected a regular file, got a folder",
        ),
    ],
)
def test_invalid_wheelhouse_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: object, problem: str
) -> None:
    assert callable(make)
    make(tmp_path / "wheelhouse")

    assert cli.run(["wheels", "audit", str(tmp_path / "wheelhouse")]) == 3
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", WHEEL, "../none"])
def test_symbolic_link_wheel_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    (tmp_path / "secret").write_bytes(make_wheel({"demo/x.py": b""}))
    (tmp_path / "wheelhouse").mkdir()
    (tmp_path / "wheelhouse" / WHEEL).symlink_to(target)

    assert cli.run(["wheels", "audit", str(tmp_path / "wheelhouse")]) == 3

    captured = capsys.readouterr()
    assert f"{WHEEL}: expected a regular file, got a symbolic link" in captured.err
    assert captured.out == ""


def test_named_pipe_wheel_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wheelhouse").mkdir()
    os.mkfifo(tmp_path / "wheelhouse" / WHEEL)

    assert cli.run(["wheels", "audit", str(tmp_path / "wheelhouse")]) == 3
    assert "expected a regular file, got a pipe" in capsys.readouterr().err


def test_findings_go_to_stdout_and_summary_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheelhouse = write_wheel(
        tmp_path / "wheelhouse", make_wheel({"demo/x.so": make_elf(text=b"LibsodiumDRG\0")})
    )
    (wheelhouse / "old-1.0.tar.gz").write_bytes(b"")

    assert cli.run(["wheels", "audit", str(wheelhouse)]) == 1
    captured = capsys.readouterr()
    assert captured.out == (
        f"high    bundled_crypto  {WHEEL}: demo/x.so: bundles libsodium, outside of the "
        "system's FIPS modules (byte 64: 'LibsodiumDRG')\n"
        "medium  not_checked     old-1.0.tar.gz: is no wheel: what it would build is not known\n"
    )
    assert captured.err == (
        "1 wheels, 0 refused; 1 native files, 0 sources; findings: 1 high, 1 medium, 0 low\n"
    )


def test_json_output_is_reproducible(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheelhouse = write_wheel(
        tmp_path / "wheelhouse", make_wheel({"demo/x.so": make_elf(text=b"LibsodiumDRG\0")})
    )
    arguments = ["wheels", "audit", str(wheelhouse), "--json"]

    assert cli.run(arguments) == 1
    first = capsys.readouterr().out
    assert cli.run(arguments) == 1
    assert capsys.readouterr().out == first
    document = json.loads(first)
    assert document["wheels"][0]["native_files"] == 1
    assert document["findings"][0]["library"] == "libsodium"
    assert str(tmp_path) not in first
