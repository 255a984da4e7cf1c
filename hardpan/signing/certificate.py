"""Sign the statement with a detached CMS signature, for verification with openssl.

Its form is read by ``cms``; whether its certificate is to be trusted, ``openssl cms`` alone says:
pyca has no public verifier of chains for it.

Certificates are loaded by few commands and take as long to import as all other
signing, so they are imported where they are used.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hardpan.core.errors import InputError
from hardpan.signing.cms import read_certificate
from hardpan.signing.der import read_der
from hardpan.signing.keys import Signer
from hardpan.signing.pem import PemSigner
from hardpan.signing.strict_json import MalformedError

if TYPE_CHECKING:
    from cryptography import x509

_MAX_BYTES = 64 << 10


def sign_cms_detached(payload: bytes, signer: Signer, certificate: Path) -> bytes:
    """A CMS signature (DER) over ``payload``, with the key's certificate in it.

    Raises:
        InputError: the certificate cannot be read or is another key's, or the
            key is not one in a file.
    """
    from cryptography.hazmat.primitives.serialization import pkcs7

    cert = load_matching_certificate(certificate, signer)
    secret: object = signer.secret if isinstance(signer, PemSigner) else None
    if not isinstance(secret, ec.EllipticCurvePrivateKey):
        raise InputError("a CMS signature needs an EC key in a file")
    options = pkcs7.PKCS7Options
    return (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(payload)
        .add_signer(cert, secret, hashes.SHA256())
        .sign(
            Encoding.DER,
            [options.DetachedSignature, options.Binary, options.NoCapabilities],
        )
    )


def load_matching_certificate(path: Path, signer: Signer) -> "x509.Certificate":
    """Load the certificate in ``path`` and check that it is the signer's, before a long scan.

    Raises:
        InputError: it cannot be read, or is another key's.
    """
    cert = _load_certificate(path)
    spki = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if spki != signer.public.spki:
        raise InputError(f"{path}: is the certificate of another key than the one that signs")
    return cert


def _load_certificate(path: Path) -> "x509.Certificate":
    from cryptography import x509

    try:
        with path.open("rb") as f:
            data = f.read(_MAX_BYTES)
        encoded = x509.load_pem_x509_certificate(data).public_bytes(Encoding.DER)
        # As verifiers read it: none of them is to refuse what a long scan ends with.
        return read_certificate(read_der(encoded, label=str(path), max_bytes=_MAX_BYTES))
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    except (ValueError, MalformedError) as e:
        raise InputError(f"{path}: expected a certificate in PEM") from e
