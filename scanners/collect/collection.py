"""Run the collectors of one scan over one connection, each independent of the others."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce

from hardpan.core.errors import ResourceError, ToolError
from hardpan.core.events import Emit
from hardpan.scanners.collect.base import (
    CollectedEvidence,
    CollectTask,
    build_failed_check,
    create_collector,
)
from hardpan.scanners.collect.chat import combine_results
from hardpan.scanners.model.results import HostCheck, SmokeReport
from hardpan.ssh.connection import Connection

TIMEOUTS_S = {
    "host": 300.0,
    "openscap": 3600.0,
    "hostfacts": 1200.0,
    "packages": 300.0,
    "fips": 600.0,
    "compatibility": 900.0,
    "smoke": 1200.0,
    "chat": 1200.0,
    "host_signature": 60.0,
}
"""Collector -> time limit."""


@dataclass(frozen=True, slots=True)
class Collection:
    """The collectors of one scan, run over one connection."""

    connection: Connection
    emit: Emit
    failed: dict[str, HostCheck] = field(default_factory=dict)
    """Collector -> why it failed, as a check of the evidence."""

    def collect(self, name: str, task: CollectTask) -> CollectedEvidence:
        """Return the evidence of the collector ``name``.

        Raises:
            ToolError, UnreachableError, ResourceError: as the collector does.
        """
        return create_collector(name).collect(
            self.connection, task, timeout_s=TIMEOUTS_S[name], emit=self.emit
        )

    def attempt(self, name: str, task: CollectTask) -> CollectedEvidence:
        """Return the evidence of ``name``; if the target fails, the evidence of the failure."""
        try:
            return self.collect(name, task)
        except ResourceError:
            raise  # this machine's fault
        except ToolError as e:
            self.failed[name] = build_failed_check(name, str(e))
            return create_collector(name).build_failed_evidence(task, self.failed[name].message)


def run_workload_collectors(
    task: CollectTask, collect: Callable[[str, CollectTask], CollectedEvidence]
) -> SmokeReport:
    """Combine the results of the workload tests; each may fail without the other."""
    names = ("smoke",) if task.server is None else ("smoke", "chat")
    reports = [report for name in names if (report := collect(name, task).smoke) is not None]
    return reduce(combine_results, reports)
