"""What ELF files carry, by texts, symbols and SONAME; and ELF files that lie."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from hardpan.builder.wheels.audit import audit
from hardpan.builder.wheels.model import Finding, Limits
from hardpan.builder.wheels.signatures import SIGNATURES
from tests.unit.wheels.makers import elf, patched, put, wheel

OPENSSL = b"\0OpenSSL 4.0.3 29 Sep 2026\0"
GO = b"\xff Go buildinf:\x08\x02" + bytes(16) + b"\x08go1.26.1\0"


def found(tmp_path: Path, files: dict[str, bytes], limits: Limits | None = None) -> list[Finding]:
    return list(audit(put(tmp_path / "house", wheel(files)), limits=limits).findings)


def crypto(tmp_path: Path, data: bytes) -> list[tuple[str, str, str]]:
    findings = found(tmp_path, {"demo/x.so": data})
    return [(f.library, f.version, f.severity) for f in findings if f.kind == "bundled_crypto"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (elf(text=OPENSSL), ("OpenSSL", "4.0.3")),
        (elf(text=b"OpenSSL 1.1.1w  11 Sep 2023\0"), ("OpenSSL", "1.1.1w")),
        (elf(text=b"OpenSSL 3.0.1-fips 14 Dec 2021\0"), ("OpenSSL", "3.0.1-fips")),
        (elf(defined=("OSSL_PROVIDER_load",)), ("OpenSSL", "")),
        (elf(text=b"../crypto/provider_core.c\0"), ("OpenSSL", "")),
        (elf(text=b"crypto/engine/eng_lib.c\0"), ("OpenSSL", "")),
        (elf(soname="libssl-fiona-6c758070.so.1.1"), ("OpenSSL", "")),
        (elf(soname="libcrypto-d2eb1a5c.so.3"), ("OpenSSL", "")),
        (elf(soname="libssl-0a1b2c3d.so.1.1"), ("OpenSSL", "")),
        (elf(text=b"LibreSSL 4.1.0\0"), ("LibreSSL", "4.1.0")),
        (elf(text=b"OpenSSL 1.1.1 (compatible; AWS-LC 1.30.0)\0"), ("AWS-LC", "1.30.0")),
        (elf(text=b"OpenSSL 1.1.1 (compatible; AWS-LC FIPS 2.0.1)\0"), ("AWS-LC", "2.0.1")),
        (elf(defined=("aws_lc_0_38_0_EVP_DigestInit_ex",)), ("AWS-LC", "0.38.0")),
        (elf(defined=("aws_lc_fips_0_13_7_MD5",)), ("AWS-LC", "0.13.7")),
        (elf(defined=("awslc_version_string", "EVP_AEAD_CTX_new")), ("AWS-LC", "")),
        (elf(text=b"OpenSSL 1.1.1 (compatible; BoringSSL)\0"), ("BoringSSL", "")),
        (elf(text=b"third_party/boringssl-with-bazel/src/crypto/a.cc\0"), ("BoringSSL", "")),
        (elf(defined=("CRYPTO_BUFFER_new", "SSLeay_version")), ("BoringSSL", "")),
        (elf(text=b"/r/ring-0.17.14/src/aead.rs\0"), ("ring", "0.17.14")),
        (elf(defined=("ring_core_0_17_14__aes_hw_encrypt",)), ("ring", "0.17.14")),
        (elf(text=b"/r/rustls-0.23.37/src/lib.rs\0"), ("rustls", "0.23.37")),
        (elf(defined=("sodium_init",)), ("libsodium", "")),
        (elf(text=b"LibsodiumDRG\0"), ("libsodium", "")),
        (elf(text=b"Mbed TLS 3.6.2\0"), ("mbedTLS", "3.6.2")),
        (elf(defined=("mbedtls_ssl_handshake",)), ("mbedTLS", "")),
        (elf(defined=("wolfSSL_Init",)), ("wolfSSL", "")),
        (elf(text=b"Version: NSS 3.87.1 Basic ECC\0"), ("NSS", "3.87.1")),
        (elf(soname="libsoftokn3.so"), ("NSS", "")),
        (elf(soname="libssl3.so"), ("NSS", "")),
        (elf(text=b"This is Libgcrypt 1.10.1 - The\0"), ("Libgcrypt", "1.10.1")),
        (elf(soname="libgcrypt-12ab34cd.so.20.4.1"), ("Libgcrypt", "")),
        (elf(text=b"Enabled GnuTLS 3.7.9 logging\0"), ("GnuTLS", "3.7.9")),
        (elf(defined=("nettle_sha256_init",)), ("Nettle", "")),
        (elf(text=GO + b"crypto/tls.(*Conn).Handshake\0"), ("Go crypto", "go1.26.1")),
    ],
)
def test_a_library_is_known_by_what_it_leaves(
    tmp_path: Path, data: bytes, told: tuple[str, str]
) -> None:
    assert crypto(tmp_path, data) == [(*told, "high")]


def test_every_signature_is_tried_above() -> None:
    mark = next(iter(test_a_library_is_known_by_what_it_leaves.pytestmark))  # type: ignore[attr-defined]

    assert {told[0] for _, told in mark.args[1]} == {s.library for s in SIGNATURES}


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_shape_of_elf_is_read(tmp_path: Path, wide: bool, order: str) -> None:
    data = elf(defined=("OPENSSL_LH_new",), soname="libcrypto.so.3", wide=wide, order=order)

    (finding,) = found(tmp_path, {"demo/x": data})
    assert finding.evidence == ("symbol OPENSSL_LH_new", "SONAME libcrypto.so.3")


@pytest.mark.parametrize(
    "data",
    [
        elf(undefined=("OSSL_PROVIDER_load", "EVP_DigestInit_ex"), needed=("libcrypto.so.3",)),
        elf(text=GO + b"hash/maphash\0"),
        elf(text=b"OpenSSL is required; see LibreSSL and Mbed TLS\0"),
        elf(defined=("my_OSSL_PROVIDER_load2", "EVP_DigestInit_ex")),
        elf(soname="libcryptopp.so.8"),
        elf(soname="libsslfoo.so"),
        OPENSSL,
        b"\x7fEL" + OPENSSL,
    ],
)
def test_what_belongs_to_the_system_is_no_finding(tmp_path: Path, data: bytes) -> None:
    assert found(tmp_path, {"demo/x.so": data}) == []


def test_a_text_beside_the_systems_library_is_only_told(tmp_path: Path) -> None:
    data = elf(text=OPENSSL, needed=("libc.so.6", "libcrypto.so.3"))

    (finding,) = found(tmp_path, {"demo/x.so": data})
    assert finding.severity == "low"
    assert finding.what == "names OpenSSL 4.0.3, and asks the system for libcrypto.so.3"


def test_a_text_beside_a_bundled_library_is_a_finding(tmp_path: Path) -> None:
    data = elf(text=OPENSSL, needed=("libcrypto-d2eb1a5c.so.3",))
    own = elf(soname="libcrypto-d2eb1a5c.so.3")

    findings = found(tmp_path, {"demo/x.so": data, "demo.libs/libcrypto-d2eb1a5c.so.3": own})
    assert [(f.where, f.severity) for f in findings] == [
        ("demo.libs/libcrypto-d2eb1a5c.so.3", "high"),
        ("demo/x.so", "high"),
    ]


def test_the_evidence_names_the_byte(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, {"demo/data.bin": elf(text=OPENSSL)})

    assert finding.evidence == ("byte 65: 'OpenSSL 4.0.3 29 Sep 2026'",)
    assert finding.where == "demo/data.bin"


@pytest.mark.parametrize("shift", range(0, 28, 3))
def test_a_text_across_two_chunks_is_found(tmp_path: Path, shift: int) -> None:
    filler = bytes((1 << 20) - 64 - shift)

    assert crypto(tmp_path, elf(text=filler + OPENSSL)) == [("OpenSSL", "4.0.3", "high")]


SOUND = elf(text=OPENSSL, defined=("OSSL_PROVIDER_load",))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (SOUND[:20], "ELF header: expected 64 bytes, found 20"),
        (b"\x7fELF", "ELF header: expected a class and a byte order"),
        (patched(SOUND, 4, "B", 7), "ELF header: expected a class and a byte order"),
        (SOUND[:-10], "table of sections: reaches to byte "),
        (patched(SOUND, 40, "<Q", 2**63), "table of sections: reaches to byte 92233720368547"),
        (patched(SOUND, 40, "<Q", 0), "no table of sections: only its texts were read"),
        (patched(SOUND, 58, "<H", 63), "ELF header: cannot be: 5 sections of 63 bytes"),
        (patched(SOUND, 60, "<H", 0), "ELF header: cannot be: 0 sections of 64 bytes"),
        (patched(SOUND, 60, "<H", 65_535), "ELF header: cannot be: 65535 sections"),
        # The symbol table's size, its link, and the size of its names.
        (patched(SOUND, len(SOUND) - 3 * 64 + 32, "<Q", 2**40), "symbol table: reaches to byte 1"),
        (patched(SOUND, len(SOUND) - 3 * 64 + 40, "<I", 99), "symbol table: expected names in a"),
        (patched(SOUND, len(SOUND) - 64 + 32, "<Q", 2**63), "dynamic section: reaches to byte 9"),
    ],
)
def test_an_elf_that_lies_is_told_and_still_searched(
    tmp_path: Path, data: bytes, problem: str
) -> None:
    findings = found(tmp_path, {"demo/x.so": data})

    (told, *_) = [f for f in findings if f.kind == "not_checked"]
    assert problem in told.what
    assert told.severity == "medium"
    if OPENSSL in data:
        assert [f.library for f in findings if f.kind == "bundled_crypto"] == ["OpenSSL"]


def test_a_huge_table_is_left_unread_and_told(tmp_path: Path) -> None:
    data = elf(defined=tuple(f"f{n}" for n in range(100)))

    (told, *_) = found(tmp_path, {"demo/x.so": data}, Limits(table_bytes=1000))
    assert told.what == "symbol table: expected at most 1000 bytes, found 2400"


def test_a_name_that_ends_another_is_found(tmp_path: Path) -> None:
    # Linkers store a name that ends a longer one inside of it.
    whole = elf(defined=("xOSSL_PROVIDER_load",))
    at = whole.index(struct_of(1))

    assert crypto(tmp_path, patched(whole, at, "<I", 2)) == [("OpenSSL", "", "high")]
    assert crypto(tmp_path, whole) == []


def struct_of(place: int) -> bytes:
    """The first bytes of a symbol whose name lies at ``place``."""
    return place.to_bytes(4, "little") + b"\x12\0\1\0"


def test_a_name_that_hides_among_its_likes_is_found(tmp_path: Path) -> None:
    data = elf(defined=("OSSL_PROVIDER_load",) * 5000)

    assert crypto(tmp_path, data) == [("OpenSSL", "", "high")]


def test_endless_names_end_and_are_told(tmp_path: Path) -> None:
    data = elf(defined=("OSSL_PROVIDER_load",) * 60_000)

    (told,) = found(tmp_path, {"demo/x.so": data})
    assert told.what == "symbol OSSL_PROVIDER_load: named 50000 times"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\3\4rest", "is an archive: not looked into"),
        (b"!<arch>\nrest", "is a static library: not looked into"),
    ],
)
def test_what_is_packed_inside_is_told(tmp_path: Path, data: bytes, what: str) -> None:
    findings: Sequence[Finding] = found(tmp_path, {"demo/x.jar": data})

    assert [(f.kind, f.what) for f in findings] == [("not_checked", what)]
