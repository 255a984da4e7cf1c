"""The signers: one protocol for keys in files, tokens and TPMs.

============================  ==============================================
``FILE``                      PKCS#8 PEM, by pip's ``cryptography``
``openssl:FILE``              a key file, by the system's openssl
``pkcs11:token=…;object=…``   a key in a token or HSM, by pkcs11-tool
``tpm:0x81…``                 a key in this machine's TPM 2.0, by tpm2-tools
============================  ==============================================
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from hardpan.core.errors import InputError
from hardpan.signing import openssl, pkcs11, tpm
from hardpan.signing.algorithms import DEFAULT_ALGORITHM
from hardpan.signing.passphrase import PassphraseSource
from hardpan.signing.pem import PemSigner, create_signer, load_pem_signer
from hardpan.signing.public_key import PublicKey, load_public_key, parse_public_key

__all__ = [
    "DEFAULT_ALGORITHM",
    "PassphraseSource",
    "PemSigner",
    "PublicKey",
    "Signer",
    "create_signer",
    "load_pq_signer",
    "load_public_key",
    "load_public_ref",
    "load_signer",
    "parse_public_key",
]


_PROBE_MESSAGE = b"hardpan asks whether this key can sign; this is no statement"
"""What a program's key signs when it is loaded. No pre-authentication encoding begins so."""


class Signer(Protocol):
    """Something that signs with one key."""

    @property
    def public(self) -> PublicKey:
        """Its public half, which also says the algorithm."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature over ``message``, already confirmed by ``public``.

        Raises:
            InputError: the passphrase or PIN is missing or wrong.
            ToolError: the program that holds the key failed.
            TrustError: ``public`` does not confirm the signature.
        """
        ...


LOADERS_BY_SCHEME: dict[str, Callable[[str, PassphraseSource], Signer]] = {
    openssl.SCHEME: openssl.load,
    pkcs11.SCHEME: pkcs11.load,
    tpm.SCHEME: tpm.load,
}
"""How a reference begins -> what loads it. Anything else is the path of a PEM file."""


def load_signer(
    ref: str | Path,
    *,
    passphrase_file: Path | None = None,
    passphrase_source: PassphraseSource | None = None,
) -> Signer:
    """The signer that ``ref`` names: one for the classical envelope.

    Raises:
        UsageError, InputError, ToolError: the key cannot be used; see its kind.
    """
    signer = _load_any_signer(ref, passphrase_source or PassphraseSource(file=passphrase_file))
    if signer.public.algorithm.is_post_quantum:
        raise InputError(
            f"{ref}: {signer.public.alg} signs the second envelope only; "
            "expected an ECDSA P-256 or RSA key",
            hint="pass it as --pq-key, together with a classical --key",
        )
    return signer


def load_pq_signer(ref: str | Path, *, passphrase_source: PassphraseSource | None = None) -> Signer:
    """The signer that ``ref`` names: one for the second, post-quantum envelope.

    Raises:
        UsageError, InputError, ToolError: the key cannot be used; see its kind.
    """
    signer = _load_any_signer(ref, passphrase_source or PassphraseSource())
    if not signer.public.algorithm.is_post_quantum:
        raise InputError(
            f"{ref}: expected an ML-DSA-65 or ML-DSA-87 key, got {signer.public.alg}",
            hint="'hardpan keys new --alg ml-dsa-65 FOLDER' makes one",
        )
    return signer


def load_public_ref(
    ref: str | Path, *, passphrase_source: PassphraseSource | None = None
) -> PublicKey:
    """The public key of a ``*.pub`` file, or of a key that a program holds.

    Raises:
        UsageError, InputError, ToolError: it cannot be read.
    """
    scheme = _find_scheme(ref)
    if scheme is None:
        return load_public_key(Path(ref))
    return LOADERS_BY_SCHEME[scheme](str(ref), passphrase_source or PassphraseSource()).public


def _load_any_signer(ref: str | Path, passphrase_source: PassphraseSource) -> Signer:
    scheme = _find_scheme(ref)
    if scheme is None:
        return load_pem_signer(Path(ref), passphrase_source)
    signer = LOADERS_BY_SCHEME[scheme](str(ref), passphrase_source)
    # A wrong PIN is to be known before a scan of minutes, not after it.
    signer.sign(_PROBE_MESSAGE)
    return signer


def _find_scheme(ref: str | Path) -> str | None:
    """A ``Path`` is always a file, whatever its name begins with."""
    if isinstance(ref, Path):
        return None
    return next((s for s in LOADERS_BY_SCHEME if ref.startswith(s)), None)
