# SPDX-License-Identifier: GPL-2.0-or-later
"""The installation from first to last, and what happens when it fails.

The order and the endings are those of Anaconda's ``anaconda.py``, ``kickstart.py`` and
``exception.py``: a failure before there is a user interface leaves the machine running.
"""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import anaconda_text, scripts
from .console import InstallerConsole
from .disks import list_disks
from .installation import Installation
from .media import BootOptions, parse_boot_options, read_kickstart
from .payload import DependencyError, TransactionError
from .plan import (
    Firmware,
    InstallError,
    InstallPlan,
    MiB,
    RefusedKickstartError,
    ScriptSection,
)
from .preparation import NonInteractiveError, prepare_installation
from .process import append_log, run
from .release import Release, parse_os_release
from .scripts import ScriptFailedError
from .storage_configuration import Machine
from .translate import make_plan, make_pre_scripts

_FINISH_FILE = Path("/run/hardpan-lab-finish")
"""Where ``init`` reads what to do when the installer ends."""

EXIT_ENDED = 1
"""Exit code for ``init``: the program has ended, and nothing switches the machine off."""

EXIT_WAITING = 2
"""Exit code for ``init``: a dialog waits for a key."""

_Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the installer was started with."""

    release: Release
    options: BootOptions
    kickstart: str
    firmware: Firmware


def main(sleep: _Sleep = time.sleep) -> int:
    """Install. Returns 0, EXIT_ENDED or EXIT_WAITING."""
    console = InstallerConsole()
    console.print_line(anaconda_text.STARTING)
    try:
        session = _start_session(console)
        plan = read_plan(session, console, sleep)
    except (InstallError, OSError) as e:
        console.print_line(f"hardpan-lab: {e}")
        return EXIT_ENDED
    if plan is None:
        return EXIT_ENDED
    return run_plan(plan, session, console, sleep)


def _start_session(console: InstallerConsole) -> Session:
    release = parse_os_release(Path("/usr/lib/os-release").read_text("utf-8"))
    console.print_line(anaconda_text.render_startup_note(release))
    options = parse_boot_options(Path("/proc/cmdline").read_text("utf-8"))
    append_log("anaconda", f"Kernel command line: {options.cmdline}")
    return Session(
        release=release,
        options=options,
        kickstart=read_kickstart(options.kickstart),
        firmware=Firmware.UEFI if Path("/sys/firmware/efi").exists() else Firmware.BIOS,
    )


def read_plan(session: Session, console: InstallerConsole, sleep: _Sleep) -> InstallPlan | None:
    """Run ``%pre``, then parse; ``None``: it failed, and the console shows what EL shows.

    There is no user interface yet: no ``%onerror``, no dialog, no exit handler.
    """
    try:
        pre_scripts = make_pre_scripts(session.kickstart, session.release)
        if pre_scripts:
            console.print_clocked(anaconda_text.PRE_SCRIPTS)
        scripts.run_all(s for s in pre_scripts if s.section is ScriptSection.PRE)
        plan = make_plan(
            session.kickstart,
            fips=session.options.fips,
            strict=session.options.strict,
            release=session.release,
            firmware=session.firmware,
        )
    except ScriptFailedError as e:
        append_log("anaconda", f"Error running the kickstart script at line {e.line}")
        console.print_line(anaconda_text.render_pre_failure(session.release))
        return None
    except RefusedKickstartError as e:
        if e.warnings:
            console.print_line(anaconda_text.render_kickstart_warnings(e.warnings))
        console.print_line(anaconda_text.render_kickstart_refusal(e.problems))
        sleep(anaconda_text.REFUSED_WAIT_S)
        return None
    if plan.warnings:
        console.print_line(anaconda_text.render_kickstart_warnings(plan.warnings))
    return plan


def run_plan(plan: InstallPlan, session: Session, console: InstallerConsole, sleep: _Sleep) -> int:
    """Install, and end as Anaconda ends."""
    try:
        _install(plan, session, console)
    except ScriptFailedError as e:
        # EL shows a dialog even in cmdline mode, and waits; %onerror does not run.
        console.print_line(anaconda_text.render_script_failure(e.line, e.details))
        return EXIT_WAITING
    except Exception as e:  # noqa: BLE001  (outermost: a bug must reach the console, too)
        append_log("anaconda", traceback.format_exc())
        console.print_line(format_failure(e, session.release))
        _run_error_scripts(plan)
        sleep(anaconda_text.NONINTERACTIVE_WAIT_S)
    else:
        if plan.finish == "halt":
            console.print_line(anaconda_text.PRESS_ENTER_TO_QUIT)
            return EXIT_WAITING
    run(["sync"], timeout_s=120, ok=None)
    _FINISH_FILE.write_text(plan.finish, "utf-8")
    return 0


def format_failure(error: Exception, release: Release) -> str:
    """Anaconda's message for an error that ends the installation.

    Anaconda 34 has no handler for errors of its payload while packages are installed.
    """
    if isinstance(error, NonInteractiveError):
        return anaconda_text.render_noninteractive_failure(str(error))
    is_payload_error = isinstance(error, (TransactionError, DependencyError))
    if isinstance(error, (InstallError, OSError)) and not (is_payload_error and release.major == 9):
        return anaconda_text.render_noninteractive_failure(
            f"Non interactive installation failed: {error}"
        )
    return anaconda_text.render_bug(str(error) or repr(error))


def _install(plan: InstallPlan, session: Session, console: InstallerConsole) -> None:
    release = session.release
    machine = Machine(disks=list_disks(), firmware=session.firmware, memory_mib=_read_memory_mib())
    preparation = prepare_installation(plan, machine, release, console)
    console.print_line(anaconda_text.render_screen("Installation"))
    console.print_line(anaconda_text.render_screen("Progress"))
    with preparation.dnf as dnf:
        Installation(
            plan,
            session.options,
            release,
            preparation.disk_layout,
            dnf,
            console,
            kickstart=session.kickstart,
            package_problem=preparation.package_problem,
        ).run()


def _run_error_scripts(plan: InstallPlan) -> None:
    """Run %onerror and %traceback; what fails there is ignored."""
    for section in (ScriptSection.ON_ERROR, ScriptSection.TRACEBACK):
        try:
            scripts.run_all(plan.scripts_in(section))
        except (InstallError, OSError) as e:
            append_log("anaconda", f"{section.value}: {e}")
            return


def _read_memory_mib() -> MiB:
    for line in Path("/proc/meminfo").read_text("utf-8").splitlines():
        if line.startswith("MemTotal:"):
            return MiB(int(line.split()[1]) // 1024)
    return MiB(0)
