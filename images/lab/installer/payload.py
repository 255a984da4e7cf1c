# SPDX-License-Identifier: GPL-2.0-or-later
"""The base system: the media's image unpacked, then one dnf transaction on top."""

import re
import shutil
from pathlib import Path

from .console import Console
from .plan import InstallError, Packages
from .proc import SYSROOT, Done, run
from .texts import printable

REPO = Path("/run/install/repo")
_LEFT_OUT = ("usr/libexec/hardpan-lab", "run/install")
"""The installer itself does not travel into the new system."""

_MACROS = Path("/etc/rpm/macros")
_STEPS = re.compile(r"Dependencies resolved|Downloading Packages|Install +\d+ |Running transaction")
"""Lines of dnf worth a line on the console: they begin its long silences."""

_COMPLAINTS = re.compile(r"Error|No match for|Problem|- |error:|nothing provides|Failed")


def unpack(console: Console) -> None:
    """Unpack the media's image onto the mounted target.

    Raises:
        InstallError: the image cannot be unpacked.
    """
    image = REPO / "images/install.img"
    argv = [
        "unsquashfs", "-force", "-dest", str(SYSROOT), "-processors", "2", "-percentage",
        "-excludes", str(image), *_LEFT_OUT,
    ]  # fmt: skip
    run(argv, timeout_s=1800, on_line=console.progress, log="packaging")


def dnf_argv(packages: Packages) -> list[str]:
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
        f"--setopt=install_weak_deps={'True' if packages.weak else 'False'}",
        # A kickstart's missing package stops the installation unless it says otherwise.
        f"--setopt=strict={'False' if packages.ignore_missing else 'True'}",
        "--setopt=skip_if_unavailable=False",
        *(f"--exclude={name}" for name in packages.exclude),
    ]
    return ["dnf", *(o for o in options if o), "install", *packages.install]


def install(packages: Packages, console: Console) -> None:
    """Install what ``%packages`` lists, from the media.

    Raises:
        InstallError: a package is missing, or the transaction failed.
    """
    _remove_excluded(packages)
    if not packages.install:
        console.say("%packages lists nothing beyond the base system")
        return
    console.say(f"dnf installs {len(packages.install)} packages and what they need")

    def tell(line: str) -> None:
        console.progress(line)
        if _STEPS.match(line):
            console.say(f"dnf: {line.strip()}")

    # This system's setting, not the new one's. rpm would hash all packages once more,
    # right after dnf has (measured: 13 s).
    _MACROS.parent.mkdir(exist_ok=True)
    _MACROS.write_text("%_pkgverify_level none\n", "utf-8")
    done = run(dnf_argv(packages), timeout_s=1800, on_line=tell, log="packaging", ok=None)
    if done.rc:
        raise InstallError(f"error populating transaction: dnf exited with {done.rc}{why(done)}")
    # What lies in it, not the folder itself: that one belongs to a package.
    for path in (SYSROOT / "var/cache/dnf").glob("*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def why(done: Done) -> str:
    """What dnf complained of; without a complaint, its last words."""
    lines = [printable(x).strip() for x in done.out.splitlines() if x.strip()]
    told = [x for x in lines if _COMPLAINTS.match(x)] or lines[-3:]
    return f": {' | '.join(told[-10:])}" if told else ""


def _remove_excluded(packages: Packages) -> None:
    """What the base system has and the kickstart excludes."""
    if not packages.exclude:
        return
    query = ["rpm", "--root", str(SYSROOT), "-qa", "--qf", "%{NAME}\\n", *packages.exclude]
    present = sorted(set(run(query, timeout_s=120, log="packaging").out.split()))
    if present:
        argv = ["dnf", "-y", f"--installroot={SYSROOT}", "--noplugins", "--disablerepo=*",
                "--noautoremove", "remove", *present]  # fmt: skip
        run(argv, timeout_s=600, log="packaging")
