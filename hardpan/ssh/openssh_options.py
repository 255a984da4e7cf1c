"""Command lines of the system's ``ssh``: a master connection, and sessions over it. No I/O.

Source: ssh(1), ssh_config(5). Options on the command line override every configuration file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.ssh.openssh_config import NO_CONFIG
from hardpan.ssh.target import Target

PINNED_NAME = "hardpan-target"
"""Name of the host in the known_hosts file of pinned keys (``HostKeyAlias``)."""

_KEEPALIVE_S = 15
_MAX_MISSED_KEEPALIVES = 8

_NOTHING_BUT_COMMANDS = (
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "GSSAPIDelegateCredentials=no",
    "AddKeysToAgent=no",
    "Tunnel=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
)
"""A target gets neither credentials nor a way into this machine, whatever the configuration."""

_STRICT_HOST_KEY = (
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "NoHostAuthenticationForLocalhost=no",
    "FingerprintHash=sha256",
)

_SESSION = (
    "ControlMaster=no",
    "ProxyCommand=false",
    "BatchMode=yes",
    "LogLevel=DEBUG2",
    "EscapeChar=none",
)

_OPTIONS_BY_VERSION = (((8, 7), "ForkAfterAuthentication=no"),)
_KNOWN_HOSTS_COMMAND = ((8, 5), "KnownHostsCommand=none")

Version = tuple[int, int]
"""Major and minor version of OpenSSH; an older ssh rejects options that it does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateFiles:
    """The files of one connection, in a private folder."""

    folder: Path

    @property
    def control_socket(self) -> Path:
        """The socket of the master connection (``ControlPath``)."""
        return self.folder / "s"

    @property
    def log(self) -> Path:
        """The master's own log."""
        return self.folder / "log"

    @property
    def output(self) -> Path:
        """The master's stdout and stderr: text of the server, such as a banner."""
        return self.folder / "output"

    @property
    def known_hosts(self) -> Path:
        """The pinned keys, or a key that was accepted on first use."""
        return self.folder / "known_hosts"

    def session_log(self, number: int) -> Path:
        """The log of one session's ssh."""
        return self.folder / f"session-{number}"


def build_master_argv(
    target: Target, files: PrivateFiles, *, version: Version, timeout_s: float
) -> list[str]:
    """Build the argv of the master connection, which runs in the foreground without a command.

    A ``ConnectTimeout`` of the configuration applies instead of ``timeout_s``.
    """
    connect_timeout_s = target.settings.connect_timeout_s or timeout_s
    options = [
        "BatchMode=yes",
        "LogLevel=DEBUG1",
        "ControlMaster=yes",
        "ControlPersist=no",
        f"ConnectTimeout={max(1, round(connect_timeout_s))}",
        f"ServerAliveInterval={_KEEPALIVE_S}",
        f"ServerAliveCountMax={_MAX_MISSED_KEEPALIVES}",
        *_NOTHING_BUT_COMMANDS,
        *_STRICT_HOST_KEY,
        *(option for since, option in _OPTIONS_BY_VERSION if version >= since),
        *_build_host_key_options(target, files, version),
    ]
    argv = ["ssh", *_build_config_options(target), "-N", "-T"]
    argv += ["-E", str(files.log), "-S", escape_tokens(str(files.control_socket))]
    argv += [argument for option in options for argument in ("-o", option)]
    if target.identity is not None:
        argv += ["-i", escape_tokens(str(target.identity)), "-o", "IdentitiesOnly=yes"]
    return [*argv, *_build_destination(target)]


def build_session_argv(
    target: Target, files: PrivateFiles, number: int, command_line: str, *, has_terminal: bool
) -> list[str]:
    """Build the argv of one command over the master connection.

    If the master is gone, ssh would open a connection of its own, with a host key that nobody
    recorded: its proxy command prevents that. With a terminal ssh would take ``~.`` at the start of
    a line of stdin as the order to disconnect.
    """
    argv = ["ssh", "-F", "none", "-tt" if has_terminal else "-T"]
    argv += ["-E", str(files.session_log(number))]
    argv += ["-S", escape_tokens(str(files.control_socket))]
    argv += [argument for option in _SESSION for argument in ("-o", option)]
    return [*argv, "--", target.host, command_line]


def quote_files(paths: Sequence[Path]) -> str:
    """Quote file names for an option with a list of files; none is ``/dev/null``."""
    return " ".join(f'"{escape_tokens(str(path))}"' for path in paths) or "/dev/null"


def escape_tokens(text: str) -> str:
    """Escape the percent signs that ssh would expand."""
    return text.replace("%", "%%")


def _build_host_key_options(target: Target, files: PrivateFiles, version: Version) -> list[str]:
    if target.host_keys:
        no_command = [_KNOWN_HOSTS_COMMAND[1]] if version >= _KNOWN_HOSTS_COMMAND[0] else []
        return [
            "StrictHostKeyChecking=yes",
            f"HostKeyAlias={PINNED_NAME}",
            f"UserKnownHostsFile={quote_files([files.known_hosts])}",
            "GlobalKnownHostsFile=/dev/null",
            "CheckHostIP=no",
            *no_command,
        ]
    if target.trust_new_host_key:
        # ssh adds a new key to the first file.
        return [
            "StrictHostKeyChecking=accept-new",
            "HashKnownHosts=no",
            "CheckHostIP=no",
            f"UserKnownHostsFile={quote_files([files.known_hosts, *target.known_hosts])}",
            "GlobalKnownHostsFile=/dev/null",
        ]
    return [
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={quote_files(target.known_hosts)}",
        "GlobalKnownHostsFile=/dev/null",
    ]


def _build_config_options(target: Target) -> list[str]:
    """Return the configuration that the target was resolved with; none for a guest."""
    if target.typed is None or target.ssh_config == NO_CONFIG:
        return ["-F", "none"]
    return ["-F", str(target.ssh_config.absolute())] if target.ssh_config else []


def _build_destination(target: Target) -> list[str]:
    """Return the host as typed, so that ssh resolves the same settings."""
    if target.typed is None:
        return ["-l", target.user, "-p", str(target.port), "--", target.host]
    argv = ["-l", target.typed.user] if target.typed.user else []
    argv += ["-p", target.typed.port] if target.typed.port else []
    return [*argv, "--", target.typed.host]
