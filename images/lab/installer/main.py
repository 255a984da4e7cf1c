# SPDX-License-Identifier: GPL-2.0-or-later
"""The installation from first to last, and what happens when it fails."""

import shutil
import traceback
from pathlib import Path

from . import accounts, bootloader, configure, payload, scripts, selinux, storage
from .console import InstallerConsole
from .media import BootOptions, parse_boot_options, read_kickstart
from .plan import InstallError, InstallPlan, RefusedKickstartError, Script, ScriptSection
from .process import LOGS, SYSROOT, append_log, run
from .translate import make_plan

_FINISH_FILE = Path("/run/hardpan-lab-finish")
"""Where ``init`` reads what to do when the installer ends."""

_EXIT_REPORTED = 3
"""Exit code for ``init``: the failure has been reported."""

_TARGET_LOGS = "var/log/anaconda"
_LOGS = ("anaconda", "program", "storage", "packaging")


def main() -> int:
    """Install. Returns 0, or 3 after a reported failure."""
    console = InstallerConsole()
    on_error: tuple[Script, ...] = ()
    on_bug: tuple[Script, ...] = ()
    try:
        plan, boot_options = _load_plan(console)
        on_error = plan.scripts_in(ScriptSection.ON_ERROR)
        on_bug = (*on_error, *plan.scripts_in(ScriptSection.TRACEBACK))
        _install(plan, boot_options, console)
        _FINISH_FILE.write_text(plan.finish, "utf-8")
    except RefusedKickstartError as e:
        for problem in e.problems:
            console.print_marker(f"problem: {problem}")
        _report_failure(console, str(e), e.on_error)
        return _EXIT_REPORTED
    except (InstallError, OSError) as e:
        append_log("anaconda", traceback.format_exc())
        _report_failure(console, f"{console.phase_name}: {e}", on_error)
        return _EXIT_REPORTED
    except Exception as e:  # noqa: BLE001  (outermost: a bug must reach the console, not only a log)
        for line in traceback.format_exc().splitlines():
            console.print_line(line)
        _report_failure(console, f"{console.phase_name}: a bug of the installer: {e!r}", on_bug)
        return _EXIT_REPORTED
    console.print_marker(f"ended well: {plan.finish}")
    return 0


def _load_plan(console: InstallerConsole) -> tuple[InstallPlan, BootOptions]:
    with console.phase("parse"):
        boot_options = parse_boot_options(Path("/proc/cmdline").read_text("utf-8"))
        append_log("anaconda", f"Kernel command line: {boot_options.cmdline}")
        text = read_kickstart(boot_options.kickstart)
        plan = make_plan(text, fips=boot_options.fips, strict=boot_options.strict)
        if boot_options.keep_kickstart:
            kickstart_copy = LOGS / "anaconda-ks.cfg"
            kickstart_copy.write_text(text, "utf-8")
            kickstart_copy.chmod(0o600)
    return plan, boot_options


def _install(plan: InstallPlan, boot_options: BootOptions, console: InstallerConsole) -> None:
    with console.phase("pre"):
        scripts.run_all(plan.scripts_in(ScriptSection.PRE), console)
    with console.phase("storage"):
        target = storage.prepare_disk(plan.storage, console)
        scripts.run_all(plan.scripts_in(ScriptSection.PRE_INSTALL), console)
    with console.phase("payload"):
        payload.unpack_image(console)
        storage.bind_kernel_filesystems()
        configure.write_mount_tables(target)
    with console.phase("packages"):
        payload.install_packages(plan.packages, console)
    with console.phase("configuration"):
        configure.apply(plan.system, console)
        accounts.create_accounts(plan.system)
    with console.phase("bootloader"):
        bootloader.install_bootloader(
            plan.bootloader,
            plan.storage,
            target,
            console,
            cmdline=boot_options.cmdline,
            fips=boot_options.fips,
        )
    if boot_options.keep_kickstart:
        _copy_private(LOGS / "anaconda-ks.cfg", SYSROOT / "root/anaconda-ks.cfg")
    with console.phase("post"):
        _save_logs()
        scripts.run_all(plan.scripts_in(ScriptSection.POST), console)
    with console.phase("finish"):
        _save_logs()
        selinux.label_files(console)
        storage.unmount_all(target)


def _copy_private(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o600)


def _save_logs() -> None:
    """The installer's logs, where EL's are."""
    folder = SYSROOT / _TARGET_LOGS
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    sources = [LOGS / f"{name}.log" for name in _LOGS]
    for path in (*sources, *sorted(LOGS.glob("ks-script-*.log"))):
        if path.exists():
            _copy_private(path, folder / path.name)


def _report_failure(console: InstallerConsole, reason: str, on_error: tuple[Script, ...]) -> None:
    """Report the failure in EL's words, which programs that watch the console match."""
    console.print_marker(f"failed: {reason}")
    console.print_line(
        "The installation was stopped due to an error which occurred while running in"
    )
    console.print_line(
        "non-interactive cmdline mode. Since there cannot be any questions in cmdline"
    )
    console.print_line("mode, edit your kickstart file and retry installation.")
    console.print_line(f"The exact error message is: {reason}")
    try:
        scripts.run_all(on_error, console)
    except (InstallError, OSError) as e:
        console.print_line(f"%onerror: {e}")
    console.print_line("The installer will now terminate.")
    run(["sync"], timeout_s=120, ok=None)
