"""How cryptographic libraries are recognised inside of ELF files.

Texts begin with plain letters, have no open end and cannot backtrack far: they are searched in
gigabytes of hostile bytes. ``seen`` says whether the row was tried on a real file.
"""

import re
from dataclasses import dataclass

AS_OF = "2026-11-21"
"""When the rows were last held against the libraries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What gives one library away."""

    library: str
    """Its name."""

    seen: str
    """The real file it was tried on; ``unverified`` when it was written from documents alone."""

    texts: tuple[re.Pattern[bytes], ...] = ()
    """Bytes anywhere in the file; the group ``v`` is the version."""

    needs: re.Pattern[bytes] | None = None
    """Bytes that have to be there too, or the texts prove nothing."""

    symbols: tuple[bytes, ...] = ()
    """Names that only the library itself defines, not one that calls it."""

    families: tuple[re.Pattern[bytes], ...] = ()
    """Likewise by pattern, with the version in the group ``v``."""

    soname: re.Pattern[str] | None = None
    """Its shared library's name, with the hash that auditwheel adds."""


def _bytes(*patterns: bytes) -> tuple[re.Pattern[bytes], ...]:
    return tuple(re.compile(p) for p in patterns)


def _soname(names: str) -> re.Pattern[str]:
    return re.compile(
        rf"lib(?:{names})(?:(?:-\w{{1,20}})?-[0-9a-f]{{8}})?(?:[-.][0-9.]{{1,16}})?\.so(?:\.[\w.]*)?"
    )


_DATE = rb" {1,2}\d{1,2} [A-Z][a-z]{2} \d{4}"

SIGNATURES = (
    Signature(
        library="OpenSSL",
        seen="cryptography 50.0.2 (OpenSSL 4.0.3), Debian's libcrypto.a 3.0",
        texts=_bytes(
            rb"OpenSSL (?P<v>\d{1,2}\.\d{1,2}\.\d{1,3}[a-z]{0,2}(?:-[a-z0-9.]{1,16})?)"
            rb"(?:\+quic)?" + _DATE,
            # What is left when nobody asks for the version and the symbols are stripped.
            rb"crypto/provider_core\.c\0",
            rb"crypto/engine/eng_lib\.c\0",
        ),
        symbols=(b"OSSL_PROVIDER_load", b"OSSL_LIB_CTX_new", b"OPENSSL_LH_new"),
        soname=_soname("crypto|ssl"),
    ),
    Signature(
        library="LibreSSL",
        seen="unverified",
        texts=_bytes(rb"LibreSSL (?P<v>\d\.\d{1,2}\.\d{1,2})\0"),
    ),
    Signature(
        library="AWS-LC",
        seen="rustup with aws-lc-rs 1.16.1, hf_xet 1.6.0",
        texts=_bytes(
            rb"OpenSSL \d\.\d\.\d \(compatible; AWS-LC (?:FIPS )?(?P<v>[\d.]{1,16})\)",
            rb"/aws-lc-(?:fips-)?sys-(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3})/",
            rb"/aws-lc/crypto/",
        ),
        symbols=(b"awslc_version_string", b"awslc_api_version_num"),
        families=_bytes(rb"aws_lc_(?:fips_)?(?P<v>\d{1,3}_\d{1,3}_\d{1,3})_\w{1,80}\0"),
    ),
    Signature(
        library="BoringSSL",
        seen="grpcio 1.84.0, curl_cffi 0.16.3",
        texts=_bytes(
            rb"OpenSSL \d\.\d\.\d \(compatible; BoringSSL\)",
            rb"boringssl(?:-with-bazel)?/(?:src/)?(?:crypto|ssl)/",
            rb"boring-sys-(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3})/",
        ),
        symbols=(b"BORINGSSL_self_test", b"EVP_AEAD_CTX_new", b"CRYPTO_BUFFER_new"),
    ),
    Signature(
        library="ring",
        seen="maturin 1.15.0 (ring 0.17.14)",
        texts=_bytes(rb"/ring-(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3})/src/"),
        families=_bytes(rb"ring_core_(?P<v>\d{1,3}_\d{1,3}_\d{1,3})_\w{1,80}\0"),
    ),
    Signature(
        library="rustls",
        seen="hf_xet 1.6.0 (rustls 0.23.37)",
        texts=_bytes(rb"/rustls-(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3})/src/"),
    ),
    Signature(
        library="libsodium",
        seen="PyNaCl 1.6.2, Debian's libsodium 1.0.18",
        texts=_bytes(
            rb"LibsodiumDRG\0",
            rb"libsodium/crypto_generichash/",
            rb"curve25519xsalsa20poly1305\0",
        ),
        symbols=(b"sodium_init", b"sodium_version_string"),
        soname=_soname("sodium"),
    ),
    Signature(
        library="mbedTLS",
        seen="unverified",
        texts=_bytes(
            rb"Mbed TLS (?P<v>\d\.\d{1,2}\.\d{1,2})\0", rb"mbed TLS (?P<v>\d\.\d{1,2}\.\d{1,2})\0"
        ),
        symbols=(b"mbedtls_ssl_handshake", b"mbedtls_md_setup", b"mbedtls_aes_crypt_ecb"),
        soname=_soname("mbedcrypto|mbedtls|mbedx509|tfpsacrypto"),
    ),
    Signature(
        library="wolfSSL",
        seen="unverified",
        texts=_bytes(rb"wolfSSL (?P<v>\d\.\d{1,2}\.\d{1,2})\0"),
        symbols=(b"wolfSSL_Init", b"wolfSSL_CTX_new", b"wolfCrypt_Init"),
        soname=_soname("wolfssl"),
    ),
    Signature(
        library="NSS",
        seen="Debian's libnss3 3.87.1",
        texts=_bytes(rb"Version: NSS (?P<v>\d\.\d{1,3}(?:\.\d{1,2})?)(?: Basic ECC)?[ \0]"),
        symbols=(b"NSS_NoDB_Init", b"FREEBL_GetVector", b"NSC_GetFunctionList"),
        soname=_soname("nss3|nssutil3|smime3|ssl3|freebl3|freeblpriv3|softokn3"),
    ),
    Signature(
        library="Libgcrypt",
        seen="Debian's libgcrypt 1.10.1",
        texts=_bytes(rb"This is Libgcrypt (?P<v>\d\.\d{1,2}\.\d{1,2})[^\d.]"),
        symbols=(b"gcry_check_version", b"_gcry_check_version"),
        soname=_soname("gcrypt"),
    ),
    Signature(
        library="GnuTLS",
        seen="Debian's libgnutls 3.7.9",
        texts=_bytes(rb"Enabled GnuTLS (?P<v>\d\.\d{1,2}\.\d{1,2})[^\d.]"),
        symbols=(b"gnutls_global_init",),
        soname=_soname("gnutls"),
    ),
    Signature(
        library="Nettle",
        seen="Debian's libnettle 3.8",
        symbols=(b"nettle_sha256_init", b"nettle_aes128_set_encrypt_key"),
        soname=_soname("nettle|hogweed"),
    ),
    Signature(
        library="Go crypto",
        seen="cosign 2.5 (Go 1.24.4)",
        texts=(re.compile(rb"\xff Go buildinf:[\x00-\xff]{19}(?P<v>go1\.\d{1,2}(?:\.\d{1,2})?)"),),
        needs=re.compile(rb"crypto/(?:tls|aes|rsa|ecdsa|internal)[./]"),
    ),
)
