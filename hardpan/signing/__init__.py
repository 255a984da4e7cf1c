"""Keys, DSSE envelopes and Sigstore bundles: signing and verification.

One format: ECDSA P-256 with SHA-256 (or RSA, for old HSMs) over the DSSE
pre-authentication encoding of an in-toto statement, in a Sigstore bundle v0.3. It
is the one choice that cosign, OpenSSL's command line, PKCS#11, TPM 2.0 and FIPS
modules all take. ML-DSA signs the same bytes in a second file, since cosign takes
neither ML-DSA nor two signatures in one.

The build signs its provenance and the scan its evidence with the same code.
"""

from hardpan.signing.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from hardpan.signing.certificate import load_matching_certificate, sign_cms_detached
from hardpan.signing.cms import check_detached_cms
from hardpan.signing.envelope import (
    PAYLOAD_TYPE,
    Envelope,
    SignedStatement,
    pae,
    read_bundle,
    read_dsse,
    sign,
    sign_dsse,
)
from hardpan.signing.keys import (
    PassphraseSource,
    PublicKey,
    Signer,
    create_signer,
    load_pq_signer,
    load_public_key,
    load_public_ref,
    load_signer,
    parse_public_key,
)
from hardpan.signing.ml_dsa_encoding import check_ml_dsa_encoding
from hardpan.signing.sshsig import check_sshsig
from hardpan.signing.strict_json import MalformedError, parse_json
from hardpan.signing.timestamp import (
    TimestampAuthority,
    check_tsa_url,
    embed_timestamp,
    load_tsa,
    request_timestamp,
    verify_timestamp,
)
from hardpan.signing.timestamp_token import read_timestamp_token

__all__ = [
    "ALGORITHMS",
    "DEFAULT_ALGORITHM",
    "PAYLOAD_TYPE",
    "Envelope",
    "MalformedError",
    "PassphraseSource",
    "PublicKey",
    "SignedStatement",
    "Signer",
    "TimestampAuthority",
    "check_detached_cms",
    "check_ml_dsa_encoding",
    "check_sshsig",
    "check_tsa_url",
    "create_signer",
    "embed_timestamp",
    "load_matching_certificate",
    "load_pq_signer",
    "load_public_key",
    "load_public_ref",
    "load_signer",
    "load_tsa",
    "pae",
    "parse_json",
    "parse_public_key",
    "read_bundle",
    "read_dsse",
    "read_timestamp_token",
    "request_timestamp",
    "sign",
    "sign_cms_detached",
    "sign_dsse",
    "verify_timestamp",
]
