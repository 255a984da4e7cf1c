"""Keys, envelopes and bundles: how hardpan signs, and how it reads what was signed.

One path, whole: ECDSA P-256 with SHA-256 (or RSA, for old HSMs) over the DSSE
pre-authentication encoding of an in-toto statement, in a Sigstore bundle v0.3. It
is the one choice that cosign, OpenSSL's command line, PKCS#11, TPM 2.0 and FIPS
modules all take. ML-DSA signs the same bytes in a second file, since cosign takes
neither ML-DSA nor two signatures in one.

The build signs its provenance and the scan its evidence with the same code.
"""

from hardpan.signing.algorithms import ALG, ALGORITHMS
from hardpan.signing.certificate import check_certificate, detached
from hardpan.signing.cms import check_detached_cms
from hardpan.signing.envelope import (
    PAYLOAD_TYPE,
    Envelope,
    Signed,
    pae,
    read_bundle,
    read_dsse,
    sign,
    sign_dsse,
)
from hardpan.signing.keys import (
    PublicKey,
    Signer,
    Unlock,
    load_pq_signer,
    load_public,
    load_signer,
    new_signer,
    parse_public,
    public_of_ref,
)
from hardpan.signing.ml_dsa_form import check_ml_dsa_form
from hardpan.signing.sshsig import check_sshsig
from hardpan.signing.strict import MalformedError, parse_json
from hardpan.signing.timestamp import (
    Authority,
    ask,
    authority,
    check_address,
    trusted_time,
    with_timestamp,
)
from hardpan.signing.timestamp_token import read_token

__all__ = [
    "ALG",
    "ALGORITHMS",
    "PAYLOAD_TYPE",
    "Authority",
    "Envelope",
    "MalformedError",
    "PublicKey",
    "Signed",
    "Signer",
    "Unlock",
    "ask",
    "authority",
    "check_address",
    "check_certificate",
    "check_detached_cms",
    "check_ml_dsa_form",
    "check_sshsig",
    "detached",
    "load_pq_signer",
    "load_public",
    "load_signer",
    "new_signer",
    "pae",
    "parse_json",
    "parse_public",
    "public_of_ref",
    "read_bundle",
    "read_dsse",
    "read_token",
    "sign",
    "sign_dsse",
    "trusted_time",
    "with_timestamp",
]
