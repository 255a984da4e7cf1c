"""``openssl:FILE``: the system's openssl signs, and with it the host's FIPS module.

pip's ``cryptography`` brings an OpenSSL of its own, which is not the host's
validated module whatever the kernel's flag says. The private key is never read
into this process.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from hardpan.errors import InputError
from hardpan.process import Argv
from hardpan.secret_files import read_secret
from hardpan.signing.programs import Program, made, room
from hardpan.signing.public import PublicKey, parse_public
from hardpan.signing.unlock import Unlock

SCHEME = "openssl:"
_ENV = ("OPENSSL_CONF", "OPENSSL_MODULES")
_REFUSALS = ("maybe wrong password", "bad decrypt", "unable to get passphrase")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpensslSigner:
    """A key file that the system's ``openssl`` uses."""

    public: PublicKey
    path: Path
    unlock: Unlock

    def sign(self, message: bytes) -> bytes:
        """DER for ECDSA; ML-DSA needs OpenSSL 3.5."""
        secret = _secret(self.path, self.unlock)
        with room(message=message) as folder:
            key = ["-inkey" if self.public.algorithm.post_quantum else "-sign", self.path]
            how: list[str | Path] = ["openssl", "dgst", "-sha256", *key]
            last: list[str | Path] = [folder / "message"]
            if self.public.algorithm.post_quantum:
                how = ["openssl", "pkeyutl", "-sign", "-rawin", *key]
                last = ["-in", folder / "message"]
            argv: Argv = [*how, *_passin(secret), "-out", folder / "signature", *last]
            _program(self.path).run(argv, secret=secret)
            return made(folder / "signature", self.public, message, by=f"{SCHEME}{self.path}")


def load(ref: str, unlock: Unlock) -> OpensslSigner:
    """The signer of ``openssl:FILE``.

    Raises:
        InputError: others can read the file, its passphrase is missing or
            wrong, or its key is not of a kind that is taken.
        ToolError: openssl is missing or cannot read the file.
    """
    path = Path(ref.removeprefix(SCHEME)).absolute()
    secret = _secret(path, unlock)
    argv: Argv = ["openssl", "pkey", "-in", path, *_passin(secret), "-pubout"]
    told = _program(path).run(argv, secret=secret)
    public = parse_public(told.stdout.encode(), what=f"{SCHEME}{path}")
    return OpensslSigner(public=public, path=path, unlock=unlock)


def _secret(path: Path, unlock: Unlock) -> bytes | None:
    # The mode is checked, and whether it is locked; what is read here is dropped at once.
    locked = b"ENCRYPTED" in read_secret(path)[:256]
    if not locked:
        if unlock.given:
            raise InputError(f"{path}: has no passphrase, but one was given")
        return None
    secret = unlock.secret(f"passphrase of {path}")
    if secret is None:
        raise InputError(
            f"{path}: needs a passphrase", hint="--passphrase-file FILE or --passphrase-env NAME"
        )
    return secret


def _passin(secret: bytes | None) -> list[str]:
    return [] if secret is None else ["-passin", "stdin"]


def _program(path: Path) -> Program:
    return Program(
        what=f"{SCHEME}{path}",
        env={name: os.environ[name] for name in _ENV if name in os.environ},
        refusals=_REFUSALS,
        hint="'openssl pkey -in FILE -noout' says whether openssl can use the key",
    )
