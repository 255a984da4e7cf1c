"""The right key with another algorithm."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.tamper.kit import Evidence, build_pae

_KIND = "application/vnd.in-toto+json"


def _hashed(kit, kind):
    def sign(data):
        return kit.scan_signer.secret.sign(build_pae(_KIND, data), ec.ECDSA(kind))

    return Evidence(files=kit.sign_payload(kit.read_statement(), signature=sign))


VARIANTS = {
    "control": lambda kit: _hashed(kit, hashes.SHA256()),
    "SHA-384 by the P-256 key": lambda kit: _hashed(kit, hashes.SHA384()),
    "SHA-1 by the P-256 key": lambda kit: _hashed(kit, hashes.SHA1()),  # noqa: S303
    "the policy names another": lambda kit: Evidence(
        files=kit.valid_files, policy={"keys": kit.policy_keys(alg="rot13")}
    ),
}
