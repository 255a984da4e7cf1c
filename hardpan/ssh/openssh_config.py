"""Ask OpenSSH's client for its settings: Host, Match, Include and defaults are its own job."""

import os
import shlex
from functools import cache
from pathlib import Path

from hardpan.core.errors import InputError, ToolError
from hardpan.core.process import find_program, run
from hardpan.ssh.client_settings import SettingValues, parse_ssh_settings

_TIMEOUT_S = 60
NO_CONFIG = Path("none")
"""Value of ``--ssh-config`` for no configuration file at all, as for ``ssh -F none``."""


def read_ssh_settings(host: str, user: str, port: str, config: Path | None) -> SettingValues | None:
    """Return what ``ssh -G`` prints for a host; None if this machine has no ``ssh``.

    ``user`` and ``port`` are those that the user typed, or empty: ``Match`` can depend on them.
    ``config`` None: the user's and the system's files.

    Raises:
        InputError: the file is missing, or ssh rejects the configuration.
    """
    if config not in (None, NO_CONFIG) and (config.is_dir() or not config.exists()):
        raise InputError(f"{config}: no such ssh config file")
    if find_program("ssh") is None:
        return None
    argv = ["ssh", "-G"]
    if config is not None:
        argv += ["-F", "none" if config == NO_CONFIG else str(config.absolute())]
    argv += ["-l", user] if user else []
    argv += ["-p", port] if port else []
    try:
        # 'Match exec' runs with the user's environment.
        output = run([*argv, "--", host], timeout_s=_TIMEOUT_S, env=dict(os.environ))
    except ToolError as e:
        problem = " ".join(line for line in e.output_tail.splitlines() if "Pseudo-" not in line)
        raise InputError(
            f"ssh config for {host}: ssh does not accept it: {problem or e}",
            hint=f"'{shlex.join([*argv, host])}' shows the same error; "
            "'--ssh-config none' reads no file",
        ) from e
    return parse_ssh_settings(output.stdout)


@cache
def default_host_key_algorithms() -> tuple[str, ...]:
    """OpenSSH's own list of host key algorithms, in its order; empty without ``ssh``."""
    values = read_ssh_settings("localhost", "", "", NO_CONFIG) or {}
    return tuple(a for text in values.get("hostkeyalgorithms", ()) for a in text.split(","))
