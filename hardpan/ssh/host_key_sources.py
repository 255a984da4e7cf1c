"""Collect what a target's known_hosts files, commands and revocation lists say about host keys."""

import base64
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import HardpanError, InputError, ToolError, TrustError
from hardpan.core.files import read_limited
from hardpan.core.process import find_program, run
from hardpan.ssh.fingerprints import fingerprint
from hardpan.ssh.known_hosts import ListedHostKeys, read_known_hosts, select_host_keys
from hardpan.ssh.public_key_blob import (
    is_certificate_type,
    is_valid_public_key,
    key_type_of,
    parse_public_key,
    plain_type,
)
from hardpan.ssh.target import Target

_COMMAND_TIMEOUT_S = 60
_MAX_REVOKED_BYTES = 64 << 20
_KRL_MAGIC = b"SSHKRL\n\0"


@dataclass(frozen=True, slots=True)
class HostKeySources:
    """The keys that are listed for a name, and the files that could not be read."""

    keys: ListedHostKeys
    unreadable: tuple[str, ...]


def collect_host_keys(
    target: Target, name: str, *, invocation: str, offered: bytes = b""
) -> HostKeySources:
    """Return the keys for ``name`` in the files of the target and from its command.

    ``invocation`` is ``ORDER`` before the connection and ``HOSTNAME`` with the ``offered`` key.
    A file that does not exist or cannot be read is skipped, as ssh does.

    Raises:
        InputError: a file is too large.
        TrustError: the command (KnownHostsCommand) failed, which ends ssh too.
    """
    keys = ListedHostKeys()
    unreadable: list[str] = []
    for path in target.known_hosts:
        try:
            with path.open("rb"):
                pass
        except FileNotFoundError:
            continue
        except OSError as e:
            unreadable.append(f"{path} ({e.strerror})")
            continue
        if path.is_dir():
            unreadable.append(f"{path} (a folder)")
            continue
        keys = keys.merge(read_known_hosts(path, name))
    if target.settings.known_hosts_command:
        lines = _run_known_hosts_command(target, name, invocation, offered)
        keys = keys.merge(select_host_keys(lines, name))
    return HostKeySources(keys, tuple(unreadable))


def _run_known_hosts_command(
    target: Target, name: str, invocation: str, offered: bytes
) -> list[str]:
    program, *arguments = target.settings.known_hosts_command
    if not Path(program).is_absolute() or not Path(program).exists():
        return []
    values = {
        "%%": "%",
        "%H": name,
        "%I": invocation,
        "%t": key_type_of(offered) or "NONE",
        "%f": fingerprint(offered) if offered else "NONE",
        "%K": base64.b64encode(offered).decode() or "NONE",
    }
    argv = [program, *(_expand(argument, values) for argument in arguments)]
    try:
        output = run(argv, timeout_s=_COMMAND_TIMEOUT_S, env=dict(os.environ))
    except ToolError as e:
        raise TrustError(
            f"{target}: KnownHostsCommand failed: {e}: the host key cannot be checked",
            hint=e.output_tail or "run it by hand to see why",
        ) from e
    return output.stdout.split("\n")


def _expand(text: str, values: dict[str, str]) -> str:
    parts: list[str] = []
    position = 0
    while position < len(text):
        pair = text[position : position + 2]
        parts.append(values.get(pair, text[position]))
        position += 2 if pair in values else 1
    return "".join(parts)


def find_revocation(target: Target, blobs: tuple[bytes, ...]) -> str:
    """Return the file of ``RevokedHostKeys`` that lists one of the blobs; empty if none does.

    ``blobs`` are the offered key or certificate, and for a certificate its plain key and the key
    of its authority.

    Raises:
        TrustError: a file cannot be read or checked: ssh then refuses every key.
    """
    for path in target.settings.revoked_host_keys:
        try:
            data = read_limited(path, _MAX_REVOKED_BYTES)
            is_revoked = (
                _is_in_krl(path, blobs) if data.startswith(_KRL_MAGIC) else _is_in_list(data, blobs)
            )
        except (HardpanError, ValueError) as e:
            raise TrustError(
                f"{target}: RevokedHostKeys {path}: cannot be checked, so every host key counts "
                f"as revoked: {e}",
                hint="make the file readable and complete, or remove the setting",
            ) from e
        if is_revoked:
            return str(path)
    return ""


def _is_in_list(data: bytes, blobs: tuple[bytes, ...]) -> bool:
    """Search a plain list of keys; a line that is none makes the whole list unusable."""
    for number, raw_line in enumerate(data.decode("latin-1").split("\n"), 1):
        line = raw_line.partition("\0")[0].lstrip(" \t")  # a C string, as in OpenSSH
        if not line or line.startswith("#"):
            continue
        blob = parse_public_key(line)
        if not is_valid_public_key(key_type_of(blob), blob) and not _is_short_rsa_key(blob):
            raise ValueError(f"line {number} is not a public key")
        if blob in blobs:
            return True
    return False


def _is_short_rsa_key(blob: bytes) -> bool:
    return plain_type(key_type_of(blob)) == "ssh-rsa"


def _is_in_krl(path: Path, blobs: tuple[bytes, ...]) -> bool:
    """Ask ssh-keygen, which reads key revocation lists."""
    if find_program("ssh-keygen") is None:
        raise InputError("a key revocation list can only be read with ssh-keygen")
    with tempfile.TemporaryDirectory(prefix="hardpan-krl-") as folder:
        for index, blob in enumerate(blobs):
            key_file = Path(folder, f"{index}.pub")
            key_file.write_text(f"{key_type_of(blob)} {base64.b64encode(blob).decode()}\n")
            argv = ["ssh-keygen", "-Q", "-f", str(path), str(key_file)]
            result = run(argv, timeout_s=_COMMAND_TIMEOUT_S, ok=(0, 1))
            if "REVOKED" in result.stdout:
                return True
            if result.returncode != 0:
                raise ValueError(result.stderr.strip()[:200])
            if is_certificate_type(key_type_of(blob)):
                return False  # its key and its authority were checked with it
    return False
