"""Signatures of cryptographic libraries in ELF files.

Texts begin with plain letters, have no open end and cannot backtrack far: they are searched in
gigabytes of untrusted bytes. ``tested_on`` names the real file that a signature was tested on.
"""

import re
from dataclasses import dataclass

AS_OF = "2026-11-21"
"""Date on which the signatures were last checked against the libraries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Texts, symbols and SONAME that identify one library."""

    library: str
    """Its name."""

    tested_on: str
    """The real file it was tested on; ``unverified`` if written only from documentation."""

    texts: tuple[re.Pattern[bytes], ...] = ()
    """Bytes anywhere in the file; the group ``v`` is the version."""

    required_text: re.Pattern[bytes] | None = None
    """Bytes that must be present as well for ``texts`` to count."""

    symbols: tuple[bytes, ...] = ()
    """Symbols that only the library itself defines, not its callers."""

    symbol_patterns: tuple[re.Pattern[bytes], ...] = ()
    """Patterns of such symbols; the group ``v`` is the version."""

    soname: re.Pattern[str] | None = None
    """Its shared library's name, with the hash that auditwheel adds."""


def _compile_all(*patterns: bytes) -> tuple[re.Pattern[bytes], ...]:
    return tuple(re.compile(p) for p in patterns)


def _soname_pattern(names: str) -> re.Pattern[str]:
    return re.compile(
        rf"lib(?:{names})(?:(?:-\w{{1,20}})?-[0-9a-f]{{8}})?(?:[-.][0-9.]{{1,16}})?\.so(?:\.[\w.]*)?"
    )


_DATE = rb" {1,2}\d{1,2} [A-Z][a-z]{2} \d{4}"

SIGNATURES = (
    Signature(
        library="OpenSSL",
        tested_on="cryptography 50.0.2 (OpenSSL 4.0.3), Debian's libcrypto.a 3.0",
        texts=_compile_all(
            rb"OpenSSL (?P<v>\d{1,2}\.\d{1,2}\.\d{1,3}[a-z]{0,2}(?:-[a-z0-9.]{1,16})?)"
            rb"(?:\+quic)?" + _DATE,
            # Present in stripped builds that do not contain the version text.
            rb"crypto/provider_core\.c\0",
            rb"crypto/engine/eng_lib\.c\0",
        ),
        symbols=(b"OSSL_PROVIDER_load", b"OSSL_LIB_CTX_new", b"OPENSSL_LH_new"),
        soname=_soname_pattern("crypto|ssl"),
    ),
    Signature(
        library="LibreSSL",
        tested_on="unverified",
        texts=_compile_all(rb"LibreSSL (?P<v>\d\.\d{1,2}\.\d{1,2})\0"),
    ),
    Signature(
        library="AWS-LC",
        tested_on="rustup with aws-lc-rs 1.16.1, hf_xet 1.6.0",
        texts=_compile_all(
            rb"OpenSSL \d\.\d\.\d \(compatible; AWS-LC (?:FIPS )?(?P<v>[\d.]{1,16})\)",
            rb"/aws-lc-(?:fips-)?sys-(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3})/",
            rb"/aws-lc/crypto/",
        ),
        symbols=(b"awslc_version_string", b"awslc_api_version_num"),
        symbol_patterns=_compile_all(
            rb"aws_lc_(?:fips_)?(?P<v>\d{1,3}_\d{1,3}_\d{1,3})_\w{1,80}\0"
        ),
    ),
    Signature(
        library="BoringSSL",
        tested_on="grpcio 1.84.0, curl_cffi 0.16.3",
        texts=_compile_all(
            rb"OpenSSL \d\.\d\.\d \(compatible; BoringSSL\)",
            rb"boringssl(?:-with-bazel)?/(?:src/)?(?:crypto|ssl)/",
            rb"boring-sys-(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3})/",
        ),
        symbols=(b"BORINGSSL_self_test", b"EVP_AEAD_CTX_new", b"CRYPTO_BUFFER_new"),
    ),
    Signature(
        library="ring",
        tested_on="maturin 1.15.0 (ring 0.17.14)",
        texts=_compile_all(rb"/ring-(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3})/src/"),
        symbol_patterns=_compile_all(rb"ring_core_(?P<v>\d{1,3}_\d{1,3}_\d{1,3})_\w{1,80}\0"),
    ),
    Signature(
        library="rustls",
        tested_on="hf_xet 1.6.0 (rustls 0.23.37)",
        texts=_compile_all(rb"/rustls-(?P<v>\d{1,3}\.\d{1,3}\.\d{1,3})/src/"),
    ),
    Signature(
        library="libsodium",
        tested_on="PyNaCl 1.6.2, Debian's libsodium 1.0.18",
        texts=_compile_all(
            rb"LibsodiumDRG\0",
            rb"libsodium/crypto_generichash/",
            rb"curve25519xsalsa20poly1305\0",
        ),
        symbols=(b"sodium_init", b"sodium_version_string"),
        soname=_soname_pattern("sodium"),
    ),
    Signature(
        library="mbedTLS",
        tested_on="unverified",
        texts=_compile_all(
            rb"Mbed TLS (?P<v>\d\.\d{1,2}\.\d{1,2})\0", rb"mbed TLS (?P<v>\d\.\d{1,2}\.\d{1,2})\0"
        ),
        symbols=(b"mbedtls_ssl_handshake", b"mbedtls_md_setup", b"mbedtls_aes_crypt_ecb"),
        soname=_soname_pattern("mbedcrypto|mbedtls|mbedx509|tfpsacrypto"),
    ),
    Signature(
        library="wolfSSL",
        tested_on="unverified",
        texts=_compile_all(rb"wolfSSL (?P<v>\d\.\d{1,2}\.\d{1,2})\0"),
        symbols=(b"wolfSSL_Init", b"wolfSSL_CTX_new", b"wolfCrypt_Init"),
        soname=_soname_pattern("wolfssl"),
    ),
    Signature(
        library="NSS",
        tested_on="Debian's libnss3 3.87.1",
        texts=_compile_all(rb"Version: NSS (?P<v>\d\.\d{1,3}(?:\.\d{1,2})?)(?: Basic ECC)?[ \0]"),
        symbols=(b"NSS_NoDB_Init", b"FREEBL_GetVector", b"NSC_GetFunctionList"),
        soname=_soname_pattern("nss3|nssutil3|smime3|ssl3|freebl3|freeblpriv3|softokn3"),
    ),
    Signature(
        library="Libgcrypt",
        tested_on="Debian's libgcrypt 1.10.1",
        texts=_compile_all(rb"This is Libgcrypt (?P<v>\d\.\d{1,2}\.\d{1,2})[^\d.]"),
        symbols=(b"gcry_check_version", b"_gcry_check_version"),
        soname=_soname_pattern("gcrypt"),
    ),
    Signature(
        library="GnuTLS",
        tested_on="Debian's libgnutls 3.7.9",
        texts=_compile_all(rb"Enabled GnuTLS (?P<v>\d\.\d{1,2}\.\d{1,2})[^\d.]"),
        symbols=(b"gnutls_global_init",),
        soname=_soname_pattern("gnutls"),
    ),
    Signature(
        library="Nettle",
        tested_on="Debian's libnettle 3.8",
        symbols=(b"nettle_sha256_init", b"nettle_aes128_set_encrypt_key"),
        soname=_soname_pattern("nettle|hogweed"),
    ),
    Signature(
        library="Go crypto",
        tested_on="cosign 2.5 (Go 1.24.4)",
        texts=(re.compile(rb"\xff Go buildinf:[\x00-\xff]{19}(?P<v>go1\.\d{1,2}(?:\.\d{1,2})?)"),),
        required_text=re.compile(rb"crypto/(?:tls|aes|rsa|ecdsa|internal)[./]"),
    ),
)
