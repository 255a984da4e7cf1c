"""The testinfra checks, run over the scanner's SSH connection.

testinfra's own SSH back ends accept any host key, so this back end uses ``Connection``. Under
emulation a round trip takes up to a second: the commands of the checks run in one batch first.

One time limit applies to all of it. A check whose command could not run, or whose answer
cannot be read, is an ``error``; the others keep their outcome.
"""

import contextlib
import io
import threading
from collections.abc import Generator, Sequence
from typing import NoReturn

import pytest
from _pytest.assertion import util as assertion
from testinfra.backend.base import (  # type: ignore[import-untyped]
    BaseBackend,
    CommandResult,
)
from testinfra.host import Host as InfraHost  # type: ignore[import-untyped]

from hardpan.core.clock import Deadline
from hardpan.core.errors import HardpanError, ToolError, UnavailableError, UnreachableError
from hardpan.core.events import Emit, StageProgress
from hardpan.core.resources import resource_path
from hardpan.scanners.collect.base import (
    MAX_REASON_CHARS,
    CollectedEvidence,
    Collector,
    CollectTask,
    ExpectedState,
    describe_failure,
)
from hardpan.scanners.collect.checks.queries import list_queries
from hardpan.scanners.model.results import CheckOutcome, HostCheck
from hardpan.ssh.batch import run_batch
from hardpan.ssh.connection import Connection

CHECKS = resource_path("hardpan.scanners.collect", "checks")
STAGE = "checks"

_QUESTION_TIMEOUT_S = 90
_MAX_TEXT = 1 << 18
"""Bytes of one answer; the names of all packages are the longest, half of it."""

_PYTEST_LOCK = threading.Lock()  # pytest does not support two concurrent runs in one process
_OPTIONS = ("-s", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:terminal")
_VERDICTS = (AssertionError, pytest.fail.Exception, pytest.skip.Exception)
"""Exceptions that a check raises intentionally."""

_CONFIG = ("-c", "/dev/null", "--import-mode=importlib", "-W", "ignore", "--strict-markers")


class HostFacts(Collector):
    """Runs the checks in ``checks/``."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Return one ``HostCheck`` for each test.

        Raises:
            UnavailableError: no hardpan profile says what to expect.
            ToolError: the checks could not be run at all.
            UnreachableError: the connection broke.
        """
        if task.expected is None:
            raise UnavailableError(
                ["the running system"],
                "was not compared with a hardpan profile",
                hint="name one with --profile; 'hardpan profiles' lists them",
            )
        backend = SshBackend(connection, timeout_s=timeout_s)
        backend.prefetch([query.command_line for query in list_queries(task.expected)])
        recorder = _CheckRecorder(InfraHost(backend), task.expected, emit)
        stdout = io.StringIO()
        arguments = [*_OPTIONS, *_CONFIG, f"--rootdir={CHECKS}", str(CHECKS)]
        with _PYTEST_LOCK, contextlib.redirect_stdout(stdout):
            exit_code = pytest.main(arguments, plugins=[recorder])
        if recorder.interrupt is not None:
            raise recorder.interrupt
        if backend.connection_error is not None:
            raise backend.connection_error
        if not recorder.checks or exit_code not in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
        ):
            raise ToolError(
                ["pytest"],
                f"could not run the checks ({exit_code!r})",
                output_tail=recorder.collection_error,
            )
        return CollectedEvidence(checks=tuple(sorted(recorder.checks, key=lambda c: c.name)))


class SshBackend(BaseBackend):  # type: ignore[misc]
    """A testinfra back end over an ``Connection``, always as root.

    ``timeout_s`` is the limit for all commands.
    """

    NAME = "hardpan"

    def __init__(self, connection: Connection, *, timeout_s: float) -> None:
        super().__init__(str(connection.target))
        self._connection = connection
        self._deadline = Deadline(timeout_s)
        self._answer_by_command: dict[str, tuple[int, str]] = {}
        self._refused: dict[str, str] = {}
        self.connection_error: UnreachableError | None = None
        self._encoding = "UTF-8"

    def prefetch(self, command_lines: Sequence[str]) -> None:
        """Run all commands in one round trip, and store the answers.

        If the batch fails as a whole, each command runs when a check needs it.
        """
        questions = {str(n): command for n, command in enumerate(command_lines)}
        try:
            batch_answers = run_batch(
                self._connection,
                questions,
                limit_s=lambda _: _QUESTION_TIMEOUT_S,
                timeout_s=self._deadline.remaining_s,
                max_text=_MAX_TEXT,
                ok=None,
            )
        except ToolError:
            return
        for name, answer in batch_answers.answers.items():
            self._answer_by_command[questions[name]] = (answer.exit_status, answer.output)
        for name, reason in batch_answers.refused.items():
            self._refused[questions[name]] = reason

    def run(self, command: str, *args: str, **_: object) -> CommandResult:
        """Return the answer to a command, from the batch if it has one.

        Raises:
            ToolError: the answer cannot be read, or no time is left.
        """
        line = self.quote(command, *args)
        if line in self._refused:
            raise ToolError(["the target's answer"], self._refused[line])
        if line in self._answer_by_command:
            rc, out = self._answer_by_command[line]
            return self.result(rc, line.encode(), _require_complete(out), "")
        if self._deadline.has_expired:
            _raise_out_of_time(self._deadline)
        limit_s = min(float(_QUESTION_TIMEOUT_S), self._deadline.remaining_s)
        try:
            answer = self._connection.run(
                line, timeout_s=limit_s, ok=None, sudo=True, max_bytes=_MAX_TEXT
            )
        except UnreachableError as e:
            self.connection_error = e
            raise
        return self.result(answer.exit_status, line.encode(), answer.stdout, answer.stderr)


def _require_complete(text: str) -> str:
    """Return ``text`` if the target did not truncate it."""
    if len(text) >= _MAX_TEXT:
        raise ToolError(["the target's answer"], f"is longer than {_MAX_TEXT} bytes")
    return text


def _raise_out_of_time(deadline: Deadline) -> NoReturn:
    raise UnavailableError(
        ["the checks"],
        f"exceeded their time limit of {deadline.limit_s:g} s; this check did not run",
        hint="scan again when the target has less load",
    )


class _CheckRecorder:
    """A pytest plugin: provides the fixtures of the checks and records their outcomes."""

    def __init__(self, host: InfraHost, expected: ExpectedState, emit: Emit) -> None:
        self._host = host
        self._expected = expected
        self._emit = emit
        self._total = 0
        self._failures: dict[str, HardpanError] = {}
        self.checks: list[HostCheck] = []
        self.collection_error = ""
        self.interrupt: BaseException | None = None

    @pytest.fixture
    def target(self) -> InfraHost:
        """The testinfra host."""
        return self._host

    @pytest.fixture
    def expected(self) -> ExpectedState:
        """The state that the profile requires."""
        return self._expected

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Generate one test for each mount point, service, package … of the profile."""
        list_values = getattr(metafunc.module, "PARAMETERS", {}).get(metafunc.function.__name__)
        if list_values is not None:
            name = metafunc.fixturenames[-1]
            values = list(list_values(self._expected))
            metafunc.parametrize(name, values, ids=[str(v) for v in values])

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record the number of tests."""
        self._total = len(session.items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record why a file of checks could not be loaded."""
        if report.failed:
            self.collection_error = str(report.longrepr)[-MAX_REASON_CHARS:]

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Record the interrupt: pytest itself turns it into an exit code."""
        self.interrupt = excinfo.value

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, None, None]:
        """Disable pytest's line-by-line comparison of a failed assertion.

        It is never displayed, and takes hours for a text that a hostile target chose.
        """
        assertion._reprcompare = None
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Record failures that are no verdict: no answer, or one that cannot be read."""
        report = yield
        raised = None if call.excinfo is None else call.excinfo.value
        if report.failed and raised is not None and not isinstance(raised, _VERDICTS):
            self._failures[report.nodeid] = _to_hardpan_error(raised)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record one outcome."""
        if report.when == "call" or report.outcome != "passed":
            self.checks.append(_to_host_check(report, self._failures.get(report.nodeid)))
            check_count = len(self.checks)
            text = f"{self.checks[-1].name}: {self.checks[-1].outcome}"
            self._emit(
                StageProgress(stage=STAGE, completed=check_count, total=self._total, text=text)
            )


def _to_host_check(report: pytest.TestReport, failure: HardpanError | None = None) -> HostCheck:
    """Convert a report; ``failure`` is why the check has no verdict."""
    outcome: CheckOutcome = "error"
    if report.when == "call" or report.skipped:
        outcome = report.outcome
    if failure is not None:
        outcome = "not_checked" if isinstance(failure, UnavailableError) else "error"
        message = describe_failure(failure)
    elif report.skipped and isinstance(report.longrepr, tuple):
        message = str(report.longrepr[2]).removeprefix("Skipped: ")
    else:
        message = "" if report.passed else _failure_reason(report)
    return HostCheck(
        name=report.nodeid.replace(".py::", "::"),
        outcome=outcome,
        message=message,
        duration_s=round(report.duration, 3),
    )


def _to_hardpan_error(raised: BaseException) -> HardpanError:
    if isinstance(raised, HardpanError):
        return raised
    return ToolError(["the target's answer"], f"cannot be read: {type(raised).__name__}: {raised}")


def _failure_reason(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(getattr(crash, "message", report.longrepr))
    # pytest appends complete outputs of the target to the check's message.
    return _first_printable_line(text.removeprefix("AssertionError: "))


def _first_printable_line(text: str) -> str:
    first = text.partition("\n")[0]
    return "".join(c for c in first[:MAX_REASON_CHARS] if c.isprintable())
