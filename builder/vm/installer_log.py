"""Anaconda's own logs, from a port of the virtual machine.

Anaconda tells rsyslog to forward everything to the port ``org.fedoraproject.anaconda.log.0`` if it
exists (pyanaconda/core/constants.py, anaconda_logging.py; the format is in lorax, share/
templates.d/99-generic/config_files/common/rsyslog.conf; both releases). The port exists for every
install: a failing %pre, a dialog in front of an error and an installer that hangs leave nothing on
the console that names the reason, and the logs in the guest are lost with it. Its lines decide
nothing, neither success nor failure nor a stall: daemons write there for ever, and an error in the
log may be harmless.
"""

import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardpan.builder.vm.firmware import escape_option
from hardpan.core.files import create_private

LOG_PORT = "org.fedoraproject.anaconda.log.0"
_MAX_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_MAX_ERRORS = 10
_ERROR = re.compile(
    r"\d\d:\d\d:\d\d,\d{3} (?:ERR|CRIT|ALERT|EMERG) (?P<text>[^\x00-\x1f\x7f-\x9f]{1,500})"
)


class InstallerLog:
    """The log file of the port, which only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: deque[str] = deque(maxlen=_MAX_ERRORS)
        """The last error messages, without time."""

        create_private(path)
        self._file = path.open("rb")
        self._partial_line = b""

    def arguments(self) -> list[str]:
        """Return QEMU's options for the port."""
        # QEMU appends, so that the file can be emptied while the guest writes.
        chardev = f"file,id=installer-log,path={escape_option(self.path)},append=on"
        return [
            "-chardev",
            chardev,
            "-device",
            f"virtserialport,chardev=installer-log,name={LOG_PORT}",
        ]

    def poll(self) -> None:
        """Read what was written since the last call; empty a file that has become too long."""
        *lines, self._partial_line = (self._partial_line + self._file.read(_CHUNK_BYTES)).split(
            b"\n"
        )
        self._partial_line = self._partial_line[-_CHUNK_BYTES:]
        for line in lines:
            match = _ERROR.match(line.decode("utf-8", "replace"))
            if match is not None:
                self.errors.append(match["text"])
        if os.fstat(self._file.fileno()).st_size > _MAX_BYTES:
            os.truncate(self.path, 0)
            self._file.seek(0)

    def close(self) -> None:
        """Close the file; an empty one is removed."""
        self._file.close()
        if self.path.stat().st_size == 0:
            self.path.unlink()


@contextmanager
def open_installer_log(path: Path | None) -> Iterator[InstallerLog | None]:
    """Provide the log for the duration of the block; None without a path."""
    if path is None:
        yield None
        return
    log = InstallerLog(path)
    try:
        yield log
    finally:
        log.close()
