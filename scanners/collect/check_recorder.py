"""Record the outcomes of the checks: a pytest plugin with the fixtures that they use."""

import re
from collections.abc import Callable, Collection, Generator
from dataclasses import replace

import pytest
from _pytest.assertion import util as assertion
from testinfra.host import Host as InfraHost  # type: ignore[import-untyped]

from hardpan.core.errors import HardpanError, ToolError, UnavailableError
from hardpan.core.events import Emit, StageProgress
from hardpan.scanners.collect.base import (
    MAX_REASON_CHARS,
    CollectTask,
    ExpectedState,
    describe_failure,
)
from hardpan.scanners.collect.check_registry import CheckScope, RegisteredCheck, load_registry
from hardpan.scanners.collect.checks import queries
from hardpan.scanners.collect.checks.answers import ask
from hardpan.scanners.model.results import CheckOutcome, HostCheck

STAGE = "checks"
_VERDICTS = (AssertionError, pytest.fail.Exception, pytest.skip.Exception)
"""Exceptions that a check raises intentionally."""

_NOT_REQUIRED = "the profile does not require it"
_NO_VALUES = pytest.mark.skip(reason="the profile has no value to check")


class CheckRecorder:
    """A pytest plugin: provides the fixtures of the checks and records their outcomes."""

    def __init__(
        self,
        host: InfraHost,
        task: CollectTask,
        emit: Emit,
        *,
        scopes: frozenset[CheckScope],
    ) -> None:
        self._host = host
        self._expected = task.expected or ExpectedState()
        self._required = task.required_checks
        self._emit = emit
        self._scopes = scopes
        self._registry = load_registry()
        self._observed: dict[str, str] = {}
        self._total = 0
        self._failures: dict[str, HardpanError] = {}
        self.checks: list[HostCheck] = []
        self.collection_error = ""
        self.interrupt: BaseException | None = None

    @pytest.fixture
    def target(self, request: pytest.FixtureRequest) -> InfraHost:
        """The testinfra host; skips a check for images of hardpan on every other system."""
        if self._find_entry(request.node.nodeid).scope == "hardpan_image":
            require_hardpan_image(self._host)
        return self._host

    @pytest.fixture
    def observe(self, request: pytest.FixtureRequest) -> Callable[[str], None]:
        """Record what the target reported."""

        def record(text: str) -> None:
            self._observed[request.node.nodeid] = _first_printable_line(text)

        return record

    @pytest.fixture
    def is_required(self, request: pytest.FixtureRequest) -> bool:
        """True if the host must meet the check; else it is not applicable where it does not."""
        return self._find_entry(request.node.nodeid).id in self._required

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
            # Without values, pytest's own skip has the words "empty parameter set" and an id of it.
            nothing = pytest.param("", id=pytest.HIDDEN_PARAM, marks=_NO_VALUES)
            tests = [pytest.param(v, id=str(v)) for v in values] or [nothing]
            metafunc.parametrize(name, tests)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Select the checks of the collector's scopes."""
        items[:] = [i for i in items if self._find_entry(i.nodeid).scope in self._scopes]

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
            self.checks.append(self._build_check(report))
            check_count = len(self.checks)
            text = f"{self.checks[-1].name}: {self.checks[-1].outcome}"
            self._emit(
                StageProgress(stage=STAGE, completed=check_count, total=self._total, text=text)
            )

    def _find_entry(self, node_id: str) -> RegisteredCheck:
        function = node_id.replace(".py::", "::").partition("[")[0]
        return self._registry.find_by_function(function)

    def _counts(self, entry: RegisteredCheck) -> bool:
        """Return whether the host must meet the check."""
        return entry.required is None or entry.id in self._required

    def _build_check(self, report: pytest.TestReport) -> HostCheck:
        entry = self._find_entry(report.nodeid)
        check = to_host_check(report, self._failures.get(report.nodeid))
        if check.outcome == "not_checked" and not self._counts(entry):
            # What nothing asks for leaves no gap where its precondition is missing.
            check = replace(check, outcome="skipped", message=f"{_NOT_REQUIRED}; {check.message}")
        _, _, parameter = report.nodeid.rstrip("]").partition("[")
        name = make_unique(join_parameter(entry.id, parameter), {c.name for c in self.checks})
        return replace(
            check,
            name=name,
            observed=self._observed.get(report.nodeid, ""),
            definition=entry.definition,
        )


def join_parameter(check_id: str, parameter: str) -> str:
    """Return the id of a check with its parameter, in the characters that a waiver may use."""
    return f"{check_id}.{re.sub(r'[^A-Za-z0-9_.-]', '_', parameter)}" if parameter else check_id


def make_unique(name: str, names: Collection[str]) -> str:
    """Return ``name``, with a number if ``names`` contain it: ``/a/b`` and ``/a_b`` are alike."""
    candidates = (name, *(f"{name}-{n}" for n in range(2, len(names) + 3)))
    return next(c for c in candidates if c not in names)


def require_hardpan_image(target: InfraHost) -> None:
    """Pass if hardpan built the system; else skip the check."""
    if ask(target, queries.HARDPAN_IMAGE).rc:
        pytest.skip(f"hardpan did not build this system: there is no {queries.BUILD_RECORD}")


def to_host_check(report: pytest.TestReport, failure: HardpanError | None = None) -> HostCheck:
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
