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

from hardpan.errors import ToolError
from hardpan.packed import pack
from hardpan.process import feed, run
from hardpan.resources import resource_path
from hardpan.scanners import arf_process
from hardpan.scanners.arf import Arf, UnreadableArf, parse
from hardpan.scanners.arf_process import LIMITS, ReadingLimits, read_arf
from tests.bench import whole_arf
from tests.tooling.hostile_arfs import KINDS, hostile_arf
from tests.unit.evaluate.arfs import ARF

pytestmark = pytest.mark.integration

WHOLE = ARF.replace("\x85", " ").encode()
_REPO = Path(__file__).parents[2]
_MiB = 1 << 20


def test_process_reads_what_is_read_here() -> None:
    found, packed = read_arf([WHOLE[:500], WHOLE[500:]], name="x.xml")

    assert found == parse([WHOLE])
    assert packed == pack(WHOLE)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (WHOLE[:-40], "the ARF x.xml is cut short or is not XML"),
        (b"", "the ARF x.xml is cut short or is not XML"),
        (WHOLE.replace(b">fail<", b">passed<"), "the ARF x.xml gives one the result 'passed'"),
        (b"<!DOCTYPE x>" + WHOLE[22:], "the ARF x.xml declares entities"),
    ],
)
def test_arf_that_is_refused_has_its_reason(data: bytes, reason: str) -> None:
    found, packed = read_arf([data], name="x.xml")

    assert isinstance(found, UnreadableArf)
    assert reason in found.reason
    assert packed is None


def test_failure_of_the_sender_is_a_reason() -> None:
    def broken() -> Iterator[bytes]:
        yield WHOLE[:100]
        raise ToolError(["the ARF"], "cannot be unpacked")

    assert read_arf(broken(), name="x.xml") == (
        UnreadableArf(reason="the ARF cannot be unpacked"),
        None,
    )


@pytest.mark.parametrize(
    ("limits", "kind", "reason"),
    [
        (ReadingLimits(memory_mib=48), "attributes of one element", "has a tag or a comment of"),
        (ReadingLimits(memory_mib=48), "tests", "takes more than 48 MiB of memory to read"),
        (ReadingLimits(time_s=1.0), "empty elements", "cannot be read within 1 s and 512 MiB"),
    ],
)
def test_arf_beyond_the_limits_is_refused(limits: ReadingLimits, kind: str, reason: str) -> None:
    chunks = list(hostile_arf(kind, 8 * _MiB))

    began = time.monotonic()
    found, packed = read_arf(chunks, name="x.xml", limits=limits)

    assert isinstance(found, UnreadableArf)
    assert reason in found.reason
    assert packed is None
    assert time.monotonic() - began < 20


def test_sender_that_stops_is_waited_for_no_longer_than_the_limit() -> None:
    stopped = threading.Event()

    def slow() -> Iterator[bytes]:
        yield WHOLE[:100]
        stopped.wait(2)
        yield WHOLE[100:]

    found, _ = read_arf(slow(), name="x.xml", limits=ReadingLimits(time_s=1.0))

    assert isinstance(found, UnreadableArf)
    assert "within 1 s" in found.reason


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("sys.stdin.buffer.read(); sys.exit(1)", "exited with 1"),
        ("sys.stdin.buffer.read(); sys.stdout.write('x' * 70_000_000)", "wrote more than 67108864"),
        ("sys.stdin.buffer.read(); sys.stdout.write('{}')", "the ARF x.xml was not read"),
        ("sys.stdout.write(ANSWER)", "the ARF x.xml was not read to its end"),
    ],
)
def test_process_that_was_taken_over_is_not_believed(
    program: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = json.dumps({"arf": asdict(parse([WHOLE]))})
    start = f"import sys; ANSWER = {answer!r}; {program}"
    monkeypatch.setattr(arf_process, "_START", start)
    sent = [WHOLE, *(b" " * _MiB for _ in range(8))]

    found, packed = read_arf(sent, name="x.xml")

    assert isinstance(found, UnreadableArf)
    assert reason in found.reason
    assert packed is None


def test_nothing_of_the_environment_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "resource", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    found, _ = read_arf([WHOLE], name="x.xml")

    assert isinstance(found, Arf)


def test_hardpan_is_found_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder of the user, which ``-I`` leaves out."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "hardpan").symlink_to(resource_path("hardpan"))
    monkeypatch.setattr(arf_process, "_ROOT", place)
    start = arf_process._START.replace("import sys; ", "import sys; sys.path[:] = PATH; ")
    ours = [p for p in sys.path if p.startswith(sys.base_prefix) and "site-packages" not in p]
    monkeypatch.setattr(arf_process, "_START", start.replace("PATH", repr(ours)))

    found, _ = read_arf([WHOLE], name="x.xml")

    assert isinstance(found, Arf)


def test_program_that_writes_too_much_is_ended() -> None:
    with pytest.raises(ToolError, match="wrote more than 1000 bytes"):
        feed(["cat", "/dev/zero"], [], timeout_s=20, max_output_bytes=1000)


def test_program_that_does_not_end_is_ended_with_its_children() -> None:
    with pytest.raises(ToolError, match=r"did not end within 0\.5 s"):
        feed(["sh", "-c", "sleep 60 & sleep 60"], [b"x"], timeout_s=0.5, max_output_bytes=1000)


def test_program_that_fails_shows_its_last_lines() -> None:
    with pytest.raises(ToolError, match="exited with 3") as caught:
        feed(["sh", "-c", "echo why >&2; exit 3"], [b"x"], timeout_s=9, max_output_bytes=1000)

    assert caught.value.tail == "why"


_SLOW = (
    *("empty elements", "elements with a name each", "tests", "items", "fields of one item"),
    *("attributes of one element", "name spaces of one element", "character references"),
)
"""Read at the same speed at any length, and the limit is on time: 1 MiB of each will do."""

_QUICK = ReadingLimits(memory_mib=128, time_s=13.0)
"""A quarter of the limits."""


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_arf_stays_within_a_quarter_of_the_limits(kind: str) -> None:
    chunks = list(hostile_arf(kind, (1 if kind in _SLOW else 8) * _MiB))

    began = time.monotonic()
    found, packed = read_arf(chunks, name="x.xml", limits=_QUICK)

    assert time.monotonic() - began < _QUICK.time_s + 2
    assert isinstance(found, UnreadableArf) == (packed is None)


@pytest.mark.limits
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_arf_of_256_mib_ends_within_a_minute_and_a_gibibyte(
    kind: str, tmp_path: Path
) -> None:
    """In a process of its own, so that its memory and its reader's can be told."""
    file = tmp_path / "arf.xml.gz"
    with gzip.open(file, "wb", compresslevel=1) as sink:
        for chunk in hostile_arf(kind, 252 * _MiB):
            sink.write(chunk)

    took_s, mib, answer = _measured(file)

    sys.stdout.write(f"\n{kind}: {took_s:.1f} s, {mib} MiB: {answer}\n")
    assert took_s < 60
    assert mib < 1024


@pytest.mark.limits
def test_real_arf_of_38_mb_needs_a_quarter_of_the_limits(tmp_path: Path) -> None:
    file = tmp_path / "arf.xml.gz"
    real = whole_arf.made(_REPO / "images/cache")
    file.write_bytes(gzip.compress(real.read_bytes(), 1))

    took_s, mib, answer = _measured(file, memory_mib=LIMITS.memory_mib // 4)

    sys.stdout.write(f"\n{real.stat().st_size} bytes: {took_s:.1f} s, {mib} MiB: {answer}\n")
    assert took_s < 15
    assert mib < 256
    assert answer.startswith("Arf")


def _measured(file: Path, memory_mib: int = LIMITS.memory_mib) -> tuple[float, int, str]:
    argv = [sys.executable, "-m", "tests.tooling.arf_memory", file, str(memory_mib)]
    told = json.loads(run(argv, timeout_s=300, cwd=_REPO).stdout)
    return told["took_s"], told["mib"], told["answer"]
