"""The keys to log in with, in the order in which OpenSSH's client tries them. No SSH library.

Source: ssh_config(5), IdentityFile, IdentitiesOnly, CertificateFile; OpenSSH's PROTOCOL.key.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.files import read_limited
from hardpan.ssh.agent import AgentKey
from hardpan.ssh.certificate import parse_certificate
from hardpan.ssh.public_key_blob import (
    WireReader,
    decode_base64,
    is_certificate_type,
    key_type_of,
    parse_public_key,
    plain_type,
    rsa_bits,
)
from hardpan.ssh.target import Target

_MAX_KEY_BYTES = 1 << 20
_OPENSSH_BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----"
_OPENSSH_END = "-----END OPENSSH PRIVATE KEY-----"
_OPENSSH_MAGIC = b"openssh-key-v1\0"
_USER_CERTIFICATE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A key or certificate to offer, and what signs for it."""

    name: str
    """The file or the agent's comment, for messages."""

    offered: bytes = b""
    """Public key or certificate; empty: only loading the private key shows it."""

    agent_key: bytes = b""
    """The key of the agent that signs; empty: the file."""

    file: Path | None = None
    """Private key file that signs."""


@dataclass(frozen=True, slots=True)
class _KeyFile:
    path: Path
    public_key: bytes
    certificate: bytes


def list_identities(
    target: Target, agent_keys: Sequence[AgentKey]
) -> tuple[tuple[Identity, ...], tuple[str, ...]]:
    """Return the keys in order, and the files that are skipped, each with the reason.

    First the certificates of the configuration, then the agent's keys that the configuration
    lists, the agent's other keys (unless IdentitiesOnly), and the other listed files.
    """
    paths = target.settings.identity_files if target.identity is None else (target.identity,)
    has_only_files = target.settings.identities_only or target.identity is not None
    files, skipped = _read_key_files(paths)
    file_blobs = {file.public_key for file in files if file.public_key}
    in_agent = [_from_agent(key) for key in agent_keys if key.blob in file_blobs]
    others = [_from_agent(key) for key in agent_keys if key.blob not in file_blobs]
    agent_blobs = {key.blob for key in agent_keys}
    identities = [
        *_list_certificates(target, files, agent_blobs),
        *in_agent,
        *([] if has_only_files else others),
        *_list_files(target, files, agent_blobs),
    ]
    return tuple(i for i in identities if _is_allowed(target, i.offered)), skipped


def _list_certificates(
    target: Target, files: Sequence[_KeyFile], agent_blobs: set[bytes]
) -> list[Identity]:
    """The certificates of CertificateFile, each with the key that it certifies."""
    identities: list[Identity] = []
    for path in target.settings.certificate_files:
        certificate = _read_public_key(path)
        plain = _find_certified_key(certificate)
        file = next((f for f in files if plain and f.public_key == plain), None)
        if plain and plain in agent_blobs:
            identities.append(Identity(name=str(path), offered=certificate, agent_key=plain))
        elif file is not None:
            identities.append(Identity(name=str(path), offered=certificate, file=file.path))
    return identities


def _list_files(
    target: Target, files: Sequence[_KeyFile], agent_blobs: set[bytes]
) -> list[Identity]:
    """The listed files, each before the certificate next to it; without those of the agent."""
    has_certificate_files = bool(target.settings.certificate_files)
    identities: list[Identity] = []
    for file in files:
        is_in_agent = file.public_key in agent_blobs
        signer = {"agent_key": file.public_key} if is_in_agent else {}
        if not is_in_agent:
            identities.append(
                Identity(name=str(file.path), offered=file.public_key, file=file.path)
            )
        if file.certificate and file.certificate not in agent_blobs and not has_certificate_files:
            identities.append(
                Identity(
                    name=f"{file.path}-cert.pub",
                    offered=file.certificate,
                    file=file.path,
                    agent_key=signer.get("agent_key", b""),
                )
            )
    return identities


def _from_agent(key: AgentKey) -> Identity:
    name = f"{key.comment or key_type_of(key.blob)} (agent)"
    return Identity(name=name, offered=key.blob, agent_key=key.blob)


def _read_key_files(paths: Sequence[Path]) -> tuple[list[_KeyFile], tuple[str, ...]]:
    files: list[_KeyFile] = []
    skipped: list[str] = []
    for path in dict.fromkeys(paths):
        public_key = _read_public_key(path)
        certificate = parse_certificate_file(path.with_name(path.name + "-cert.pub"))
        problem = find_access_problem(path)
        if problem and not public_key:
            skipped += [f"{path} {problem}"] if path.exists() else []
            continue
        if problem:
            skipped.append(f"{path} {problem}")
        files.append(_KeyFile(path, public_key, certificate))
    return files, tuple(skipped)


def find_access_problem(path: Path) -> str:
    """Return why ssh does not use a private key file; empty if it does."""
    try:
        status = path.stat()
        with path.open("rb"):
            pass
    except OSError as e:
        return f"cannot be read ({e.strerror})"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_uid == os.getuid() and status.st_mode & 0o077:
        return f"is accessible to group or others (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def _read_public_key(path: Path) -> bytes:
    """Return the public key of an identity: in the file itself, or next to it in ``.pub``."""
    text = _read_text(path)
    if text.lstrip().startswith(_OPENSSH_BEGIN):
        blob = _read_openssh_public_part(text)
    else:
        blob = parse_public_key(_first_line(text))
    return blob or parse_public_key(_first_line(_read_text(path.with_name(path.name + ".pub"))))


def parse_certificate_file(path: Path) -> bytes:
    """Return the user certificate in a file; empty if it has none."""
    blob = parse_public_key(_first_line(_read_text(path)))
    return blob if _find_certified_key(blob) else b""


def _find_certified_key(certificate: bytes) -> bytes:
    """Return the plain key of a user certificate; empty if it is none."""
    if not is_certificate_type(key_type_of(certificate)):
        return b""
    try:
        parsed = parse_certificate(certificate)
    except ValueError:
        return b""
    return parsed.public_key if parsed.cert_type == _USER_CERTIFICATE else b""


def _read_openssh_public_part(text: str) -> bytes:
    """Return the public key of an OpenSSH private key; it is not encrypted."""
    body = text.lstrip().removeprefix(_OPENSSH_BEGIN).partition(_OPENSSH_END)[0]
    data = decode_base64(body)
    if not data.startswith(_OPENSSH_MAGIC):
        return b""
    reader = WireReader(data[len(_OPENSSH_MAGIC) :])
    try:
        for _ in range(3):  # cipher, key derivation and its options
            reader.bytes()
        return reader.bytes() if reader.number(4) == 1 else b""
    except ValueError:
        return b""


def _read_text(path: Path) -> str:
    try:
        return read_limited(path, _MAX_KEY_BYTES).decode("latin-1") if path.is_file() else ""
    except (InputError, OSError):
        return ""


def _first_line(text: str) -> str:
    lines = (line.strip() for line in text.split("\n"))
    return next((line for line in lines if line and not line.startswith("#")), "")


def _is_allowed(target: Target, offered: bytes) -> bool:
    """Whether PubkeyAcceptedAlgorithms and RequiredRSASize allow a key; unknown ones are tried."""
    allowed = target.settings.user_key_algorithms
    kind = key_type_of(offered)
    if not kind:
        return True
    if 0 < rsa_bits(offered) < target.settings.min_rsa_bits:
        return False
    if not allowed or kind in allowed:
        return True
    is_certificate = is_certificate_type(kind)
    return any(
        plain_type(a) == plain_type(kind) == "ssh-rsa" and is_certificate_type(a) == is_certificate
        for a in allowed
    )
