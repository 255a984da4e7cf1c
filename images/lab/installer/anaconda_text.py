# SPDX-License-Identifier: GPL-2.0-or-later
"""What Anaconda prints on the console in cmdline mode, word for word. Pure.

Sources are in ``images/lab/ANACONDA.md``.
"""

import textwrap
from collections.abc import Sequence

from .plan import InstallerProblem
from .release import Release

STARTING = "Starting installer, one moment..."
PRE_SCRIPTS = "Running pre-installation scripts"
AUTOMATED = "Starting automated install"
PRESS_ENTER_TO_EXIT = "Press ENTER to exit: "
PRESS_ENTER_TO_QUIT = "Installation complete. Press ENTER to quit: "
_SEPARATOR = "\n".join(["=" * 80] * 2)
_WIDTH = 80

NONINTERACTIVE_WAIT_S = 180
"""Between the message and the exit handler."""

REFUSED_WAIT_S = 10
"""Between the message about a kickstart and the end of the program."""

TASKS_9 = (
    "Setting up the installation environment",
    "Configuring storage",
    "Running pre-installation scripts",
    "Running pre-installation tasks",
    "Installing.",
    "Installing boot loader",
    "Performing post-installation setup tasks",
    "Importing certificates",
    "Configuring installed system",
    "Writing network configuration",
    "Creating users",
    "Configuring addons",
    "Generating initramfs",
    "Storing configuration files and kickstarts",
    "Running post-installation scripts",
)
TASKS_10 = tuple("Installing the software" if t == "Installing." else t for t in TASKS_9)
"""Titles of the task queues in their order; Rocky has no queue for subscriptions."""


def list_tasks(release: Release, *, save_kickstart: bool) -> tuple[str, ...]:
    """Titles of the release's task queues."""
    titles = TASKS_9 if release.major == 9 else TASKS_10
    return tuple(
        t for t in titles if save_kickstart or t != "Storing configuration files and kickstarts"
    )


def render_startup_note(release: Release) -> str:
    """The note that names the installer's version."""
    return (
        f"anaconda {release.anaconda_version} for {release.product} {release.version} started.\n"
        " * installation log files are stored in /tmp during the installation\n"
        " * shell is available on TTY2 and in second TMUX pane (ctrl+b, then press 2)\n"
        " * if the graphical installation interface fails to start, try again with the\n"
        "   inst.text bootoption to start text installation\n"
        " * when reporting a bug add logs from /tmp as separate text/plain attachments"
    )


def render_screen(title: str) -> str:
    """The head of a screen of the text interface."""
    return f"{_SEPARATOR}\n{title}\n"


def render_kickstart_warnings(warnings: Sequence[str]) -> str:
    """Warnings about the kickstart, which stop nothing without ``inst.ksstrict``."""
    lines = "\n".join(w.strip() for w in warnings)
    return f"\nSome warnings occurred during reading the kickstart file:\n{lines}"


def render_kickstart_refusal(problems: Sequence[InstallerProblem]) -> str:
    """What ends the program before there is a user interface."""
    details = "\n\n".join(_format_problem(p) for p in problems)
    return (
        "\nAn error occurred during reading the kickstart file:\n"
        f"{details}\n\nThe installer will now terminate."
    )


def _format_problem(problem: InstallerProblem) -> str:
    if not problem.line:
        return problem.text
    return (
        f"The following problem occurred on line {problem.line} of the kickstart file:\n\n"
        f"{problem.text}"
    )


def render_pre_failure(release: Release) -> str:
    """All that a failing ``%pre`` shows: Python's traceback, without the script's message."""
    line = 380 if release.major == 9 else 409
    return (
        "Traceback (most recent call last):\n"
        f'  File "/usr/sbin/anaconda", line {line}, in <module>\n'
        "    startup_utils.run_pre_scripts(kspath)\n"
        "pyanaconda.errors.ScriptError"
    )


def render_script_failure(line: int, details: str) -> str:
    """The dialog after a script that failed later; it waits for a key."""
    text = (
        f"There was an error running the kickstart script at line {line}.  This is a fatal "
        "error and installation will be aborted.  The details of this error are:\n\n"
        f"{details.strip()}"
    )
    paragraphs = [textwrap.fill(p, _WIDTH, drop_whitespace=True) for p in text.split("\n")]
    return render_screen("Error") + "\n".join(paragraphs) + f"\n\n{PRESS_ENTER_TO_EXIT}"


def render_noninteractive_failure(message: str) -> str:
    """A failure that would need an answer."""
    return (
        "\nThe installation was stopped due to an error which occurred while running in "
        "non-interactive cmdline mode. Since there cannot be any questions in cmdline mode, edit "
        "your kickstart file and retry installation. \nThe exact error message is: \n\n"
        f"{message}. \n\nThe installer will now terminate."
    )


def render_bug(message: str) -> str:
    """An exception that nobody expected."""
    return (
        "\nRunning in cmdline mode, no interactive debugging allowed.\nThe exact error message "
        f"is: \n\n{message}.\n\nThe installer will now terminate."
    )


def render_incomplete_spokes(titles: Sequence[str]) -> str:
    """What is missing before the installation could start."""
    return "\n".join(["The following mandatory spokes are not completed:", *titles])
