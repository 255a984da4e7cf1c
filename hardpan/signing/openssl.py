"""``openssl:FILE``: the system's openssl signs, and with it the host's FIPS module.

pip's ``cryptography`` brings an OpenSSL of its own, which is not the host's
validated module whatever the kernel's flag says. The private key is never read
into this process.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.process import Argv
from hardpan.core.secret_files import read_secret
from hardpan.signing.external_tool import KeyTool, read_signature, temp_dir_with
from hardpan.signing.passphrase import PassphraseSource
from hardpan.signing.public_key import PublicKey, parse_public_key

SCHEME = "openssl:"
_PASSED_ENVIRONMENT = ("OPENSSL_CONF", "OPENSSL_MODULES")
_REFUSAL_MESSAGES = ("maybe wrong password", "bad decrypt", "unable to get passphrase")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpensslSigner:
    """A key file that the system's ``openssl`` uses."""

    public: PublicKey
    path: Path
    passphrase_source: PassphraseSource

    def sign(self, message: bytes) -> bytes:
        """DER for ECDSA; ML-DSA needs OpenSSL 3.5."""
        secret = _read_passphrase(self.path, self.passphrase_source)
        with temp_dir_with(message=message) as folder:
            key = ["-inkey" if self.public.algorithm.is_post_quantum else "-sign", self.path]
            command: list[str | Path] = ["openssl", "dgst", "-sha256", *key]
            message_args: list[str | Path] = [folder / "message"]
            if self.public.algorithm.is_post_quantum:
                command = ["openssl", "pkeyutl", "-sign", "-rawin", *key]
                message_args = ["-in", folder / "message"]
            argv: Argv = [
                *command,
                *_build_passin_args(secret),
                "-out",
                folder / "signature",
                *message_args,
            ]
            _build_key_tool(self.path).run(argv, secret=secret)
            return read_signature(
                folder / "signature", self.public, message, label=f"{SCHEME}{self.path}"
            )


def load(ref: str, passphrase_source: PassphraseSource) -> OpensslSigner:
    """The signer of ``openssl:FILE``.

    Raises:
        InputError: others can read the file, its passphrase is missing or
            wrong, or its key is not of a kind that is taken.
        ToolError: openssl is missing or cannot read the file.
    """
    path = Path(ref.removeprefix(SCHEME)).absolute()
    secret = _read_passphrase(path, passphrase_source)
    argv: Argv = ["openssl", "pkey", "-in", path, *_build_passin_args(secret), "-pubout"]
    completed = _build_key_tool(path).run(argv, secret=secret)
    public = parse_public_key(completed.stdout.encode(), label=f"{SCHEME}{path}")
    return OpensslSigner(public=public, path=path, passphrase_source=passphrase_source)


def _read_passphrase(path: Path, passphrase_source: PassphraseSource) -> bytes | None:
    # The mode is checked, and whether it is locked; what is read here is dropped at once.
    is_encrypted = b"ENCRYPTED" in read_secret(path)[:256]
    if not is_encrypted:
        if passphrase_source.is_configured:
            raise InputError(f"{path}: has no passphrase, but one was given")
        return None
    secret = passphrase_source.read(f"passphrase of {path}")
    if secret is None:
        raise InputError(
            f"{path}: needs a passphrase", hint="--passphrase-file FILE or --passphrase-env NAME"
        )
    return secret


def _build_passin_args(secret: bytes | None) -> list[str]:
    return [] if secret is None else ["-passin", "stdin"]


def _build_key_tool(path: Path) -> KeyTool:
    return KeyTool(
        label=f"{SCHEME}{path}",
        env={name: os.environ[name] for name in _PASSED_ENVIRONMENT if name in os.environ},
        refusal_messages=_REFUSAL_MESSAGES,
        hint="'openssl pkey -in FILE -noout' says whether openssl can use the key",
    )
