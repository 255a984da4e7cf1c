"""Check the clock of a guest before anything is built in it.

With a wrong clock, certificates and package signatures are "not yet valid" or expired, and the
messages of dnf, curl and rpm do not say that the clock is the reason.
"""

from hardpan.builder.sysprep import RootShell
from hardpan.core import clock
from hardpan.core.errors import ToolError

MAX_DIFFERENCE_S = 300
"""A guest's clock is that of its emulated hardware, which follows this machine's."""

_TIMEOUT_S = 60


def require_matching_clock(shell: RootShell) -> int:
    """Return by how many seconds the guest's clock is ahead of this machine's.

    Raises:
        ToolError: it differs by more than ``MAX_DIFFERENCE_S``, or the guest reports no time.
    """
    result = shell.run("date -u +%s", timeout_s=_TIMEOUT_S, sudo=False)
    text = result.stdout.strip()
    if not (text.isascii() and text.isdigit()):
        raise ToolError(["the guest"], f"has no clock: expected seconds, got {text[:100]!a}")
    difference_s = int(text) - round(clock.now().timestamp())
    if abs(difference_s) > MAX_DIFFERENCE_S:
        direction = "ahead of" if difference_s > 0 else "behind"
        raise ToolError(
            ["the guest"],
            f"has a wrong clock: expected this machine's time, got one that is"
            f" {abs(difference_s)} s {direction} it",
            hint="look in the profile for what sets the time of the guest (timezone, chrony);"
            " 'date -u' shows whether this machine's own clock is right",
        )
    return difference_s
