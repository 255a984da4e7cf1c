"""Sign Linux kernel modules as the kernel's ``scripts/sign-file`` does, with a key on this machine.

A signed module is the module, a detached CMS signature without certificates and attributes, the
12 bytes of ``struct module_signature`` and a magic text (``include/linux/module_signature.h``).
The key's certificate is enrolled as a Machine Owner Key or in the firmware's ``db``.

Certificates take as long to import as all other signing, so they are imported where they are used.
"""

import struct
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hardpan.core import clock
from hardpan.core.errors import InputError
from hardpan.core.files import Sha256, atomic_path, sha256_file

COMMON_NAME = "hardpan kernel modules"
MAGIC = b"~Module signature appended~\n"
_TRAILER = struct.Struct(">BBBBBxxxI")
"""Algorithm, hash, type of the id, lengths of name and id, padding, length of the signature."""

_PKCS7 = 2
"""``PKEY_ID_PKCS7``: what the other fields said before is in the CMS signature."""

_KEY_BITS = 3072
"""What FIPS mode accepts until 2030 and later; the kernel accepts up to 4096."""

_VALIDITY = timedelta(days=10 * 365)
"""The kernel ignores it, some firmware does not."""

_PRIVATE, _CERTIFICATE = "module-signing.key", "module-signing.der"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleKey:
    """A key pair that kernel modules are signed with."""

    folder: Path
    """Readable by its owner only. The private half has no passphrase."""

    certificate: Path
    """The certificate, DER: the form that mokutil and firmware read."""

    sha256: Sha256
    """Digest of the certificate's file."""


def ensure_module_key(folder: Path) -> ModuleKey:
    """Return the key pair in ``folder``; the first call creates it.

    Raises:
        InputError: other users can read the folder, or a file is missing.
    """
    if not folder.is_dir():
        with atomic_path(folder) as temp:
            temp.mkdir(mode=0o700)
            _create_key(temp)
    if folder.stat().st_mode & 0o077:
        raise InputError(
            f"{folder}: expected a folder that only its owner can read", hint="chmod 700"
        )
    certificate = folder / _CERTIFICATE
    for path in (certificate, folder / _PRIVATE):
        if not path.is_file():
            raise InputError(f"{path}: expected the key of kernel modules, got no file")
    return ModuleKey(folder=folder, certificate=certificate, sha256=sha256_file(certificate))


def sign_module(module: bytes, key: ModuleKey) -> bytes:
    """Return ``module`` with a signature; one that it already has is replaced.

    Raises:
        InputError: the key or its certificate cannot be read.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import pkcs7

    try:
        private = load_pem_private_key((key.folder / _PRIVATE).read_bytes(), password=None)
        certificate = x509.load_der_x509_certificate(key.certificate.read_bytes())
    except (OSError, ValueError) as e:
        raise InputError(f"{key.folder}: expected a PEM key and a DER certificate, got {e}") from e
    if not isinstance(private, rsa.RSAPrivateKey):
        raise InputError(f"{key.folder}: expected an RSA key")
    unsigned = strip_signature(module)
    options = pkcs7.PKCS7Options
    signature = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(unsigned)
        .add_signer(certificate, private, hashes.SHA256())
        .sign(
            Encoding.DER,
            [options.DetachedSignature, options.Binary, options.NoAttributes, options.NoCerts],
        )
    )
    return unsigned + signature + _TRAILER.pack(0, 0, _PKCS7, 0, 0, len(signature)) + MAGIC


def strip_signature(module: bytes) -> bytes:
    """Return ``module`` without the signature at its end, if it has one.

    Raises:
        InputError: the signature is longer than the module.
    """
    if not module.endswith(MAGIC):
        return module
    end = len(module) - len(MAGIC) - _TRAILER.size
    *_, name_length, id_length, signature_length = (
        _TRAILER.unpack_from(module, end) if end >= 0 else (0, 0, 0)
    )
    start = end - name_length - id_length - signature_length
    if start < 0:
        raise InputError("kernel module: its signature is longer than the module")
    return module[:start]


def _create_key(folder: Path) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    public, now = private.public_key(), clock.now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(authority, critical=False)
        .sign(private, hashes.SHA256())
    )
    path = folder / _PRIVATE
    path.touch(mode=0o600)
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / _CERTIFICATE).write_bytes(certificate.public_bytes(Encoding.DER))
