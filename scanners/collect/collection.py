"""Run the collectors of one scan over one connection, each independent of the others."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TypeVar

from hardpan.core import events
from hardpan.core.errors import ResourceError, ToolError, UnavailableError, UnreachableError
from hardpan.core.events import Emit, StageMessage
from hardpan.scanners.collect.base import (
    SCE_PLUGIN,
    CollectedEvidence,
    CollectTask,
    build_failed_check,
    create_collector,
)
from hardpan.scanners.collect.chat import combine_results
from hardpan.scanners.collect.job_count import FALLBACK_JOBS
from hardpan.scanners.collect.openscap_packages import PushedPackage
from hardpan.scanners.collect.plan import ScanPlan
from hardpan.scanners.collect.raw_answers import AnswerLog
from hardpan.scanners.content.products import OsRelease
from hardpan.scanners.model.results import CHECK_PREFIX, CompatibilityReport, HostCheck, SmokeReport
from hardpan.scanners.model.scan import ScannedHost
from hardpan.ssh.connection import Connection

T = TypeVar("T")

TIMEOUTS_S = {
    "host": 300.0,
    "openscap": 3600.0,
    "hostfacts": 1200.0,
    "packages": 300.0,
    "platform": 300.0,
    "fips": 600.0,
    "compatibility": 900.0,
    "smoke": 1200.0,
    "chat": 1200.0,
    "host_signature": 60.0,
}
"""Collector -> time limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostIdentity:
    """The identified target."""

    host: ScannedHost
    release: OsRelease
    packages: tuple[str, ...]
    """Sorted; empty if the target did not list them."""

    job_count: int = FALLBACK_JOBS
    """Processes that may evaluate content on the target at once."""

    file_count: int = 0
    """Files on the target's disks; 0 if it did not report them."""

    missing_for_scripts: tuple[str, ...] = (SCE_PLUGIN,)
    """What the target lacks to evaluate script checks (SCE); nothing if it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedParts:
    """The evidence of the collectors that a scan can do without."""

    host_facts: CollectedEvidence
    platform: CollectedEvidence
    packages: CollectedEvidence
    fips: CollectedEvidence
    compatibility: CompatibilityReport | None
    """None: not part of the scan."""

    smoke: SmokeReport | None
    """None: not part of the scan."""

    failed: Mapping[str, HostCheck]
    """Collector -> why it has no results."""


@dataclass(frozen=True, slots=True)
class Collection:
    """The collectors of one scan, run over one connection."""

    connection: Connection
    emit: Emit
    failed: dict[str, HostCheck] = field(default_factory=dict)
    """Collector -> why it has no results, as a check of the evidence."""

    attempted: set[str] = field(default_factory=set)
    """Collectors that ran."""

    required: frozenset[str] = frozenset()
    """Collectors of which a missing precondition is an error."""

    openscap_packages: tuple[PushedPackage, ...] = ()
    """Packages of OpenSCAP to upload for the scan."""

    answer_logs: dict[str, AnswerLog] = field(default_factory=dict)
    """Collector -> the answers of the target, also of a collector that failed."""

    def identify_host(self) -> HostIdentity:
        """Return the identity of the target.

        Raises:
            ToolError, UnreachableError: it does not answer, or its answer is ambiguous.
        """
        evidence = self.collect("host", CollectTask())
        assert evidence.host is not None  # noqa: S101 - the collector's one job
        return HostIdentity(
            host=evidence.host,
            release=evidence.release or OsRelease(os_id="linux"),
            packages=evidence.packages,
            job_count=evidence.job_count,
            file_count=evidence.file_count,
            missing_for_scripts=evidence.missing_for_scripts,
        )

    def record_privileges(self) -> None:
        """Record in the results that the connection has no root rights, if that is so.

        Raises:
            ToolError: the password for sudo is missing or incorrect, or sudo cannot run programs.
            UnreachableError: the connection broke.
        """
        privileges = self.connection.privileges
        if privileges.is_privileged:
            return
        problem = UnavailableError(
            ["root rights:"],
            f"{privileges.reason}; files that only root may read were not read, so rules may have "
            "another verdict",
            hint=privileges.hint,
        )
        self.failed["privileges"] = build_failed_check("privileges", problem)
        self.emit(StageMessage(stage="privileges", text=f"not checked: {problem}"))

    def collect(self, name: str, task: CollectTask) -> CollectedEvidence:
        """Return the evidence of the collector ``name``.

        Raises:
            ToolError, UnreachableError, ResourceError: as the collector does.
        """
        log = self.answer_logs.setdefault(name, AnswerLog())
        return create_collector(name).collect(
            self.connection,
            replace(task, answer_log=log),
            timeout_s=TIMEOUTS_S[name],
            emit=self.emit,
        )

    def attempt(self, name: str, task: CollectTask) -> CollectedEvidence:
        """Return the evidence of ``name``; if it fails, the evidence of the failure.

        A connection that broke is recorded too: what was collected before is delivered.

        Raises:
            ResourceError: this machine cannot do it.
        """
        self.attempted.add(name)
        try:
            return self.collect(name, task)
        except ResourceError:
            raise
        except (ToolError, UnreachableError) as e:
            check = build_failed_check(name, e)
            if name in self.required:
                check = replace(check, outcome="error")
            self.failed[name] = check
            self.emit(StageMessage(stage=name, text=f"{check.outcome.replace('_', ' ')}: {e}"))
            return create_collector(name).build_failed_evidence(task, check)

    def collect_parts(
        self, task: CollectTask, *, run_compatibility: bool, run_smoke: bool, job_count: int
    ) -> CollectedParts:
        """Run the collectors that a scan can do without; each may fail without the others.

        With a ``job_count`` of two or more, two of them run at once: each asks one question at a
        time, and most answers use one processor.
        """
        names = ("packages", "fips") if job_count > 1 else ()
        with (
            events.run_stage(self.emit, "checks"),
            _run_in_background(lambda: self._collect_early(names, task)) as early_parts,
        ):
            host_facts = self.attempt("hostfacts", task)
            platform = self.attempt("platform", task)
            early = early_parts.result()
            packages = early.get("packages") or self.attempt("packages", task)
            fips = early.get("fips") or self.attempt("fips", task)
        compatibility = smoke = None
        if run_compatibility or "compatibility" in self.required:
            with events.run_stage(self.emit, "compatibility"):
                compatibility = self.attempt("compatibility", task).compatibility
        if run_smoke and task.workload is not None:
            with events.run_stage(self.emit, "smoke"):
                smoke = run_workload_collectors(task, self.attempt)
        self._report_unplanned_parts()
        return CollectedParts(
            host_facts=host_facts,
            platform=platform,
            packages=packages,
            fips=fips,
            compatibility=compatibility,
            smoke=smoke,
            failed=self.failed,
        )

    def _collect_early(
        self, names: tuple[str, ...], task: CollectTask
    ) -> dict[str, CollectedEvidence]:
        """Return the evidence of the collectors that succeed while another one runs.

        The others run again, alone: a server may allow one session at a time (``MaxSessions 1``).
        """
        evidence_by_name = {}
        for name in names:
            try:
                evidence_by_name[name] = self.collect(name, task)
            except (ToolError, UnreachableError):
                del self.answer_logs[name]
            else:
                self.attempted.add(name)
        return evidence_by_name

    def _report_unplanned_parts(self) -> None:
        """Record required parts that the plan of the scan does not have, as errors."""
        parts = {name for name in self.required if not name.startswith(CHECK_PREFIX)}
        for name in sorted(parts - self.attempted - {"host_signature"}):
            problem = UnavailableError([name], "is required, but not a part of this scan")
            self.failed[name] = replace(build_failed_check(name, problem), outcome="error")


@contextlib.contextmanager
def _run_in_background(function: Callable[[], T]) -> Iterator[Future[T]]:
    """Run ``function`` in a thread during the block; an interrupted block does not wait for it."""
    future: Future[T] = Future()

    def execute() -> None:
        try:
            future.set_result(function())
        except BaseException as e:  # noqa: BLE001 - raised again by Future.result
            future.set_exception(e)

    threading.Thread(target=execute, daemon=True).start()
    yield future


def run_workload_collectors(
    task: CollectTask, collect: Callable[[str, CollectTask], CollectedEvidence]
) -> SmokeReport:
    """Combine the results of the workload tests; each may fail without the other."""
    names = ("smoke",) if task.server is None else ("smoke", "chat")
    reports = [report for name in names if (report := collect(name, task).smoke) is not None]
    return reduce(combine_results, reports)


def run_workload_tests(connection: Connection, plan: ScanPlan) -> SmokeReport:
    """Run the AI workload test, and the chat test if the plan has an inference server.

    Raises:
        UnavailableError: the target lacks what one needs.
        ToolError: the output of one is invalid.
        UnreachableError: the connection broke.
    """
    return run_workload_collectors(
        plan.build_task(), Collection(connection, events.discard).collect
    )
