"""Verify OpenPGP signatures with gpgv, against one key and its pinned fingerprint.

Signature and key are untrusted: gpgv gets copies of bounded size in a folder of its own, and no
keyring of the user is read.
"""

import base64
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError, ToolError, TrustError
from hardpan.core.files import read_limited
from hardpan.core.limited_process import ProcessLimits, run_limited

MAX_SIGNED_BYTES = 4 << 20
"""The largest signed text: repomd.xml and CHECKSUM have some KiB."""

_MAX_KEY_BYTES = 1 << 20
_LIMITS = ProcessLimits(max_cpu_s=30, max_file_bytes=16 << 20, max_memory_bytes=1 << 30)
_TIMEOUT_S = 60
_CLEARTEXT = b"-----BEGIN PGP SIGNED MESSAGE-----"
_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_END = "-----END PGP PUBLIC KEY BLOCK-----"
_CRC = re.compile(r"=[A-Za-z0-9+/]{4}", re.ASCII)
_HINT = "install it: apt install gpgv | dnf install gnupg2"
_STATUS = "[GNUPG:] "
_PRIMARY_FIELD = 10
"""Index of the primary key's fingerprint among the words of VALIDSIG (GnuPG's doc/DETAILS)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedText:
    """Text whose signature is valid."""

    data: bytes
    """Of a cleartext signature only what it covers."""

    fingerprint: str
    """Fingerprint of the primary key, 40 or 64 upper-case hex digits."""


def is_cleartext(data: bytes) -> bool:
    """Return whether the signature is in the text itself."""
    return data.startswith(_CLEARTEXT)


def verify_signature(
    path: Path, *, signature: Path | None, key: Path, fingerprint: str | None
) -> VerifiedText:
    """Verify the signature of a file and return what it covers.

    ``signature`` is None for a cleartext signature. ``key`` has OpenPGP public keys, in ASCII armor
    or binary. ``fingerprint`` is that of the expected primary key; None accepts every key of
    ``key``.

    Raises:
        InputError: a file cannot be read, is too long, or ``key`` has no key.
        TrustError: the signature is missing, invalid, expired, or of another key.
        ToolError: gpgv is not installed or failed.
    """
    data = read_limited(path, MAX_SIGNED_BYTES)
    with tempfile.TemporaryDirectory(prefix="hardpan-gpgv-") as name:
        folder = Path(name)
        (folder / "keyring").write_bytes(read_keys(key))
        (folder / "signed").write_bytes(data)
        argv: list[str | Path] = ["gpgv", "--status-fd", "1", "--logger-fd", "1"]
        argv += ["--homedir", folder, "--keyring", folder / "keyring"]
        if signature is None:
            argv += ["--output", folder / "covered", folder / "signed"]
        else:
            (folder / "signature").write_bytes(read_limited(signature, MAX_SIGNED_BYTES))
            argv += [folder / "signature", folder / "signed"]
        status = _run_gpgv(argv)
        signer = _valid_signer(status, path, fingerprint)
        covered = data if signature is not None else (folder / "covered").read_bytes()
    return VerifiedText(data=covered, fingerprint=signer)


def _run_gpgv(argv: list[str | Path]) -> list[list[str]]:
    """Return the words of each status line, whatever the result of the verification."""
    try:
        output = run_limited(argv, limits=_LIMITS, timeout_s=_TIMEOUT_S, hint=_HINT).stdout
    except ToolError as e:
        if "is not installed" in str(e):
            raise
        output = e.output_tail
    lines = [line for line in output.splitlines() if line.startswith(_STATUS)]
    return [line.removeprefix(_STATUS).split() for line in lines]


def _valid_signer(status: list[list[str]], path: Path, expected: str | None) -> str:
    """Return the fingerprint of the primary key that made the valid signature."""
    keywords = {fields[0] for fields in status if fields}
    signers = [
        fields[_PRIMARY_FIELD]
        for fields in status
        if fields[:1] == ["VALIDSIG"] and len(fields) > _PRIMARY_FIELD
    ]
    if "GOODSIG" in keywords and len(signers) == 1:
        if expected is None or signers[0] == expected:
            return signers[0]
        raise TrustError(f"{path}: expected a signature of the key {expected}, got {signers[0]}")
    if "BADSIG" in keywords:
        raise TrustError(
            f"{path}: its signature is invalid: the file or the signature was changed",
            hint="download both again, from the distributor",
        )
    if "NO_PUBKEY" in keywords:
        key_id = next(fields[1] for fields in status if fields[0] == "NO_PUBKEY")
        raise TrustError(
            f"{path}: expected a signature of the key {expected or 'given'},"
            f" got one of {key_id[:40]!a}"
        )
    details = ", ".join(sorted(keywords)) or "nothing"
    raise TrustError(f"{path}: expected one valid signature, gpgv reports {details[:200]!a}")


def read_keys(path: Path) -> bytes:
    """Return the keys of a file in binary form, which every gpgv reads.

    Raises:
        InputError: it cannot be read, is too long, or has no key.
    """
    data = read_limited(path, _MAX_KEY_BYTES)
    if data[:1] and data[0] & 0x80:  # RFC 9580, 4.2: bit 7 of each packet's first octet is set.
        return data
    text = data.decode("ascii", "replace").replace("\r\n", "\n")
    keys = b"".join(_decode_armor(block, path) for block in _find_armor(text))
    if not keys:
        raise InputError(f"{path}: expected an OpenPGP public key, got none")
    return keys


def _find_armor(text: str) -> Iterator[str]:
    """Yield what is between the first and the last line of each armored key."""
    start = text.find(_BEGIN)
    while start >= 0:
        end = text.find(_END, start)
        if end < 0:
            return
        yield text[start + len(_BEGIN) : end].partition("\n")[2]
        start = text.find(_BEGIN, end)


def _decode_armor(block: str, path: Path) -> bytes:
    """Return the bytes of an armored block: headers, blank line, Base64, CRC (RFC 9580, 6.2)."""
    _, _, body = ("\n" + block).partition("\n\n")
    lines = [line.strip() for line in body.splitlines()]
    text = "".join(line for line in lines if not _CRC.fullmatch(line))
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as e:  # binascii.Error, and characters outside of ASCII
        raise InputError(f"{path}: its ASCII armor is damaged: expected Base64") from e
