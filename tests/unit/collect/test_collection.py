"""Which collectors of one scan run at once."""

import threading
from types import SimpleNamespace

import pytest

from hardpan.core.errors import UnreachableError
from hardpan.core.events import discard
from hardpan.scanners.collect import collection
from hardpan.scanners.collect.base import CollectedEvidence, CollectTask
from hardpan.scanners.collect.collection import CollectedParts, Collection

_TIMEOUT_S = 20


class Collectors:
    """Collectors that record their order; ``hostfacts`` and ``fips`` meet, if both run at once."""

    def __init__(self, *, is_concurrent: bool) -> None:
        self.calls: list[str] = []
        self._is_concurrent = is_concurrent
        self._meeting = threading.Barrier(2, timeout=_TIMEOUT_S)

    def create(self, name: str) -> SimpleNamespace:
        def collect(*_: object, **__: object) -> CollectedEvidence:
            self.calls.append(name)
            if self._is_concurrent and name in ("hostfacts", "fips"):
                self._meeting.wait()
            return CollectedEvidence(packages=(name,))

        return SimpleNamespace(collect=collect, build_failed_evidence=lambda *_: None)


def collect_parts(
    monkeypatch: pytest.MonkeyPatch, collectors: Collectors, *, job_count: int
) -> CollectedParts:
    monkeypatch.setattr(collection, "create_collector", collectors.create)
    scan = Collection(None, discard)  # type: ignore[arg-type]  # no collector uses it
    return scan.collect_parts(
        CollectTask(), run_compatibility=False, run_smoke=False, job_count=job_count
    )


def test_two_collectors_run_at_once_on_two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    collectors = Collectors(is_concurrent=True)

    parts = collect_parts(monkeypatch, collectors, job_count=2)

    assert (parts.host_facts.packages, parts.fips.packages) == (("hostfacts",), ("fips",))
    assert sorted(collectors.calls) == ["fips", "hostfacts", "packages", "platform"]
    assert parts.failed == {}


def test_single_processor_runs_collectors_in_sequence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collectors = Collectors(is_concurrent=False)

    parts = collect_parts(monkeypatch, collectors, job_count=1)

    assert collectors.calls == ["hostfacts", "platform", "packages", "fips"]
    assert parts.failed == {}


def test_refused_second_session_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    collectors = Collectors(is_concurrent=False)
    is_busy = threading.Event()
    create = collectors.create

    def create_busy(name: str) -> SimpleNamespace:
        """Let ``hostfacts`` hold the one session until ``fips`` was refused."""
        collector = create(name)
        if name not in ("hostfacts", "fips"):
            return collector

        def collect(*_: object, **__: object) -> CollectedEvidence:
            if name == "hostfacts":
                is_busy.wait(_TIMEOUT_S)
            elif not is_busy.is_set():
                is_busy.set()
                raise UnreachableError("no more sessions")
            return CollectedEvidence(packages=(name,))

        return SimpleNamespace(collect=collect, build_failed_evidence=lambda *_: None)

    monkeypatch.setattr(collectors, "create", create_busy)

    parts = collect_parts(monkeypatch, collectors, job_count=2)

    assert parts.fips.packages == ("fips",)
    assert parts.failed == {}
