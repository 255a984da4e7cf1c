"""What a target's ARF says: what each rule came to, and what was found for it.

The file comes from the target, so it is hostile: no entities, and a limit on bytes,
depth and text (``arf_reader``).
"""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar

from hardpan.packed import Packed, Packer, packing_thread
from hardpan.scanners.arf_reader import MAX_FOUND, read
from hardpan.scanners.arf_reading import Reading, Said, clean, odd
from hardpan.scanners.model import Verdict

T = TypeVar("T")
_AHEAD = 4
"""Chunks that may wait to be packed."""

_MAX_STEPS = 200
"""Tests and definitions that are looked at for the evidence of one definition."""

_MAX_SCORE = 100.0
TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
"""Form of a time, as XML Schema has it."""

_REPEATED = "the ARF has more than one result for this rule"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableArf:
    """In the place of an ``Arf``: no verdict could be read."""

    reason: str


def parse(chunks: Iterable[bytes], *, name: str = "arf.xml") -> Arf:
    """What an ARF says, from its bytes in order.

    Raises:
        ToolError: it is cut short, is not an ARF, or is beyond the limits.
        MemoryError: the process may not have as much memory as it takes.
    """
    reading = read(chunks, name)
    about = reading.about
    score = _score(about)
    if "profile" not in about or not about.get("end-time") or score is None:
        raise odd(name, "holds no finished XCCDF result")
    return Arf(
        benchmark_version=about.get("version", ""),
        profile_id=about["profile"],
        started=_time(about, "start-time", name),
        finished=_time(about, "end-time", name),
        score=score,
        rules=dict(_judged(reading, name)),
        platforms=tuple(reading.platforms),
    )


def parse_and_pack(chunks: Iterable[bytes], *, name: str) -> tuple[Arf, Packed]:
    """What an ARF says, and the ARF itself, to be attached; neither needs the whole of it at once.

    Raises:
        ToolError: as ``parse`` does.
    """
    return pack_while(lambda passed: parse(passed, name=name), chunks)


def pack_while(take: Callable[[Iterator[bytes]], T], chunks: Iterable[bytes]) -> tuple[T, Packed]:
    """What ``take`` makes of ``chunks``, and ``chunks`` packed.

    They are packed in another thread: deflating takes as long as reading, and holds up no
    Python code.
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

        made = take(passed())
        for last in packing:
            last.result()
    return made, packer.done()


def _score(about: dict[str, str]) -> float | None:
    try:
        score = float(about["score"] or "0")
    except (KeyError, ValueError):
        return None
    return score if 0 <= score <= _MAX_SCORE else None  # nor is nan


def _time(about: dict[str, str], which: str, name: str) -> str:
    """The time that the ARF gives as ``which``; empty where it gives none."""
    text = about.get(which, "")
    try:
        if not re.fullmatch(TIME, text):
            raise ValueError
        datetime.fromisoformat(text)
    except ValueError as e:
        if text:
            raise odd(name, f"has the {which} {text[:40]!a}") from e
    return text


def _judged(reading: Reading, name: str) -> Iterator[tuple[str, Judged]]:
    evidence = _Evidence(reading)
    for rule_id, said in reading.rules.items():
        try:
            verdict = Verdict(said.result)
        except ValueError as e:
            raise odd(name, f"gives {rule_id[:200]} the result {said.result[:40]!a}") from e
        if said.is_repeated:
            yield rule_id, _repeated(rule_id)
        elif verdict is not Verdict.NOT_SELECTED:
            yield rule_id, _one(evidence, said, verdict)


def _repeated(rule_id: str) -> Judged:
    return Judged(
        rule_id=rule_id, verdict=Verdict.ERROR, engine="", found=(_REPEATED,), incomplete=True
    )


def _one(evidence: "_Evidence", said: Said, verdict: Verdict) -> Judged:
    report, definition = said.where or ("", "")
    lines = evidence.lines(report, definition)
    idle = verdict in (Verdict.NOT_CHECKED, Verdict.NOT_APPLICABLE)
    return Judged(
        rule_id=said.rule_id,
        verdict=verdict,
        engine="" if idle else said.engine,
        found=tuple(dict.fromkeys([*said.messages, *said.printed, *lines]))[:MAX_FOUND],
        incomplete=evidence.is_incomplete(report, definition),
    )


class _Evidence:
    """What the tests of definitions looked at.

    Many rules may name one definition, and definitions extend one another. Each definition is
    looked through once and for a bounded number of steps, so the work is linear in the ARF.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._lines: dict[tuple[str, str], tuple[str, ...]] = {}
        self._incomplete: dict[str, frozenset[str]] = {}

    def lines(self, report: str, definition: str) -> tuple[str, ...]:
        """Each test of a definition with its outcome and the items that it looked at."""
        key = (report, definition)
        if key not in self._lines:
            self._lines[key] = tuple(self._look_through(report, definition))
        return self._lines[key]

    def is_incomplete(self, report: str, definition: str) -> bool:
        """True where a test of the definition looked at an object that was not collected whole."""
        if report not in self._incomplete:
            self._incomplete[report] = frozenset(self._find_incomplete(report))
        return definition in self._incomplete[report]

    def _look_through(self, report: str, definition: str) -> list[str]:
        definitions = self._reading.definitions.get(report, {})
        lines: dict[str, None] = {}
        seen = {definition}
        queue = deque([definition])
        steps = 0
        while queue:
            tests, extended = definitions.get(queue.popleft(), ((), ()))
            for test in islice(tests, _MAX_STEPS):
                steps += 1
                lines.update(dict.fromkeys(self._test(report, test)))
                if steps >= _MAX_STEPS or len(lines) >= MAX_FOUND:
                    return list(lines)[:MAX_FOUND]
            for other in islice(extended, _MAX_STEPS):
                steps += 1
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
            if steps >= _MAX_STEPS:
                break
        return list(lines)

    def _test(self, report: str, test: str) -> list[str]:
        items = self._reading.items.get(report, {})
        comments = self._reading.comments.get(report, {})
        result, looked_at = self._reading.tests.get(report, {}).get(test, ("", []))
        if not result or result == "not evaluated":
            return []
        shown = (items[i] for i in looked_at[:MAX_FOUND] if i in items)
        return [clean(f"[{result}] {comments.get(test, test)}"), *shown]

    def _find_incomplete(self, report: str) -> set[str]:
        items = self._reading.incomplete.get(report)
        if not items:
            return set()
        tests = self._reading.tests.get(report, {})
        definitions = self._reading.definitions.get(report, {})
        cut = {test for test, (_, looked_at) in tests.items() if not items.isdisjoint(looked_at)}
        extended_by = defaultdict[str, list[str]](list)
        for definition, (_, extended) in definitions.items():
            for other in extended:
                extended_by[other].append(definition)
        found = {d for d, (own, _) in definitions.items() if not cut.isdisjoint(own)}
        queue = deque(found)
        while queue:
            more = set(extended_by.pop(queue.popleft(), ())) - found
            found |= more
            queue.extend(more)
        return found
