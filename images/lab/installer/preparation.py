# SPDX-License-Identifier: GPL-2.0-or-later
"""What Anaconda finds out before it touches a disk: storage, source, software.

Whatever cannot be completed without an answer ends the installation in cmdline mode.
"""

from dataclasses import dataclass
from pathlib import Path

from . import anaconda_text, source
from .console import InstallerConsole
from .payload import (
    BrokenSpecsError,
    DependencyError,
    DnfProcess,
    MissingSpecsError,
    ResolvedSelection,
    build_request,
)
from .plan import InstallError, InstallPlan, Repository
from .process import append_log, run
from .release import Release
from .storage_configuration import DiskLayout, Machine, configure_storage, list_devices

_DESTINATION = "Installation Destination"
_SOURCE = "Installation source"
_SOFTWARE = "Software selection"
_FAILED = "Non interactive installation failed"
_DEPENDENCY_TEXT = (
    "The following software marked for installation has errors.\n"
    "This is likely caused by an error with your installation source."
)


class NonInteractiveError(InstallError):
    """The installation would need an answer; the message is Anaconda's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Everything that has been decided."""

    disk_layout: DiskLayout
    dnf: DnfProcess
    package_problem: NonInteractiveError | None
    """EL 10: packages are missing, which ends the installation when it comes to them."""


def prepare_installation(
    plan: InstallPlan, machine: Machine, release: Release, console: InstallerConsole
) -> Preparation:
    """Configure storage, set up the source, resolve the software.

    Raises:
        NonInteractiveError: one of them is not complete.
    """
    console.print_line(f"{anaconda_text.AUTOMATED}...")
    incomplete: list[str] = []
    disk_layout = configure_storage(
        plan.storage, machine, release=release, print_line=console.print_line
    )
    repositories = _set_up_source(plan)
    dnf: DnfProcess | None = None
    selection: ResolvedSelection | None = None
    problem: NonInteractiveError | None = None
    if not repositories:
        incomplete += [_SOURCE, _SOFTWARE]
    else:
        dnf = DnfProcess(build_request(plan.packages, repositories, release))
        selection, problem = _resolve_software(dnf, release, console)
        if selection is None and problem is None:
            incomplete.append(_SOFTWARE)
    if disk_layout is None:
        incomplete.append(_DESTINATION)
    if incomplete or disk_layout is None or dnf is None:
        raise NonInteractiveError(anaconda_text.render_incomplete_spokes(incomplete))
    if selection is not None and release.major != 9:
        require_space(selection, disk_layout)
    return Preparation(disk_layout=disk_layout, dnf=dnf, package_problem=problem)


def _set_up_source(plan: InstallPlan) -> tuple[Repository, ...]:
    """The repositories; none: the source cannot be used, and only a log has the reason."""
    try:
        tree = source.locate_tree(plan.source, _mount_read_only)
        repositories = source.find_repositories(tree)
        for repository in plan.repositories:
            source.require_metadata(repository)
    except (source.SourceError, OSError) as e:
        append_log("packaging", f"PayloadError: {e}")
        return ()
    return (*repositories, *plan.repositories)


def _mount_read_only(device: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not folder.is_mount():
        run(["mount", "-o", "ro", device, str(folder)], timeout_s=60)


def _resolve_software(
    dnf: DnfProcess, release: Release, console: InstallerConsole
) -> tuple[ResolvedSelection | None, NonInteractiveError | None]:
    """The resolved selection; or none, and with EL 10 what ends the installation later.

    Raises:
        NonInteractiveError: EL 9's question whether to continue without packages.
    """
    try:
        return dnf.resolve(), None
    except (MissingSpecsError, BrokenSpecsError) as e:
        if release.major == 9:
            raise NonInteractiveError(f"{_FAILED}: {e}") from e
        is_missing = isinstance(e, MissingSpecsError)
        kind = "missing" if is_missing else "broken"
        message = f"Some packages, groups or modules are {kind}.\n\n{e}"
        console.print_line(message)
        return None, NonInteractiveError(f"{_FAILED}: {message}") if is_missing else None
    except DependencyError as e:
        if release.major != 9:
            console.print_line(f"{_DEPENDENCY_TEXT}\n\n{e}")
        append_log("packaging", f"Transaction error {e}")
        return None, None


def require_space(selection: ResolvedSelection, disk_layout: DiskLayout) -> None:
    """EL 10's check of space; EL 9 has none in cmdline mode.

    Raises:
        NonInteractiveError: the file systems of / and /usr are too small.
    """
    free_mib = sum(d.size_mib for d in list_devices(disk_layout) if d.mount in ("/", "/usr"))
    needed_mib = -(-(selection.install_mib + selection.image_mib) * 11 // 10)
    if free_mib <= needed_mib:
        raise NonInteractiveError(
            "Not enough space in file systems for the current software selection. An additional "
            f"{needed_mib - free_mib} MiB is needed."
        )
