"""What a target's ARF says: what each rule came to, and what was found for it.

The file comes from the target, so it is hostile: no entities, and a limit on bytes,
depth and text (``arf_reader``).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from hardpan.packed import Packed, Packer, packing_thread
from hardpan.scanners.arf_reader import MAX_FOUND, read
from hardpan.scanners.arf_reading import Reading, Said, clean, odd
from hardpan.scanners.model import Verdict

_AHEAD = 4
"""Chunks that may wait to be packed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One rule-result of one ARF."""

    rule_id: str
    verdict: Verdict
    engine: str
    """``OVAL``, ``SCE`` or empty when nothing was checked."""

    found: tuple[str, ...]
    """What was looked at, one line per item or message; bounded and printable."""

    incomplete: bool
    """True when oscap gave up collecting (a memory limit): the verdict is not to be relied on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arf:
    """What one oscap process reported."""

    benchmark_version: str
    profile_id: str
    started: str
    finished: str
    score: float
    """oscap's own, over the rules of this process."""

    rules: dict[str, Judged]
    """Rule id -> result; rules that were not selected are left out."""

    platforms: tuple[str, ...]
    """CPE names that the target was found to match."""


def parse(chunks: Iterable[bytes], *, name: str = "arf.xml") -> Arf:
    """What an ARF says, from its bytes in order.

    Raises:
        ToolError: it is cut short, is not an ARF, or is beyond the limits.
    """
    reading = read(chunks, name)
    about = reading.about
    score = _score(about)
    if "profile" not in about or not about.get("end-time") or score is None:
        raise odd(name, "holds no finished XCCDF result")
    return Arf(
        benchmark_version=about.get("version", ""),
        profile_id=about["profile"],
        started=about.get("start-time", ""),
        finished=about["end-time"],
        score=score,
        rules=dict(_judged(reading, name)),
        platforms=tuple(reading.platforms),
    )


def parse_and_pack(chunks: Iterable[bytes], *, name: str) -> tuple[Arf, Packed]:
    """What an ARF says, and the ARF itself, to be attached; neither needs the whole of it at once.

    It is packed beside: deflating takes as long as reading, and holds up no Python code.

    Raises:
        ToolError: as ``parse`` does.
    """
    packer = Packer()
    with packing_thread() as thread:
        packing: deque[Future[None]] = deque()

        def passed() -> Iterator[bytes]:
            for chunk in chunks:
                packing.append(thread.submit(packer.add, chunk))
                if len(packing) > _AHEAD:
                    packing.popleft().result()
                yield chunk

        made = parse(passed(), name=name)
        for last in packing:
            last.result()
    return made, packer.done()


def _score(about: dict[str, str]) -> float | None:
    try:
        return float(about["score"] or "0")
    except (KeyError, ValueError):
        return None


def _judged(reading: Reading, name: str) -> Iterator[tuple[str, Judged]]:
    for rule_id, said in reading.rules.items():
        try:
            verdict = Verdict(said.result)
        except ValueError as e:
            raise odd(name, f"gives {rule_id[:200]} the result {said.result[:40]!r}") from e
        if verdict is not Verdict.NOT_SELECTED:
            yield rule_id, _one(reading, said, verdict)


def _one(reading: Reading, said: Said, verdict: Verdict) -> Judged:
    report, definition = said.where or ("", "")
    lines, ids = _evidence(reading, report, definition)
    idle = verdict in (Verdict.NOT_CHECKED, Verdict.NOT_APPLICABLE)
    return Judged(
        rule_id=said.rule_id,
        verdict=verdict,
        engine="" if idle else said.engine,
        found=tuple(dict.fromkeys([*said.messages, *said.printed, *lines]))[:MAX_FOUND],
        incomplete=bool(reading.incomplete.get(report, set()) & ids),
    )


def _evidence(reading: Reading, report: str, definition: str) -> tuple[list[str], set[str]]:
    """Each test of a definition with its outcome and the items it looked at, and their ids."""
    items, comments = reading.items.get(report, {}), reading.comments.get(report, {})
    lines: list[str] = []
    ids: set[str] = set()
    for test in _tests_of(reading, report, definition):
        result, looked_at = reading.tests.get(report, {}).get(test, ("", []))
        ids.update(looked_at)
        if result and result != "not evaluated":
            lines.append(clean(f"[{result}] {comments.get(test, test)}"))
            lines += [items[i] for i in looked_at[:MAX_FOUND] if i in items]
    return lines, ids


def _tests_of(reading: Reading, report: str, definition: str) -> Iterator[str]:
    definitions = reading.definitions.get(report, {})
    seen: set[str] = set()
    todo = [definition]
    while todo:
        now = todo.pop(0)
        if now not in seen and now in definitions:
            seen.add(now)
            tests, more = definitions[now]
            yield from tests
            todo += more
