"""The clock of a guest is compared with this machine's."""

from dataclasses import dataclass

import pytest

from hardpan.builder.guest_clock import require_matching_clock
from hardpan.core import clock
from hardpan.core.errors import ToolError


@dataclass
class Result:
    stdout: str


@dataclass
class Shell:
    """A guest whose ``date`` prints ``stdout``."""

    stdout: str

    def run(self, argv: str, *, timeout_s: float, sudo: bool) -> Result:
        assert (argv, sudo) == ("date -u +%s", False)
        return Result(self.stdout)


def shell_with_difference(seconds: int) -> Shell:
    return Shell(f"{round(clock.now().timestamp()) + seconds}\n")


@pytest.mark.parametrize("difference_s", [-290, 0, 290])
def test_small_difference_is_accepted(difference_s: int) -> None:
    measured_s = require_matching_clock(shell_with_difference(difference_s))

    assert abs(measured_s - difference_s) <= 1


@pytest.mark.parametrize(
    ("difference_s", "direction"),
    [(-86_400, r"8640\d s behind it"), (86_400, r"86(?:400|399) s ahead of it")],
)
def test_wrong_clock_is_reported_with_its_direction(difference_s: int, direction: str) -> None:
    with pytest.raises(ToolError, match=f"the guest has a wrong clock: .*{direction}") as caught:
        require_matching_clock(shell_with_difference(difference_s))
    assert "'date -u' shows" in caught.value.hint


@pytest.mark.parametrize("output", ["", "Mon Nov 30", "-1", "1e9"])
def test_guest_without_a_time_is_reported(output: str) -> None:
    with pytest.raises(ToolError, match="the guest has no clock: expected seconds, got"):
        require_matching_clock(Shell(output))
