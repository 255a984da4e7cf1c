"""Libraries bundled in ELF files, by texts, symbols and SONAME; and malformed ELF files."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from hardpan.builder.wheel_audit.audit import audit_wheels
from hardpan.builder.wheel_audit.model import AuditFinding, AuditLimits
from hardpan.builder.wheel_audit.signatures import SIGNATURES
from tests.unit.wheel_audit.factories import make_elf, make_wheel, patch_number, write_wheel

OPENSSL = b"\0OpenSSL 4.0.3 29 Sep 2026\0"
GO = b"\xff Go buildinf:\x08\x02" + bytes(16) + b"\x08go1.26.1\0"


def audit_files(
    tmp_path: Path, files: dict[str, bytes], limits: AuditLimits | None = None
) -> list[AuditFinding]:
    return list(
        audit_wheels(
            write_wheel(tmp_path / "wheelhouse", make_wheel(files)), limits=limits
        ).findings
    )


def find_libraries(tmp_path: Path, data: bytes) -> list[tuple[str, str, str]]:
    findings = audit_files(tmp_path, {"demo/x.so": data})
    return [(f.library, f.version, f.severity) for f in findings if f.kind == "bundled_crypto"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (make_elf(text=OPENSSL), ("OpenSSL", "4.0.3")),
        (make_elf(text=b"OpenSSL 1.1.1w  11 Sep 2023\0"), ("OpenSSL", "1.1.1w")),
        (make_elf(text=b"OpenSSL 3.0.1-fips 14 Dec 2021\0"), ("OpenSSL", "3.0.1-fips")),
        (make_elf(defined=("OSSL_PROVIDER_load",)), ("OpenSSL", "")),
        (make_elf(text=b"../crypto/provider_core.c\0"), ("OpenSSL", "")),
        (make_elf(text=b"crypto/engine/eng_lib.c\0"), ("OpenSSL", "")),
        (make_elf(soname="libssl-fiona-6c758070.so.1.1"), ("OpenSSL", "")),
        (make_elf(soname="libcrypto-d2eb1a5c.so.3"), ("OpenSSL", "")),
        (make_elf(soname="libssl-0a1b2c3d.so.1.1"), ("OpenSSL", "")),
        (make_elf(text=b"LibreSSL 4.1.0\0"), ("LibreSSL", "4.1.0")),
        (make_elf(text=b"OpenSSL 1.1.1 (compatible; AWS-LC 1.30.0)\0"), ("AWS-LC", "1.30.0")),
        (make_elf(text=b"OpenSSL 1.1.1 (compatible; AWS-LC FIPS 2.0.1)\0"), ("AWS-LC", "2.0.1")),
        (make_elf(defined=("aws_lc_0_38_0_EVP_DigestInit_ex",)), ("AWS-LC", "0.38.0")),
        (make_elf(defined=("aws_lc_fips_0_13_7_MD5",)), ("AWS-LC", "0.13.7")),
        (make_elf(defined=("awslc_version_string", "EVP_AEAD_CTX_new")), ("AWS-LC", "")),
        (make_elf(text=b"OpenSSL 1.1.1 (compatible; BoringSSL)\0"), ("BoringSSL", "")),
        (make_elf(text=b"third_party/boringssl-with-bazel/src/crypto/a.cc\0"), ("BoringSSL", "")),
        (make_elf(defined=("CRYPTO_BUFFER_new", "SSLeay_version")), ("BoringSSL", "")),
        (make_elf(text=b"/r/ring-0.17.14/src/aead.rs\0"), ("ring", "0.17.14")),
        (make_elf(defined=("ring_core_0_17_14__aes_hw_encrypt",)), ("ring", "0.17.14")),
        (make_elf(text=b"/r/rustls-0.23.37/src/lib.rs\0"), ("rustls", "0.23.37")),
        (make_elf(defined=("sodium_init",)), ("libsodium", "")),
        (make_elf(text=b"LibsodiumDRG\0"), ("libsodium", "")),
        (make_elf(text=b"Mbed TLS 3.6.2\0"), ("mbedTLS", "3.6.2")),
        (make_elf(defined=("mbedtls_ssl_handshake",)), ("mbedTLS", "")),
        (make_elf(defined=("wolfSSL_Init",)), ("wolfSSL", "")),
        (make_elf(text=b"Version: NSS 3.87.1 Basic ECC\0"), ("NSS", "3.87.1")),
        (make_elf(soname="libsoftokn3.so"), ("NSS", "")),
        (make_elf(soname="libssl3.so"), ("NSS", "")),
        (make_elf(text=b"This is Libgcrypt 1.10.1 - The\0"), ("Libgcrypt", "1.10.1")),
        (make_elf(soname="libgcrypt-12ab34cd.so.20.4.1"), ("Libgcrypt", "")),
        (make_elf(text=b"Enabled GnuTLS 3.7.9 logging\0"), ("GnuTLS", "3.7.9")),
        (make_elf(defined=("nettle_sha256_init",)), ("Nettle", "")),
        (make_elf(text=GO + b"crypto/tls.(*Conn).Handshake\0"), ("Go crypto", "go1.26.1")),
    ],
)
def test_bundled_library_is_recognized(
    tmp_path: Path, data: bytes, expected: tuple[str, str]
) -> None:
    assert find_libraries(tmp_path, data) == [(*expected, "high")]


def test_every_signature_has_a_test_case() -> None:
    mark = next(iter(test_bundled_library_is_recognized.pytestmark))  # type: ignore[attr-defined]

    assert {case[0] for _, case in mark.args[1]} == {s.library for s in SIGNATURES}


@pytest.mark.parametrize("is_64_bit", [True, False])
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_every_elf_class_and_byte_order_is_read(
    tmp_path: Path, is_64_bit: bool, byte_order: str
) -> None:
    data = make_elf(
        defined=("OPENSSL_LH_new",),
        soname="libcrypto.so.3",
        is_64_bit=is_64_bit,
        byte_order=byte_order,
    )

    (finding,) = audit_files(tmp_path, {"demo/x": data})
    assert finding.evidence == ("symbol OPENSSL_LH_new", "SONAME libcrypto.so.3")


@pytest.mark.parametrize(
    "data",
    [
        make_elf(undefined=("OSSL_PROVIDER_load", "EVP_DigestInit_ex"), needed=("libcrypto.so.3",)),
        make_elf(text=GO + b"hash/maphash\0"),
        make_elf(text=b"OpenSSL is required; see LibreSSL and Mbed TLS\0"),
        make_elf(defined=("my_OSSL_PROVIDER_load2", "EVP_DigestInit_ex")),
        make_elf(soname="libcryptopp.so.8"),
        make_elf(soname="libsslfoo.so"),
        OPENSSL,
        b"\x7fEL" + OPENSSL,
    ],
)
def test_system_library_use_has_no_finding(tmp_path: Path, data: bytes) -> None:
    assert audit_files(tmp_path, {"demo/x.so": data}) == []


def test_text_with_system_library_is_low_severity(tmp_path: Path) -> None:
    data = make_elf(text=OPENSSL, needed=("libc.so.6", "libcrypto.so.3"))

    (finding,) = audit_files(tmp_path, {"demo/x.so": data})
    assert finding.severity == "low"
    assert finding.message == "names OpenSSL 4.0.3, and is linked with the system's libcrypto.so.3"


def test_text_with_bundled_library_is_high_severity(tmp_path: Path) -> None:
    data = make_elf(text=OPENSSL, needed=("libcrypto-d2eb1a5c.so.3",))
    bundled = make_elf(soname="libcrypto-d2eb1a5c.so.3")

    findings = audit_files(
        tmp_path, {"demo/x.so": data, "demo.libs/libcrypto-d2eb1a5c.so.3": bundled}
    )
    assert [(f.path, f.severity) for f in findings] == [
        ("demo.libs/libcrypto-d2eb1a5c.so.3", "high"),
        ("demo/x.so", "high"),
    ]


def test_the_evidence_names_the_byte(tmp_path: Path) -> None:
    (finding,) = audit_files(tmp_path, {"demo/data.bin": make_elf(text=OPENSSL)})

    assert finding.evidence == ("byte 65: 'OpenSSL 4.0.3 29 Sep 2026'",)
    assert finding.path == "demo/data.bin"


@pytest.mark.parametrize("shift", range(0, 28, 3))
def test_text_across_chunks_is_recognized(tmp_path: Path, shift: int) -> None:
    filler = bytes((1 << 20) - 64 - shift)

    assert find_libraries(tmp_path, make_elf(text=filler + OPENSSL)) == [
        ("OpenSSL", "4.0.3", "high")
    ]


SOUND = make_elf(text=OPENSSL, defined=("OSSL_PROVIDER_load",))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (SOUND[:20], "ELF header: expected 64 bytes, got 20"),
        (b"\x7fELF", "ELF header: expected a class and a byte order"),
        (patch_number(SOUND, 4, "B", 7), "ELF header: expected a class and a byte order"),
        (SOUND[:-10], "table of sections: reaches to byte "),
        (patch_number(SOUND, 40, "<Q", 2**63), "table of sections: reaches to byte 92233720368547"),
        (patch_number(SOUND, 40, "<Q", 0), "no table of sections: only its texts were read"),
        (patch_number(SOUND, 58, "<H", 63), "ELF header: impossible: 5 sections of 63 bytes"),
        (patch_number(SOUND, 60, "<H", 0), "ELF header: impossible: 0 sections of 64 bytes"),
        (patch_number(SOUND, 60, "<H", 65_535), "ELF header: impossible: 65535 sections"),
        # The symbol table's size, its link, and the size of its names.
        (
            patch_number(SOUND, len(SOUND) - 3 * 64 + 32, "<Q", 2**40),
            "symbol table: reaches to byte 1",
        ),
        (
            patch_number(SOUND, len(SOUND) - 3 * 64 + 40, "<I", 99),
            "symbol table: expected names in a",
        ),
        (
            patch_number(SOUND, len(SOUND) - 64 + 32, "<Q", 2**63),
            "dynamic section: reaches to byte 9",
        ),
    ],
)
def test_malformed_elf_is_reported_and_still_searched(
    tmp_path: Path, data: bytes, problem: str
) -> None:
    findings = audit_files(tmp_path, {"demo/x.so": data})

    (not_checked, *_) = [f for f in findings if f.kind == "not_checked"]
    assert problem in not_checked.message
    assert not_checked.severity == "medium"
    if OPENSSL in data:
        assert [f.library for f in findings if f.kind == "bundled_crypto"] == ["OpenSSL"]


def test_oversized_table_is_reported(tmp_path: Path) -> None:
    data = make_elf(defined=tuple(f"f{n}" for n in range(100)))

    (not_checked, *_) = audit_files(
        tmp_path, {"demo/x.so": data}, AuditLimits(max_table_bytes=1000)
    )
    assert not_checked.message == "symbol table: expected at most 1000 bytes, got 2400"


def test_symbol_name_inside_longer_name_is_recognized(tmp_path: Path) -> None:
    # Linkers store a name that ends a longer one inside of it.
    library = make_elf(defined=("xOSSL_PROVIDER_load",))
    offset = library.index(symbol_bytes(1))

    assert find_libraries(tmp_path, patch_number(library, offset, "<I", 2)) == [
        ("OpenSSL", "", "high")
    ]
    assert find_libraries(tmp_path, library) == []


def symbol_bytes(name_offset: int) -> bytes:
    """The first bytes of a symbol whose name is at ``name_offset``."""
    return name_offset.to_bytes(4, "little") + b"\x12\0\1\0"


def test_repeated_symbol_name_is_recognized(tmp_path: Path) -> None:
    data = make_elf(defined=("OSSL_PROVIDER_load",) * 5000)

    assert find_libraries(tmp_path, data) == [("OpenSSL", "", "high")]


def test_excessive_symbol_names_are_reported(tmp_path: Path) -> None:
    data = make_elf(defined=("OSSL_PROVIDER_load",) * 60_000)

    (finding,) = audit_files(tmp_path, {"demo/x.so": data})
    assert finding.message == "symbol OSSL_PROVIDER_load: named 50000 times"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\3\4rest", "is an archive: not inspected"),
        (b"!<arch>\nrest", "is a static library: not inspected"),
    ],
)
def test_nested_archive_is_not_checked(tmp_path: Path, data: bytes, message: str) -> None:
    findings: Sequence[AuditFinding] = audit_files(tmp_path, {"demo/x.jar": data})

    assert [(f.kind, f.message) for f in findings] == [("not_checked", message)]
