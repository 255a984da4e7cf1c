"""Progress of an installation from Anaconda's status lines.

Anaconda prints the title of each task queue and the messages of storage and packages
(pyanaconda/installation.py; ui/tui/spokes/installation_progress.py). They come in the order of
``PHASES`` in both releases. Sources of the strings:

- ``Starting installer, one moment...``: anaconda.py
- storage: ui/lib/storage.py, installation.py; ``Creating TYPE on DEVICE``: blivet,
  deviceaction.py (3.6 in EL9, 3.10 in EL10)
- packages, EL9: payload/dnf/payload.py, payload/dnf/download_progress.py, transaction_progress.py
- packages, EL10: modules/payloads/payload/dnf/installation.py, download_progress.py,
  transaction_progress.py
- ``Installing software N%``: an image as payload; EL9: payload/live/payload_base.py, EL10:
  modules/payloads/payload/live_image/installation_progress.py
- everything after the packages: installation.py

``Running pre-installation scripts`` is printed twice, for %pre and for %pre-install, so that it
means no phase.
"""

import re
from dataclasses import dataclass

from hardpan.builder.anaconda.lines import ConsoleLine

PHASES = (
    "boot",
    "storage",
    "packages",
    "package scripts",
    "boot loader",
    "configuration",
    "initramfs",
    "post scripts",
    "complete",
)
"""Phases of an installation in their order."""

_PACKAGE = r"(?P<package>[A-Za-z0-9_.+~^-]{1,200}\.(?:x86_64|aarch64|i686|noarch))"
_STATUS_LINES = tuple(
    (re.compile(pattern), phase)
    for pattern, phase in (
        (r"Starting installer, one moment\.\.\.", "boot"),
        (r"anaconda \S+ for .{1,100} started\.", "boot"),
        (r"Starting automated install\.*", "boot"),
        (r"Saving storage configuration\.\.\.", "storage"),
        (r"Checking storage configuration\.\.\.", "storage"),
        (r"Setting up the installation environment", "storage"),
        (r"Configuring storage", "storage"),
        (r"Creating .{1,60} on /dev/\S{1,200}", "storage"),
        (r"Gathering entropy .{1,60}", "storage"),
        (r"Running pre-installation tasks", "storage"),
        (r"Installing\.", "packages"),
        (r"Installing the software", "packages"),
        (r"Installing software \d{1,3}%", "packages"),
        (r"Starting package installation process", "packages"),
        (r"Downloading packages", "packages"),
        (r"Downloading \d{1,7} RPMs, .{1,100} done\.", "packages"),
        (r"Preparing transaction from installation source", "packages"),
        (rf"Installing {_PACKAGE} \((?P<count>\d{{1,7}})/(?P<total>\d{{1,7}})\)", "packages"),
        (r"Performing post-installation setup tasks", "package scripts"),
        (rf"Configuring {_PACKAGE}", "package scripts"),
        (rf"Verifying {_PACKAGE} \(\d{{1,7}}/\d{{1,7}}\)", "package scripts"),
        (r"Installing boot loader", "boot loader"),
        (r"Importing certificates", "configuration"),
        (r"Configuring Red Hat subscription", "configuration"),
        (r"Configuring installed system", "configuration"),
        (r"Writing network configuration", "configuration"),
        (r"Creating users", "configuration"),
        (r"Configuring addons", "configuration"),
        (r"Generating initramfs", "initramfs"),
        (r"Storing configuration files and kickstarts", "initramfs"),
        (r"Running post-installation scripts", "post scripts"),
        (r"Complete!", "post scripts"),
        (r"Installation complete", "post scripts"),
    )
)


@dataclass(slots=True, kw_only=True)
class InstallProgress:
    """Position of an installation; it never goes back to an earlier phase."""

    phase: str = PHASES[0]
    status: str = ""
    """Last status line of the installer; empty before the first one."""

    _package_count: int = 0
    _package_total: int = 0

    @property
    def completed(self) -> int:
        """Number of the current package while packages are installed, else of the phase."""
        return self._package_count if self._is_counted else PHASES.index(self.phase) + 1

    @property
    def total(self) -> int:
        """Number of all packages while packages are installed, else of all phases."""
        return self._package_total if self._is_counted else len(PHASES)

    @property
    def title(self) -> str:
        """The phase and, except while packages are counted, the installer's status line."""
        if self._is_counted or not self.status or self.phase == PHASES[-1]:
            return self.phase
        return f"{self.phase}: {self.status}"

    def update(self, line: ConsoleLine) -> bool:
        """Process a console line; return whether it is a status line.

        A status line is never an error message, whatever a package is called.
        """
        if not line.is_installer:
            return False
        for pattern, phase in _STATUS_LINES:
            match = pattern.fullmatch(line.message)
            if match is not None:
                self._enter(phase, match)
                return True
        return False

    def complete(self) -> None:
        """Enter the last phase: the kickstart's last script has reported success."""
        self.phase = PHASES[-1]

    def describe(self) -> str:
        """Return the phase and the last status line, for an error message."""
        if not self.status:
            return "before the installer started"
        return f"in phase {self.phase!r} after {self.status!r}"

    @property
    def _is_counted(self) -> bool:
        return self.phase == "packages" and self._package_total > 0

    def _enter(self, phase: str, match: re.Match[str]) -> None:
        self.status = match[0]
        if PHASES.index(phase) > PHASES.index(self.phase):
            self.phase = phase
        groups = match.groupdict()
        if groups.get("count"):
            self._package_count, self._package_total = int(groups["count"]), int(groups["total"])
