"""The scanning machine itself as a target."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from hardpan.ssh.target import Target

LOCAL = "local:"
"""The target as it is written on the command line."""

_HOST_KEY_FOLDER = Path("/etc/ssh")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTarget:
    """The scanning machine, as the user of this process."""

    user: str
    """``root`` exactly if the effective user id is 0."""

    home: Path
    """Working folder of the commands."""

    host_key_folder: Path = _HOST_KEY_FOLDER

    def __str__(self) -> str:
        """``local:``, as messages show it."""
        return LOCAL


def find_local_target() -> LocalTarget:
    """Return this machine as a target."""
    user_id = os.geteuid()
    try:
        entry = pwd.getpwuid(user_id)
        name, home = entry.pw_name, Path(entry.pw_dir)
    except KeyError:
        name, home = str(user_id), Path("/")
    return LocalTarget(
        user="root" if user_id == 0 else name, home=home if home.is_dir() else Path("/")
    )


AnyTarget = Target | LocalTarget
"""A host that is reached over SSH, or this machine."""
