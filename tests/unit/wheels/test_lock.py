"""A folder held against a lock file, and the verb as a person types it."""

import json
import os
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder.wheels.audit import audit
from hardpan.builder.wheels.lock import load
from hardpan.errors import InputError
from hardpan.files import sha256_bytes
from tests.unit.wheels.makers import WHEEL, elf, put, wheel

GOOD = wheel({"demo/__init__.py": b""})
DIGEST = sha256_bytes(GOOD)
OTHER = "0" * 64


def held(tmp_path: Path, lock: str) -> list[tuple[str, str, str]]:
    path = tmp_path / "ai.lock"
    path.write_text(lock, "utf-8")
    found = audit(put(tmp_path / "house", GOOD), load(path))
    assert found.lock_sha256 == sha256_bytes(lock.encode())
    return [(f.kind, f.severity, f.wheel) for f in found.findings]


@pytest.mark.parametrize(
    "lock",
    [
        f"demo==1.0 --hash=sha256:{DIGEST}",
        f"Demo[all] == 1.0 ; python_version >= '3.9' \\\n  --hash=sha256:{DIGEST}  # why\n",
        f"# by hand\n--no-binary :none:\ndemo==1.0 \\\n --hash=sha256:{DIGEST.upper()}\n",
        f"demo==1.0 --hash=sha256:{OTHER} --hash=sha256:{DIGEST}",
        f"demo==1.0 --hash=sha512:{'a' * 128} --hash=sha256:{DIGEST}\r\n",
    ],
)
def test_a_locked_wheel_is_no_finding(tmp_path: Path, lock: str) -> None:
    assert held(tmp_path, lock) == []


@pytest.mark.parametrize(
    ("lock", "told"),
    [
        (
            f"demo==1.0 --hash=sha256:{OTHER}",
            [("digest_differs", "high", WHEEL), ("not_there", "high", "demo==1.0")],
        ),
        (
            f"demo==1.1 --hash=sha256:{OTHER}",
            [("not_locked", "high", WHEEL), ("not_there", "high", "demo==1.1")],
        ),
        (
            f"demo==1.0 --hash=sha256:{DIGEST}\nmore==2 ; os_name == 'nt' --hash=sha256:{OTHER}",
            [("not_there", "medium", "more==2")],
        ),
        # The right bytes under another package's name.
        (
            f"demo==1.0 --hash=sha256:{OTHER}\nmore==2 --hash=sha256:{DIGEST}",
            [
                ("digest_differs", "high", WHEEL),
                ("not_there", "high", "demo==1.0"),
                ("not_there", "high", "more==2"),
            ],
        ),
        (
            f"more==2 --hash=sha256:{DIGEST}",
            [("not_locked", "high", WHEEL), ("not_there", "high", "more==2")],
        ),
        # Another spelling of the same version; the digest decides.
        (f"demo==1.0.0 --hash=sha256:{DIGEST}", []),
        (
            f"demo==1.0 --hash=sha256:{DIGEST}\ndemo==1.1 --hash=sha256:{OTHER}",
            [("not_there", "high", "demo==1.1")],
        ),
    ],
)
def test_what_is_not_as_locked_is_a_finding(
    tmp_path: Path, lock: str, told: list[tuple[str, str, str]]
) -> None:
    assert held(tmp_path, lock) == told


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "ai.lock: expected locked packages, found none"),
        (b"# nothing\n\n", "ai.lock: expected locked packages, found none"),
        (b"demo==1.0\n", "ai.lock:1: demo: expected a sha256 hash"),
        (b"\ndemo>=1.0 --hash=sha256:" + b"0" * 64, "ai.lock:2: expected name==version, found"),
        (b"demo @ file:///x --hash=sha256:" + b"0" * 64, "ai.lock:1: expected name==version"),
        (b"demo==1.0 --hash=sha256:abc", "ai.lock:1: demo: expected a sha256 hash"),
        (b"demo==1.0 --hash=md5:" + b"0" * 32, "ai.lock:1: demo: expected a sha256 hash"),
        (b"-r more.txt\n", "ai.lock:1: expected one whole lock, found '-r'"),
        (b"--requirement=more.txt\n", "ai.lock:1: expected one whole lock"),
        (b"-cmore.txt\n", "ai.lock:1: expected one whole lock, found '-cmore.txt'"),
        (b"demo==1.0\xff", "ai.lock: expected UTF-8, byte 9 is not"),
        (b"#" * ((16 << 20) + 1), "ai.lock: expected at most 16777216 bytes, found more"),
    ],
)
def test_a_lock_that_cannot_be_held_against_is_refused(
    tmp_path: Path, text: bytes, problem: str
) -> None:
    path = tmp_path / "ai.lock"
    path.write_bytes(text)

    with pytest.raises(InputError) as caught:
        load(path)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("file", "arguments", "code"),
    [
        (b"", [], 0),
        (elf(defined=("OSSL_PROVIDER_load",)), [], 1),
        (elf(defined=("OSSL_PROVIDER_load",)), ["--fail-on", "none"], 0),
        (b"PK\3\4", [], 0),
        (b"PK\3\4", ["--fail-on", "medium"], 1),
        (b"PK\3\4", ["--fail-on", "low"], 1),
        (b"", ["--fail-on", "worst"], 2),
        (b"", ["--lock", "no-such.lock"], 3),
    ],
)
def test_the_exit_code_is_the_answer(
    tmp_path: Path, file: bytes, arguments: list[str], code: int
) -> None:
    house = put(tmp_path / "house", wheel({"demo/x.so": file}))

    assert cli.run(["wheels", "audit", str(house), *arguments]) == code


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda p: p.mkdir(), "expected 1 to 10000 wheels, found 0"),
        (lambda p: p.write_bytes(b""), "expected a folder of wheels"),
        (lambda p: None, "expected a folder of wheels"),
        (
            lambda p: (p / WHEEL).mkdir(parents=True),
            f"{WHEEL}: expected a regular file, got a folder",
        ),
    ],
)
def test_what_is_no_wheelhouse_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: object, problem: str
) -> None:
    assert callable(make)
    make(tmp_path / "house")

    assert cli.run(["wheels", "audit", str(tmp_path / "house")]) == 3
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", WHEEL, "../none"])
def test_a_wheel_that_is_a_link_is_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    (tmp_path / "secret").write_bytes(wheel({"demo/x.py": b""}))
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / WHEEL).symlink_to(target)

    assert cli.run(["wheels", "audit", str(tmp_path / "house")]) == 3

    said = capsys.readouterr()
    assert f"{WHEEL}: expected a regular file, got a symbolic link" in said.err
    assert said.out == ""


def test_a_wheel_that_is_a_pipe_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "house").mkdir()
    os.mkfifo(tmp_path / "house" / WHEEL)

    assert cli.run(["wheels", "audit", str(tmp_path / "house")]) == 3
    assert "expected a regular file, got a pipe" in capsys.readouterr().err


def test_stdout_is_data_and_stderr_is_talk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = put(tmp_path / "house", wheel({"demo/x.so": elf(text=b"LibsodiumDRG\0")}))
    (house / "old-1.0.tar.gz").write_bytes(b"")

    assert cli.run(["wheels", "audit", str(house)]) == 1
    said = capsys.readouterr()
    assert said.out == (
        f"high    bundled_crypto  {WHEEL}: demo/x.so: carries libsodium, outside of the system's "
        "modules (byte 64: 'LibsodiumDRG')\n"
        "medium  not_checked     old-1.0.tar.gz: is no wheel: what it would build is not known\n"
    )
    assert said.err == (
        "1 wheels, 0 refused; 1 native files, 0 sources; findings: 1 high, 1 medium, 0 low\n"
    )


def test_json_is_the_same_for_the_same_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = put(tmp_path / "house", wheel({"demo/x.so": elf(text=b"LibsodiumDRG\0")}))
    arguments = ["wheels", "audit", str(house), "--json"]

    assert cli.run(arguments) == 1
    first = capsys.readouterr().out
    assert cli.run(arguments) == 1
    assert capsys.readouterr().out == first
    told = json.loads(first)
    assert told["wheels"][0]["natives"] == 1
    assert told["findings"][0]["library"] == "libsodium"
    assert str(tmp_path) not in first
