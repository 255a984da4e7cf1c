"""What the lab's installer prints is what the builder reads of Anaconda."""

import pytest

from hardpan.builder.anaconda.progress import PHASES
from hardpan.builder.vm.console import GuestConsole
from images.lab.installer import anaconda_text
from images.lab.installer.plan import InstallerProblem
from images.lab.installer.release import Release


def print_lines(text: str) -> GuestConsole:
    console = GuestConsole()
    console.feed(text.replace("\n", "\r\n").encode())
    return console


@pytest.mark.parametrize("major", [9, 10])
def test_every_line_of_an_installation_is_a_status_line(major: int) -> None:
    release = Release(major=major, version=f"{major}.0")
    console = GuestConsole()
    phases = []
    for line in (
        anaconda_text.STARTING,
        anaconda_text.render_startup_note(release).split("\n")[0],
        f"{anaconda_text.AUTOMATED}...",
        *anaconda_text.list_tasks(release, save_kickstart=True),
    ):
        console.feed(f"..\r\n{line}\r\n".encode())
        if line != anaconda_text.PRE_SCRIPTS:
            assert console.progress.status == line
        phases.append(console.progress.phase)

    assert list(dict.fromkeys(phases)) == [
        p for p in PHASES if p not in ("package scripts", "complete")
    ]
    assert console.failure == ""


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        (
            anaconda_text.render_kickstart_refusal([InstallerProblem(line=3, text="no such")]),
            "An error occurred during reading the kickstart file: The following",
        ),
        (
            anaconda_text.render_pre_failure(Release(major=9)),
            "pyanaconda.errors.ScriptError (a script of the kickstart failed before the",
        ),
        (
            anaconda_text.render_script_failure(187, "grubby: not found"),
            "There was an error running the kickstart script at line 187.  This is a fatal error",
        ),
        (
            anaconda_text.render_noninteractive_failure("Non interactive installation failed: x"),
            "Non interactive installation failed: x.",
        ),
        (anaconda_text.render_bug("division by zero"), "division by zero."),
        (
            anaconda_text.render_incomplete_spokes(["Software selection"]),
            "The following mandatory spokes are not completed:",
        ),
        (anaconda_text.PRESS_ENTER_TO_EXIT, "Press ENTER to exit:"),
    ],
)
def test_failure_that_the_lab_prints_is_read(text: str, failure: str) -> None:
    assert print_lines(f"{text}\n").failure.startswith(failure)
