"""The testinfra checks, over our own connection.

testinfra's own SSH back ends believe any host key, so it gets a back end that
goes through ``Transport``. Under emulation a round trip takes up to a second:
what the checks are known to ask is asked in one batch before they run.
"""

import contextlib
import io
import re
import secrets
import shlex
import threading
from collections.abc import Sequence

import pytest
from testinfra.backend.base import (  # type: ignore[import-untyped]
    BaseBackend,
    CommandResult,
)
from testinfra.host import Host as InfraHost  # type: ignore[import-untyped]

from hardpan.errors import ToolError, UnreachableError
from hardpan.events import Emit, Progress
from hardpan.resources import resource_path
from hardpan.scanners.collect.base import Evidence, Expected, Task
from hardpan.scanners.collect.checks.asked import commands
from hardpan.scanners.transport import Transport
from hardpan.scanners.trials import Check

CHECKS = resource_path("hardpan.scanners.collect", "checks")
STAGE = "checks"

_EACH_S = 90
_MAX_MESSAGE = 400
_ONE_AT_A_TIME = threading.Lock()  # pytest is not made to run twice in one process at once
_OPTIONS = ("-s", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:terminal")
_CONFIG = ("-c", "/dev/null", "--import-mode=importlib", "-W", "ignore", "--strict-markers")


class HostFacts:
    """Runs the checks that lie in ``checks/``."""

    def collect(self, via: Transport, task: Task, *, timeout_s: float, emit: Emit) -> Evidence:
        """One ``Check`` for each test.

        Raises:
            ToolError: the checks could not be run at all.
            UnreachableError: the connection broke.
        """
        backend = OverTransport(via, timeout_s=timeout_s)
        backend.ask_ahead(commands(task.expected))
        keeper = _Keeper(InfraHost(backend), task.expected, emit)
        said = io.StringIO()
        arguments = [*_OPTIONS, *_CONFIG, f"--rootdir={CHECKS}", str(CHECKS)]
        with _ONE_AT_A_TIME, contextlib.redirect_stdout(said):
            code = pytest.main(arguments, plugins=[keeper])
        if keeper.interrupt is not None:
            raise keeper.interrupt
        if backend.broken is not None:
            raise backend.broken
        if not keeper.checks or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise ToolError(["pytest"], f"could not run the checks ({code!r})", tail=keeper.trouble)
        return Evidence(checks=tuple(sorted(keeper.checks, key=lambda c: c.name)))


class OverTransport(BaseBackend):  # type: ignore[misc]
    """A testinfra back end that goes through our own connection, always as root."""

    NAME = "hardpan"

    def __init__(self, via: Transport, *, timeout_s: float) -> None:
        super().__init__(str(via.target))
        self._via = via
        self._timeout_s = timeout_s
        self._known: dict[str, tuple[int, str]] = {}
        self.broken: UnreachableError | None = None
        self._encoding = "UTF-8"

    def ask_ahead(self, asked: Sequence[str]) -> None:
        """Run what will be asked in one round trip, and keep the answers."""
        mark = f"@@hardpan-{secrets.token_hex(8)}"
        script = "\n".join(
            f"printf '\\n%s {n}\\n' {mark}; timeout {_EACH_S} sh -c {shlex.quote(command)} "
            f"</dev/null 2>/dev/null; printf '\\n%s {n} %s\\n' {mark} $?"
            for n, command in enumerate(asked)
        )
        said = self._via.run(script + "\ntrue", timeout_s=self._timeout_s, sudo=True).stdout
        found = re.compile(rf"{mark} (\d+)\n(.*?)\n?{mark} \1 (\d+)\n", re.DOTALL)
        for number, out, rc in found.findall(said):
            self._known[asked[int(number)]] = (int(rc), out)

    def run(self, command: str, *args: str, **_: object) -> CommandResult:
        """The answer to a command, from the batch where it is there."""
        line = self.quote(command, *args)
        if line in self._known:
            rc, out = self._known[line]
            return self.result(rc, line.encode(), out, "")
        try:
            answer = self._via.run(line, timeout_s=_EACH_S * 3, ok=None, sudo=True)
        except UnreachableError as e:
            self.broken = e
            raise
        return self.result(answer.rc, line.encode(), answer.stdout, answer.stderr)


class _Keeper:
    """A pytest plugin: gives the tests their host and keeps what they come to."""

    def __init__(self, host: InfraHost, expected: Expected, emit: Emit) -> None:
        self._host = host
        self._expected = expected
        self._emit = emit
        self._total = 0
        self.checks: list[Check] = []
        self.trouble = ""
        self.interrupt: BaseException | None = None

    @pytest.fixture
    def target(self) -> InfraHost:
        """The testinfra host."""
        return self._host

    @pytest.fixture
    def expected(self) -> Expected:
        """What the profile says."""
        return self._expected

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each mount point, service, package … that the profile names."""
        maker = getattr(metafunc.module, "EACH", {}).get(metafunc.function.__name__)
        if maker is not None:
            name = metafunc.fixturenames[-1]
            values = list(maker(self._expected))
            metafunc.parametrize(name, values, ids=[str(v) for v in values])

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many there are."""
        self._total = len(session.items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why a file of checks could not be read."""
        if report.failed:
            self.trouble = str(report.longrepr)[-_MAX_MESSAGE:]

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Keep the interrupt: pytest itself makes an exit code of it."""
        self.interrupt = excinfo.value

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep one outcome."""
        if report.when == "call" or report.outcome != "passed":
            self.checks.append(_check(report))
            done = len(self.checks)
            text = f"{self.checks[-1].name}: {self.checks[-1].outcome}"
            self._emit(Progress(stage=STAGE, done=done, total=self._total, text=text))


def _check(report: pytest.TestReport) -> Check:
    outcome = report.outcome if report.when == "call" or report.skipped else "error"
    if report.skipped and isinstance(report.longrepr, tuple):
        message = str(report.longrepr[2]).removeprefix("Skipped: ")
    else:
        message = "" if report.passed else _reason(report)
    return Check(
        name=report.nodeid.replace(".py::", "::"),
        outcome=outcome,
        message=message,
        took_s=round(report.duration, 3),
    )


def _reason(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(getattr(crash, "message", report.longrepr))
    # What pytest adds behind the check's own words shows whole outputs of the target.
    first = text.removeprefix("AssertionError: ").partition("\n")[0]
    return "".join(c for c in first[:_MAX_MESSAGE] if c.isprintable())
