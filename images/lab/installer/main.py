# SPDX-License-Identifier: GPL-2.0-or-later
"""The installation from first to last, and what happens when it fails."""

import shutil
import traceback
from pathlib import Path

from . import accounts, bootloader, configure, payload, scripts, storage
from .console import Console
from .media import Boot, boot, fetch
from .plan import InstallError, Plan, RefusedError, Script, When
from .proc import LOGS, SYSROOT, note, run
from .translate import parse

_FINISH = Path("/run/hardpan-lab-finish")
"""Where ``init`` reads what to do when the installer ends."""

_TOLD = 3
"""Exit code that tells ``init`` that the failure has been told."""

_TARGET_LOGS = "var/log/anaconda"
_LOGS = ("anaconda", "program", "storage", "packaging")


def main() -> int:
    """Install. Returns 0, or 3 after the failure was told."""
    console = Console()
    on_error: tuple[Script, ...] = ()
    on_bug: tuple[Script, ...] = ()
    try:
        plan, how = _parse(console)
        on_error = plan.of(When.ON_ERROR)
        on_bug = (*on_error, *plan.of(When.TRACEBACK))
        _install(plan, how, console)
        _FINISH.write_text(plan.finish, "utf-8")
    except RefusedError as e:
        for problem in e.problems:
            console.mark(f"problem: {problem}")
        _failed(console, str(e), e.on_error)
        return _TOLD
    except (InstallError, OSError) as e:
        note("anaconda", traceback.format_exc())
        _failed(console, f"{console.phase_name}: {e}", on_error)
        return _TOLD
    except Exception as e:  # noqa: BLE001  (the roof: a bug must reach the console, not only a log)
        for line in traceback.format_exc().splitlines():
            console.say(line)
        _failed(console, f"{console.phase_name}: a bug of the installer: {e!r}", on_bug)
        return _TOLD
    console.mark(f"ended well: {plan.finish}")
    return 0


def _parse(console: Console) -> tuple[Plan, Boot]:
    with console.phase("parse"):
        how = boot(Path("/proc/cmdline").read_text("utf-8"))
        note("anaconda", f"Kernel command line: {how.cmdline}")
        text = fetch(how.kickstart)
        plan = parse(text, fips=how.fips, strict=how.strict)
        if how.keep_kickstart:
            kept = LOGS / "anaconda-ks.cfg"
            kept.write_text(text, "utf-8")
            kept.chmod(0o600)
    return plan, how


def _install(plan: Plan, how: Boot, console: Console) -> None:
    with console.phase("pre"):
        scripts.run_all(plan.of(When.PRE), console)
    with console.phase("storage"):
        target = storage.prepare(plan.storage, console)
        scripts.run_all(plan.of(When.PRE_INSTALL), console)
    with console.phase("payload"):
        payload.unpack(console)
        storage.bind_kernel()
        configure.write_tables(target)
    with console.phase("packages"):
        payload.install(plan.packages, console)
    with console.phase("configuration"):
        configure.apply(plan.system, console)
        accounts.create(plan.system)
    with console.phase("bootloader"):
        bootloader.install(
            plan.bootloader, plan.storage, target, console, cmdline=how.cmdline, fips=how.fips
        )
    if how.keep_kickstart:
        _keep(LOGS / "anaconda-ks.cfg", SYSROOT / "root/anaconda-ks.cfg")
    with console.phase("post"):
        _save_logs()
        scripts.run_all(plan.of(When.POST), console)
    with console.phase("finish"):
        _save_logs()
        storage.release(target)


def _keep(source: Path, place: Path) -> None:
    shutil.copyfile(source, place)
    place.chmod(0o600)


def _save_logs() -> None:
    """The installer's logs, where EL's are."""
    folder = SYSROOT / _TARGET_LOGS
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    sources = [LOGS / f"{name}.log" for name in _LOGS]
    for path in (*sources, *sorted(LOGS.glob("ks-script-*.log"))):
        if path.exists():
            _keep(path, folder / path.name)


def _failed(console: Console, why: str, on_error: tuple[Script, ...]) -> None:
    """Tell the failure in words that whoever watches the console looks for."""
    console.mark(f"failed: {why}")
    console.say("The installation was stopped due to an error which occurred while running in")
    console.say("non-interactive cmdline mode. Since there cannot be any questions in cmdline")
    console.say("mode, edit your kickstart file and retry installation.")
    console.say(f"The exact error message is: {why}")
    try:
        scripts.run_all(on_error, console)
    except (InstallError, OSError) as e:
        console.say(f"%onerror: {e}")
    console.say("The installer will now terminate.")
    run(["sync"], timeout_s=120, ok=None)
