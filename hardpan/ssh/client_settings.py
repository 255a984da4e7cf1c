"""The settings of OpenSSH's client for one host, from the output of ``ssh -G``. Starts nothing.

Source: ssh_config(5). ``ssh -G`` expands tokens in some settings and leaves them in others; those
are expanded here. It prints lists of files without quotes.
"""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.ssh.tokens import Expander, TokenValues, expand_home

_DEFAULT_KEYS = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
_DEFAULT_USER_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_DEFAULT_GLOBAL_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_MAX_TIMEOUT_S = 3600

SettingValues = Mapping[str, tuple[str, ...]]
"""Lower-case keyword -> its values, as ``ssh -G`` prints them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What ssh_config says about one host; every path is complete. Empty: OpenSSH's default."""

    identity_files: tuple[Path, ...] = ()
    certificate_files: tuple[Path, ...] = ()
    identities_only: bool = False
    agent_socket: str = ""
    """Path of the agent's socket; empty: no agent."""

    revoked_host_keys: tuple[Path, ...] = ()
    known_hosts_command: tuple[str, ...] = ()
    """Program and arguments; the tokens of the host key (``%H %I %f %K %t``) are not expanded."""

    host_key_algorithms: tuple[str, ...] = ()
    has_host_key_order: bool = False
    """True if the user chose the order of ``host_key_algorithms``; it is then not changed."""

    ca_algorithms: tuple[str, ...] = ()
    """``CASignatureAlgorithms``."""

    user_key_algorithms: tuple[str, ...] = ()
    """``PubkeyAcceptedAlgorithms``."""

    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    key_exchanges: tuple[str, ...] = ()
    has_compression: bool = False
    address_family: str = "any"
    """``any``, ``inet`` or ``inet6``."""

    bind_address: str = ""
    connect_timeout_s: float | None = None
    connection_attempts: int = 1
    proxy_command: str = ""
    """Shell command whose stdin and stdout are the connection, tokens expanded."""

    authentication_methods: tuple[str, ...] = ("publickey", "keyboard-interactive", "password")
    """Methods that the settings allow and paramiko has, in order of preference."""

    other_methods: tuple[tuple[str, str], ...] = ()
    """Logins that only the system's ssh can try, if the methods above fail.

    Pairs of the method that the server must allow (empty: any) and what it needs.
    """

    unsupported: str = ""
    """What these settings need and paramiko lacks."""

    min_rsa_bits: int = 1024


def parse_ssh_settings(text: str) -> dict[str, tuple[str, ...]]:
    """Parse the output of ``ssh -G``: lower-case setting -> its values."""
    values_by_key: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        values_by_key[key.lower()] = (*values_by_key.get(key.lower(), ()), value.strip())
    return values_by_key


def first_value(values: SettingValues, key: str) -> str:
    """The value of a setting; empty if it is not set or ``none``."""
    value = next(iter(values.get(key, ())), "")
    return "" if value.lower() == "none" else value


def default_values() -> dict[str, tuple[str, ...]]:
    """The settings of OpenSSH without a configuration, for a machine without ``ssh``."""
    return {
        "identityfile": tuple(f"~/.ssh/{name}" for name in _DEFAULT_KEYS),
        "userknownhostsfile": (" ".join(_DEFAULT_USER_FILES),),
        "globalknownhostsfile": (" ".join(_DEFAULT_GLOBAL_FILES),),
    }


def build_settings(
    values: SettingValues,
    tokens: TokenValues,
    default_host_key_algorithms: Callable[[], Sequence[str]] = tuple,
) -> ClientSettings:
    """Build the settings of one host from the values of ``ssh -G``.

    ``default_host_key_algorithms`` returns the list without a configuration, in its order.

    Raises:
        InputError: a value has an unknown token or an environment variable that is not set.
    """
    expand = Expander(tokens)
    host_key_algorithms = _split_list(values, "hostkeyalgorithms")
    timeout_s = _parse_number(first_value(values, "connecttimeout"), 0)
    return ClientSettings(
        identity_files=_expand_paths(values, "identityfile", expand),
        certificate_files=_expand_paths(values, "certificatefile", expand),
        identities_only=_is_set(values, "identitiesonly"),
        agent_socket=_find_agent_socket(values, expand),
        revoked_host_keys=tuple(
            expand.path(name) for name in _split_files(values, "revokedhostkeys")
        ),
        known_hosts_command=_split_known_hosts_command(values, expand),
        host_key_algorithms=host_key_algorithms,
        has_host_key_order=_has_chosen_order(
            host_key_algorithms, default_host_key_algorithms() if host_key_algorithms else ()
        ),
        ca_algorithms=_split_list(values, "casignaturealgorithms"),
        user_key_algorithms=_split_list(values, "pubkeyacceptedalgorithms")
        or _split_list(values, "pubkeyacceptedkeytypes"),
        ciphers=_split_list(values, "ciphers"),
        macs=_split_list(values, "macs"),
        key_exchanges=_split_list(values, "kexalgorithms"),
        has_compression=_is_set(values, "compression"),
        address_family=first_value(values, "addressfamily") or "any",
        bind_address=first_value(values, "bindaddress"),
        connect_timeout_s=min(timeout_s, _MAX_TIMEOUT_S) or None,
        connection_attempts=max(1, _parse_number(first_value(values, "connectionattempts"), 1)),
        proxy_command=expand.tokens(first_value(values, "proxycommand")),
        authentication_methods=_list_methods(values),
        other_methods=_list_other_methods(values),
        unsupported=_find_unsupported(values),
        min_rsa_bits=_parse_number(first_value(values, "requiredrsasize"), 1024),
    )


def list_known_hosts_files(values: SettingValues, tokens: TokenValues) -> tuple[Path, ...]:
    """The user's and the system's known_hosts files, in the order in which ssh reads them."""
    expand = Expander(tokens, is_strict=False)
    names = (
        *_split_files(values, "userknownhostsfile"),
        *_split_files(values, "globalknownhostsfile"),
    )
    return tuple(expand.path(name) for name in names)


def _expand_paths(values: SettingValues, key: str, expand: Expander) -> tuple[Path, ...]:
    return tuple(expand.path(v) for v in values.get(key, ()) if v.lower() != "none")


def _find_agent_socket(values: SettingValues, expand: Expander) -> str:
    setting = next(iter(values.get("identityagent", ())), "SSH_AUTH_SOCK")
    if setting.lower() == "none":
        return ""
    if setting == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK", "")
    if setting.startswith("$") and not setting.startswith("${"):
        return os.environ.get(setting[1:], "")
    return str(expand.path(setting))


def _split_known_hosts_command(values: SettingValues, expand: Expander) -> tuple[str, ...]:
    text = first_value(values, "knownhostscommand")
    try:
        arguments = shlex.split(text)
    except ValueError as e:
        raise InputError(f"ssh config: KnownHostsCommand {text!r}: {e}") from e
    return tuple(expand.environment(expand.tokens(a, later="HIfKt")) for a in arguments)


def _split_files(values: SettingValues, key: str) -> tuple[str, ...]:
    """Split a list of files that ``ssh -G`` printed without quotes.

    A name with blanks is recognized if that file exists; otherwise a new name starts where a part
    looks like the start of a path.
    """
    parts = next(iter(values.get(key, ())), "").split(" ")
    names: list[str] = []
    while parts:
        length = next(
            (n for n in range(len(parts), 0, -1) if _exists(" ".join(parts[:n]))),
            _length_of_missing_name(parts),
        )
        names.append(" ".join(parts[:length]))
        parts = parts[length:]
    return tuple(name for name in names if name and name.lower() != "none")


def _length_of_missing_name(parts: Sequence[str]) -> int:
    for length in range(1, len(parts)):
        if parts[length][:1] in ("/", "~", "$", "%"):
            return length
    return len(parts)


def _exists(name: str) -> bool:
    try:
        return Path(expand_home(name)).exists()
    except (InputError, OSError, ValueError):
        return False


def _split_list(values: SettingValues, key: str) -> tuple[str, ...]:
    return tuple(part for part in first_value(values, key).split(",") if part)


def _is_set(values: SettingValues, key: str) -> bool:
    return first_value(values, key) in ("yes", "true")


def _is_unset(values: SettingValues, key: str) -> bool:
    return first_value(values, key) in ("no", "false")


def _parse_number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() else default


def _has_chosen_order(algorithms: Sequence[str], default: Sequence[str]) -> bool:
    """Return whether ``algorithms`` is neither the default nor the default changed by + or -.

    ``ssh -G`` prints the resulting list only. ``+`` appends to the default; ``-`` removes some of
    it; a short list in the default's order is one that the user wrote out.
    """
    if not algorithms or not default:
        return False
    if tuple(algorithms[: len(default)]) == tuple(default):
        return False
    remaining = [a for a in default if a in algorithms]
    return list(algorithms) != remaining or len(remaining) * 2 < len(default)


def _list_methods(values: SettingValues) -> tuple[str, ...]:
    setting_by_method = {
        "publickey": "pubkeyauthentication",
        "keyboard-interactive": "kbdinteractiveauthentication",
        "password": "passwordauthentication",
    }
    preferred = _split_list(values, "preferredauthentications") or tuple(setting_by_method)
    return tuple(
        m
        for m in preferred
        if m in setting_by_method and not _is_unset(values, setting_by_method[m])
    )


def _list_other_methods(values: SettingValues) -> tuple[tuple[str, str], ...]:
    methods: list[tuple[str, str]] = []
    if _is_set(values, "gssapiauthentication") and _has_kerberos_ticket():
        methods.append(("gssapi-with-mic", "GSSAPI (Kerberos)"))
    if _is_set(values, "hostbasedauthentication"):
        methods.append(("hostbased", "host-based authentication"))
    if provider := first_value(values, "pkcs11provider"):
        methods.append(("publickey", f"the PKCS#11 provider {provider}"))
    control_path = first_value(values, "controlpath")
    if control_path and Path(control_path).is_socket():
        methods.append(("", f"the existing connection of ControlPath {control_path}"))
    return tuple(methods)


def _has_kerberos_ticket() -> bool:
    if os.environ.get("KRB5CCNAME"):
        return True
    return Path(f"/tmp/krb5cc_{os.getuid()}").exists()  # noqa: S108 - Kerberos' default path


def _find_unsupported(values: SettingValues) -> str:
    if _is_set(values, "proxyusefdpass"):
        return "ProxyUseFdpass"
    if interface := first_value(values, "bindinterface"):
        return f"BindInterface {interface}"
    return ""
