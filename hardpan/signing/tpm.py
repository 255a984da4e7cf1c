"""``tpm:0x81…``: a key in this machine's TPM 2.0, through tpm2-tools.

The key is named by its persistent handle. Its authorization value goes to
``tpm2_sign`` by stdin; keys that are bound to a policy session are not for this.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Final

from hardpan.core.errors import InputError, UsageError
from hardpan.core.process import Argv
from hardpan.signing.external_tool import KeyTool, read_signature, temp_dir_with
from hardpan.signing.passphrase import PassphraseSource
from hardpan.signing.public_key import PublicKey, parse_spki

SCHEME = "tpm:"
_HANDLE = re.compile(r"0x81[0-9a-fA-F]{6}")
_PASSED_ENVIRONMENT = ("TPM2TOOLS_TCTI", "TCTI", "TSS2_FAPICONF")
_REFUSAL_MESSAGES = (
    "authorization HMAC check failed",
    "authorization failure without DA implications",
    "DA lockout mode",
)
_SCHEMES: Final = {"ecdsa-p256-sha256": "ecdsa", "rsa-pkcs1v15-sha256": "rsassa"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmSigner:
    """A key behind a persistent handle."""

    public: PublicKey
    handle: str
    passphrase_source: PassphraseSource

    def sign(self, message: bytes) -> bytes:
        """The TPM's signature over the SHA-256 of ``message``, in DER for ECDSA."""
        # No prompt: whether the key has an authorization value cannot be seen from outside.
        secret = (
            self.passphrase_source.read(self.handle)
            if self.passphrase_source.is_configured
            else None
        )
        with temp_dir_with(digest=hashlib.sha256(message).digest()) as folder:
            argv: Argv = [
                *("tpm2_sign", "-Q", "-c", self.handle, "-g", "sha256"),
                *("-s", _SCHEMES[self.public.alg], "-f", "plain", "-d"),
                *(() if secret is None else ("-p", "file:-")),
                *("-o", folder / "signature", folder / "digest"),
            ]
            _build_key_tool(self.handle).run(argv, secret=secret)
            return read_signature(
                folder / "signature", self.public, message, label=f"{SCHEME}{self.handle}"
            )


def load(ref: str, passphrase_source: PassphraseSource) -> TpmSigner:
    """The signer of ``tpm:HANDLE``.

    Raises:
        UsageError: no persistent handle.
        InputError: the key is not of a kind that is taken.
        ToolError: tpm2-tools are missing, there is no TPM, or no such key.
    """
    handle = ref.removeprefix(SCHEME)
    if not _HANDLE.fullmatch(handle):
        raise UsageError(
            f"{ref}: expected a persistent handle, e.g. tpm:0x81010001",
            hint="'tpm2_getcap handles-persistent' lists them",
        )
    with temp_dir_with() as folder:
        argv: Argv = ("tpm2_readpublic", "-Q", "-c", handle, "-f", "der", "-o", folder / "public")
        _build_key_tool(handle).run(argv)
        public = parse_spki((folder / "public").read_bytes(), label=ref)
    if public.alg not in _SCHEMES:
        raise InputError(f"{ref}: a TPM 2.0 does not sign with {public.alg}")
    return TpmSigner(public=public, handle=handle, passphrase_source=passphrase_source)


def _build_key_tool(handle: str) -> KeyTool:
    return KeyTool(
        label=f"{SCHEME}{handle}",
        env={name: os.environ[name] for name in _PASSED_ENVIRONMENT if name in os.environ},
        refusal_messages=_REFUSAL_MESSAGES,
        hint="tpm2-tools reach the TPM as TPM2TOOLS_TCTI says, else by /dev/tpmrm0 "
        "(group tss); 'tpm2_getcap handles-persistent' lists the keys",
    )
