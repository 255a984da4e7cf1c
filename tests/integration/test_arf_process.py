"""The process that reads an ARF: what it may take, and that its answer is judged like the ARF."""

import gzip
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from hardpan.core.compression import compress
from hardpan.core.errors import ToolError
from hardpan.core.process import pipe_through, run
from hardpan.core.resources import resource_path
from hardpan.scanners.openscap.arf import process
from hardpan.scanners.openscap.arf.process import LIMITS, ArfLimits, read_arf
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf, parse_arf
from tests.benchmarks import full_arf
from tests.tools.hostile_arfs import KINDS, generate_hostile_arf
from tests.unit.openscap.samples import ARF

pytestmark = pytest.mark.integration

ARF_BYTES = ARF.replace("\x85", " ").encode()
_REPO = Path(__file__).parents[2]
_MiB = 1 << 20


def test_process_result_equals_in_process_result() -> None:
    result, packed = read_arf([ARF_BYTES[:500], ARF_BYTES[500:]], name="x.xml")

    assert result == parse_arf([ARF_BYTES])
    assert packed == compress(ARF_BYTES)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ARF_BYTES[:-40], "the ARF x.xml is cut short or is not XML"),
        (b"", "the ARF x.xml is cut short or is not XML"),
        (ARF_BYTES.replace(b">fail<", b">passed<"), "the ARF x.xml gives one the result 'passed'"),
        (b"<!DOCTYPE x>" + ARF_BYTES[22:], "the ARF x.xml declares entities"),
    ],
)
def test_refused_arf_has_a_reason(data: bytes, reason: str) -> None:
    result, packed = read_arf([data], name="x.xml")

    assert isinstance(result, UnreadableArf)
    assert reason in result.reason
    assert packed is None


def test_sender_failure_is_the_reason() -> None:
    def broken() -> Iterator[bytes]:
        yield ARF_BYTES[:100]
        raise ToolError(["the ARF"], "cannot be unpacked")

    assert read_arf(broken(), name="x.xml") == (
        UnreadableArf(reason="the ARF cannot be unpacked"),
        None,
    )


@pytest.mark.parametrize(
    ("limits", "kind", "reason"),
    [
        (ArfLimits(memory_mib=48), "attributes of one element", "has a tag or a comment of"),
        (ArfLimits(memory_mib=48), "tests", "takes more than 48 MiB of memory to read"),
        (ArfLimits(time_s=1.0), "empty elements", "cannot be read within 1 s and 512 MiB"),
    ],
)
def test_arf_beyond_the_limits_is_refused(limits: ArfLimits, kind: str, reason: str) -> None:
    chunks = list(generate_hostile_arf(kind, 8 * _MiB))

    start = time.monotonic()
    result, packed = read_arf(chunks, name="x.xml", limits=limits)

    assert isinstance(result, UnreadableArf)
    assert reason in result.reason
    assert packed is None
    assert time.monotonic() - start < 20


def test_stalled_sender_ends_within_the_time_limit() -> None:
    stopped = threading.Event()

    def slow() -> Iterator[bytes]:
        yield ARF_BYTES[:100]
        stopped.wait(2)
        yield ARF_BYTES[100:]

    result, _ = read_arf(slow(), name="x.xml", limits=ArfLimits(time_s=1.0))

    assert isinstance(result, UnreadableArf)
    assert "within 1 s" in result.reason


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("sys.stdin.buffer.read(); sys.exit(1)", "exited with 1"),
        ("sys.stdin.buffer.read(); sys.stdout.write('x' * 70_000_000)", "wrote more than 67108864"),
        ("sys.stdin.buffer.read(); sys.stdout.write('{}')", "the ARF x.xml was not read"),
        ("sys.stdout.write(ANSWER)", "the ARF x.xml was not read completely"),
    ],
)
def test_compromised_process_is_not_trusted(
    program: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = json.dumps({"arf": asdict(parse_arf([ARF_BYTES]))})
    start = f"import sys; ANSWER = {answer!r}; {program}"
    monkeypatch.setattr(process, "_START", start)
    sent = [ARF_BYTES, *(b" " * _MiB for _ in range(8))]

    result, packed = read_arf(sent, name="x.xml")

    assert isinstance(result, UnreadableArf)
    assert reason in result.reason
    assert packed is None


def test_environment_modules_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "resource", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    result, _ = read_arf([ARF_BYTES], name="x.xml")

    assert isinstance(result, Arf)


def test_worker_imports_hardpan_without_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder of the user, which ``-I`` leaves out."""
    install_root = tmp_path / "elsewhere"
    install_root.mkdir()
    (install_root / "hardpan").symlink_to(resource_path("hardpan"))
    monkeypatch.setattr(process, "_ROOT", install_root)
    start = process._START.replace("import sys; ", "import sys; sys.path[:] = PATH; ")
    python_paths = [
        p for p in sys.path if p.startswith(sys.base_prefix) and "site-packages" not in p
    ]
    monkeypatch.setattr(process, "_START", start.replace("PATH", repr(python_paths)))

    result, _ = read_arf([ARF_BYTES], name="x.xml")

    assert isinstance(result, Arf)


def test_program_with_too_much_output_is_killed() -> None:
    with pytest.raises(ToolError, match="wrote more than 1000 bytes"):
        pipe_through(["cat", "/dev/zero"], [], timeout_s=20, max_output_bytes=1000)


def test_program_timeout_kills_its_children() -> None:
    with pytest.raises(ToolError, match=r"did not end within 0\.5 s"):
        pipe_through(
            ["sh", "-c", "sleep 60 & sleep 60"], [b"x"], timeout_s=0.5, max_output_bytes=1000
        )


def test_program_failure_shows_last_stderr_lines() -> None:
    with pytest.raises(ToolError, match="exited with 3") as caught:
        pipe_through(
            ["sh", "-c", "echo why >&2; exit 3"], [b"x"], timeout_s=9, max_output_bytes=1000
        )

    assert caught.value.output_tail == "why"


_SLOW = (
    *("empty elements", "elements with a name each", "tests", "items", "fields of one item"),
    *("attributes of one element", "name spaces of one element", "character references"),
)
"""Read at the same speed at any length, and the limit is on time: 1 MiB of each will do."""

_QUICK = ArfLimits(memory_mib=128, time_s=13.0)
"""A quarter of the limits."""


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_arf_stays_within_a_quarter_of_the_limits(kind: str) -> None:
    chunks = list(generate_hostile_arf(kind, (1 if kind in _SLOW else 8) * _MiB))

    start = time.monotonic()
    result, packed = read_arf(chunks, name="x.xml", limits=_QUICK)

    assert time.monotonic() - start < _QUICK.time_s + 2
    assert isinstance(result, UnreadableArf) == (packed is None)


@pytest.mark.limits
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_arf_of_256_mib_ends_within_a_minute_and_a_gibibyte(
    kind: str, tmp_path: Path
) -> None:
    """Run the reader in a separate process, so that its memory can be measured."""
    file = tmp_path / "arf.xml.gz"
    with gzip.open(file, "wb", compresslevel=1) as sink:
        for chunk in generate_hostile_arf(kind, 252 * _MiB):
            sink.write(chunk)

    duration_s, mib, answer = _measure(file)

    sys.stdout.write(f"\n{kind}: {duration_s:.1f} s, {mib} MiB: {answer}\n")
    assert duration_s < 60
    assert mib < 1024


@pytest.mark.limits
def test_real_arf_of_38_mb_needs_a_quarter_of_the_limits(tmp_path: Path) -> None:
    file = tmp_path / "arf.xml.gz"
    real = full_arf.ensure_arf(_REPO / "images/cache")
    file.write_bytes(gzip.compress(real.read_bytes(), 1))

    duration_s, mib, answer = _measure(file, memory_mib=LIMITS.memory_mib // 4)

    sys.stdout.write(f"\n{real.stat().st_size} bytes: {duration_s:.1f} s, {mib} MiB: {answer}\n")
    assert duration_s < 15
    assert mib < 256
    assert answer.startswith("Arf")


def _measure(file: Path, memory_mib: int = LIMITS.memory_mib) -> tuple[float, int, str]:
    argv = [sys.executable, "-m", "tests.tools.arf_memory", file, str(memory_mib)]
    measurement = json.loads(run(argv, timeout_s=300, cwd=_REPO).stdout)
    return measurement["took_s"], measurement["mib"], measurement["answer"]


def test_process_imports_only_hardpan_and_the_standard_library() -> None:
    """Nothing that is installed takes time or runs next to a hostile ARF."""
    code = (
        f"import sys; sys.path.append({str(resource_path('hardpan').parent)!r}); "
        "import hardpan.scanners.openscap.arf.worker; "
        "print(*sorted({m.partition('.')[0] for m in sys.modules} - sys.stdlib_module_names)); "
        "print('concurrent' in sys.modules, 'hashlib' in sys.modules, 'site' in sys.modules)"
    )

    answer = run([sys.executable, "-I", "-S", "-c", code], timeout_s=60)

    assert answer.stdout == "__main__ hardpan\nFalse False False\n"
