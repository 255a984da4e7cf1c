"""The right key with another algorithm."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.tamper.kit import Evidence, pae_of

_KIND = "application/vnd.in-toto+json"


def _hashed(w, kind):
    def sign(data):
        return w.scan.secret.sign(pae_of(_KIND, data), ec.ECDSA(kind))

    return Evidence(files=w.signed(w.statement(), signature=sign))


VARIANTS = {
    "twin": lambda w: _hashed(w, hashes.SHA256()),
    "SHA-384 by the P-256 key": lambda w: _hashed(w, hashes.SHA384()),
    "SHA-1 by the P-256 key": lambda w: _hashed(w, hashes.SHA1()),  # noqa: S303
    "the policy names another": lambda w: Evidence(
        files=w.good, policy={"keys": w.keys(alg="rot13")}
    ),
}
