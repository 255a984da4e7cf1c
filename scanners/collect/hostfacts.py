"""The testinfra checks, run over the scanner's SSH connection.

testinfra's own SSH back ends accept any host key, so this back end uses ``Connection``. Under
emulation a round trip takes up to a second: the commands of the checks run in one batch first.

One time limit applies to all of it. A check whose command could not run, or whose answer
cannot be read, is an ``error``; the others keep their outcome.
"""

import contextlib
import io
import os
import threading
from collections.abc import Iterator, Sequence
from typing import NoReturn

import pytest
from testinfra.backend.base import (  # type: ignore[import-untyped]
    BaseBackend,
    CommandResult,
)
from testinfra.host import Host as InfraHost  # type: ignore[import-untyped]

from hardpan.core.clock import Deadline
from hardpan.core.errors import ToolError, UnavailableError, UnreachableError
from hardpan.core.events import Emit
from hardpan.core.resources import resource_path
from hardpan.scanners.collect.base import CollectedEvidence, Collector, CollectTask
from hardpan.scanners.collect.check_recorder import CheckRecorder
from hardpan.scanners.collect.check_registry import CheckScope
from hardpan.scanners.collect.checks.queries import PLATFORM_QUERIES, list_queries
from hardpan.scanners.collect.raw_answers import AnswerLog
from hardpan.ssh.batch import run_batch
from hardpan.ssh.connection import Connection

CHECKS = resource_path("hardpan.scanners.collect", "checks")

_QUESTION_TIMEOUT_S = 90
_MAX_TEXT = 1 << 18
"""Bytes of one answer; the names of all packages are the longest, half of it."""

_PYTEST_LOCK = threading.Lock()  # pytest does not support two concurrent runs in one process
_OPTIONS = ("-s", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:terminal")
_NO_PLUGINS = "--disable-plugin-autoload"
"""Plugins that are installed here for other purposes neither change the checks nor cost time."""

_CONFIG = (
    *("-c", os.devnull, "--noconftest", "--import-mode=importlib"),
    *("-W", "ignore", "--strict-markers"),
)
"""With ``-c`` alone, pytest also loads the ``conftest.py`` of every folder above the checks."""

_PYTEST_VARIABLE_PREFIXES = ("PYTEST_", "PY_COLORS")


class HostFacts(Collector):
    """Runs the checks in ``checks/`` that compare the system with a hardpan profile."""

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
        backend = SshBackend(connection, timeout_s=timeout_s, log=task.answer_log)
        backend.prefetch([query.command_line for query in list_queries(task.expected)])
        return _run_checks(backend, task, emit, scopes=frozenset({"profile", "hardpan_image"}))


class PlatformChecks(Collector):
    """Runs the checks in ``checks/`` that are for every host, with or without hardpan profile."""

    def collect(
        self, connection: Connection, task: CollectTask, *, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Return one ``HostCheck`` for each test.

        Raises:
            ToolError: the checks could not be run at all.
            UnreachableError: the connection broke.
        """
        backend = SshBackend(connection, timeout_s=timeout_s, log=task.answer_log)
        backend.prefetch([query.command_line for query in PLATFORM_QUERIES])
        return _run_checks(backend, task, emit, scopes=frozenset({"host"}))


def _run_checks(
    backend: "SshBackend", task: CollectTask, emit: Emit, *, scopes: frozenset[CheckScope]
) -> CollectedEvidence:
    recorder = CheckRecorder(InfraHost(backend), task, emit, scopes=scopes)
    stdout = io.StringIO()
    arguments = [*_OPTIONS, _NO_PLUGINS, *_CONFIG, f"--rootdir={CHECKS}", str(CHECKS)]
    with _PYTEST_LOCK, _without_pytest_variables(), contextlib.redirect_stdout(stdout):
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


@contextlib.contextmanager
def _without_pytest_variables() -> Iterator[None]:
    """Remove the variables that configure pytest, such as PYTEST_ADDOPTS, and restore them.

    pytest has no option to ignore them; they are meant for the tests of the user's own project.
    """

    def select() -> dict[str, str]:
        return {n: v for n, v in os.environ.items() if n.startswith(_PYTEST_VARIABLE_PREFIXES)}

    users_variables = select()
    for name in users_variables:
        del os.environ[name]
    try:
        yield
    finally:
        for name in select():
            del os.environ[name]
        os.environ.update(users_variables)


class SshBackend(BaseBackend):  # type: ignore[misc]
    """A testinfra back end over an ``Connection``, always as root.

    ``timeout_s`` is the limit for all commands.
    """

    NAME = "hardpan"

    def __init__(
        self, connection: Connection, *, timeout_s: float, log: AnswerLog | None = None
    ) -> None:
        super().__init__(str(connection.target))
        self._connection = connection
        self._log = AnswerLog() if log is None else log
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
        self._log.add_batch(questions, batch_answers)
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
        self._log.add(str(len(self._log.answers)), line, answer.exit_status, answer.stdout)
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
