"""A run that fails ends with what this machine took from places that move and nobody tried yet."""

import pytest

from tests.tooling import versions


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The first suspects, below the failures."""
    if not (terminalreporter.stats.get("failed") or terminalreporter.stats.get("error")):
        return
    lines = versions.changed(versions.read(versions.TESTED), versions.current())
    if lines:
        terminalreporter.section("taken since these tests last passed")
        for line in (*lines, *versions.HINT.splitlines()):
            terminalreporter.write_line(line)
