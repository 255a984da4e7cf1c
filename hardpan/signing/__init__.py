"""Keys, envelopes and bundles: how hardpan signs, and how it reads what was signed.

One path, whole: ECDSA P-256 with SHA-256 over the DSSE pre-authentication
encoding of an in-toto statement, in a Sigstore bundle v0.3. It is the one choice
that cosign, OpenSSL's command line, PKCS#11, TPM 2.0 and FIPS modules all take.

The build signs its provenance and the scan its evidence with the same code.
"""

from hardpan.signing.envelope import PAYLOAD_TYPE, Envelope, Signed, pae, read_bundle, sign
from hardpan.signing.keys import (
    ALG,
    PublicKey,
    Signer,
    load_public,
    load_signer,
    new_signer,
    parse_public,
)
from hardpan.signing.strict import MalformedError, parse_json

__all__ = [
    "ALG",
    "PAYLOAD_TYPE",
    "Envelope",
    "MalformedError",
    "PublicKey",
    "Signed",
    "Signer",
    "load_public",
    "load_signer",
    "new_signer",
    "pae",
    "parse_json",
    "parse_public",
    "read_bundle",
    "sign",
]
