"""Signatures of kernel modules, and the key that they are made with."""

import struct
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from hardpan.core.errors import InputError
from hardpan.signing import kernel_module
from hardpan.signing.kernel_module import MAGIC, ensure_module_key, sign_module, strip_signature

MODULE = b"\x7fELF a module"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "module-key"
    ensure_module_key(path)
    return path


def test_key_is_created_once_and_private(folder: Path) -> None:
    key = ensure_module_key(folder)

    assert ensure_module_key(folder) == key
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "module-signing.key").stat().st_mode & 0o777 == 0o600


def test_certificate_is_for_code_signing_only(folder: Path) -> None:
    certificate = x509.load_der_x509_certificate(ensure_module_key(folder).certificate.read_bytes())

    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CODE_SIGNING]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    key_usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert key_usage.digital_signature
    assert not key_usage.key_cert_sign


def test_signed_module_ends_like_the_kernels(folder: Path) -> None:
    signed = sign_module(MODULE, ensure_module_key(folder))

    assert signed.startswith(MODULE)
    assert signed.endswith(MAGIC)
    fields = struct.unpack(">BBBBBxxxI", signed[: -len(MAGIC)][-12:])
    signature_length = fields[-1]
    assert fields[:-1] == (0, 0, 2, 0, 0)
    assert len(signed) == len(MODULE) + signature_length + 12 + len(MAGIC)
    assert strip_signature(signed) == MODULE


def test_second_signature_replaces_the_first(folder: Path) -> None:
    key = ensure_module_key(folder)
    signed = sign_module(MODULE, key)

    assert sign_module(signed, key) == signed


def test_truncated_signature_is_rejected() -> None:
    with pytest.raises(InputError, match="longer than the module"):
        strip_signature(struct.pack(">BBBBBxxxI", 0, 0, 2, 0, 0, 99) + MAGIC)
    assert strip_signature(MODULE) == MODULE


def test_readable_folder_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "module-key"
    path.mkdir(mode=0o755)

    with pytest.raises(InputError, match="only its owner can read"):
        ensure_module_key(path)


def test_missing_certificate_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "module-key"
    path.mkdir(mode=0o700)

    with pytest.raises(InputError, match=r"module-signing\.der: expected the key"):
        ensure_module_key(path)


def test_unreadable_key_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "module-key"
    path.mkdir(mode=0o700)
    for name in ("module-signing.key", "module-signing.der"):
        (path / name).write_bytes(b"x")

    with pytest.raises(InputError, match="expected a PEM key"):
        sign_module(MODULE, kernel_module.ensure_module_key(path))
