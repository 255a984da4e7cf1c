# SPDX-License-Identifier: GPL-2.0-or-later
"""The base system: the media's image unpacked, then one dnf transaction on top."""

import re
import shutil
from pathlib import Path

from .config_files import make_printable
from .console import InstallerConsole
from .plan import InstallError, PackageSelection
from .process import SYSROOT, ProcessResult, run

REPO = Path("/run/install/repo")
_EXCLUDED_PATHS = ("usr/libexec/hardpan-lab", "run/install")
"""The installer itself does not travel into the new system."""

_MACROS = Path("/etc/rpm/macros")
_MILESTONE_LINES = re.compile(
    r"Dependencies resolved|Downloading Packages|Install +\d+ |Running transaction"
)
"""Lines of dnf worth a line on the console: they begin its long silences."""

_ERROR_LINES = re.compile(r"Error|No match for|Problem|- |error:|nothing provides|Failed")


def unpack_image(console: InstallerConsole) -> None:
    """Unpack the media's image onto the mounted target.

    Raises:
        InstallError: the image cannot be unpacked.
    """
    image = REPO / "images/install.img"
    argv = [
        "unsquashfs", "-force", "-dest", str(SYSROOT), "-processors", "2", "-percentage",
        "-excludes", str(image), *_EXCLUDED_PATHS,
    ]  # fmt: skip
    run(argv, timeout_s=1800, on_line=console.update_progress, log="packaging")


def dnf_argv(packages: PackageSelection) -> list[str]:
    """The one transaction."""
    options = [
        "-y",
        f"--installroot={SYSROOT}",
        "--noplugins",
        "--nodocs" if not packages.docs else "",
        # NOTE: the chain of trust is the signature of the repository's index, which
        # holds the digest of every package; dnf checks both. Each package's own
        # signature would be checked by a process of its own (measured under
        # emulation: 58 s for 184 packages) and says the same again.
        "--setopt=*.repo_gpgcheck=True",
        "--setopt=*.gpgcheck=False",
        f"--setopt=install_weak_deps={'True' if packages.weak_dependencies else 'False'}",
        # A kickstart's missing package stops the installation unless it says otherwise.
        f"--setopt=strict={'False' if packages.ignore_missing else 'True'}",
        "--setopt=skip_if_unavailable=False",
        *(f"--exclude={name}" for name in packages.exclude),
    ]
    return ["dnf", *(o for o in options if o), "install", *packages.install]


def install_packages(packages: PackageSelection, console: InstallerConsole) -> None:
    """Install what ``%packages`` lists, from the media.

    Raises:
        InstallError: a package is missing, or the transaction failed.
    """
    _remove_excluded(packages)
    if not packages.install:
        console.print_line("%packages lists nothing beyond the base system")
        return
    console.print_line(f"dnf installs {len(packages.install)} packages and what they need")

    def print_progress(line: str) -> None:
        console.update_progress(line)
        if _MILESTONE_LINES.match(line):
            console.print_line(f"dnf: {line.strip()}")

    # This system's setting, not the new one's. rpm would hash all packages once more,
    # right after dnf has (measured: 13 s).
    _MACROS.parent.mkdir(exist_ok=True)
    _MACROS.write_text("%_pkgverify_level none\n", "utf-8")
    result = run(
        dnf_argv(packages), timeout_s=1800, on_line=print_progress, log="packaging", ok=None
    )
    if result.exit_status:
        reason = extract_reason(result)
        raise InstallError(
            f"error populating transaction: dnf exited with {result.exit_status}{reason}"
        )
    # Only the content: the folder itself belongs to a package.
    for path in (SYSROOT / "var/cache/dnf").glob("*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def extract_reason(result: ProcessResult) -> str:
    """What dnf complained of; without a complaint, its last words."""
    lines = [make_printable(x).strip() for x in result.output.splitlines() if x.strip()]
    errors = [x for x in lines if _ERROR_LINES.match(x)] or lines[-3:]
    return f": {' | '.join(errors[-10:])}" if errors else ""


def _remove_excluded(packages: PackageSelection) -> None:
    """What the base system has and the kickstart excludes."""
    if not packages.exclude:
        return
    query = ["rpm", "--root", str(SYSROOT), "-qa", "--qf", "%{NAME}\\n", *packages.exclude]
    present = sorted(set(run(query, timeout_s=120, log="packaging").output.split()))
    if present:
        argv = ["dnf", "-y", f"--installroot={SYSROOT}", "--noplugins", "--disablerepo=*",
                "--noautoremove", "remove", *present]  # fmt: skip
        run(argv, timeout_s=600, log="packaging")
