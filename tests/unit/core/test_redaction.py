import base64
import json
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest

from hardpan.core.redaction import (
    SecretFilter,
    cut_password_hashes,
    encode_variants,
    redact,
    redact_argv,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter2 and more", "password=[redacted] and more"),
        ("{'passphrase': 'hunter2'}", "{'passphrase': '[redacted]'}"),
        ('"api_key": "hunter2", "n": 1', '"api_key": "[redacted]", "n": 1'),
        ("HARDPAN_TOKEN=hunter2", "HARDPAN_TOKEN=[redacted]"),
        ("pkcs11:object=k;pin-value=1234", "pkcs11:object=k;pin-value=[redacted]"),
        ("GET https://me:hunter2@mirror.example/x", "GET https://me:[redacted]@mirror.example/x"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [redacted]"),
        ("openssl -passin pass:hunter2 -in k", "openssl -passin pass:[redacted] -in k"),
        ("run --sudo-password hunter2 -x", "run --sudo-password [redacted] -x"),
        ("$6$saltsalt$abcdefghijkl.", "[redacted]"),
        ("hash $pbkdf2-sha512$210000$c2FsdA$aGFzaA.", "hash [redacted]"),
        ("hp_" + "a" * 43, "[redacted]"),
        (
            "a\n-----BEGIN EC PRIVATE KEY-----\nAA\n-----END EC PRIVATE KEY-----\nb",
            "a\n[redacted]\nb",
        ),
        ("-----BEGIN PRIVATE KEY-----\ncut off", "[redacted]"),
    ],
)
def test_redact_removes_likely_secrets(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "root@host:22: does not answer",
        "ssh://root@host:22",
        "pass: torch 2.6.0, results are right",
        "--passphrase-file /etc/key",
        "users[0].password_hash is missing",
        "-----BEGIN CERTIFICATE-----",
        "costs $5 or $6",
        "sha256:" + "a" * 64,
    ],
)
def test_redact_keeps_other_text(text: str) -> None:
    assert redact(text) == text


def test_redact_argv_removes_value_of_secret_option() -> None:
    argv = ["pkcs11-tool", "--pin", "1234", "--key", "pkcs11:pin-value=5", "--passphrase-file", "f"]

    assert redact_argv(argv) == (
        *("pkcs11-tool", "--pin", "[redacted]", "--key", "pkcs11:pin-value=[redacted]"),
        *("--passphrase-file", "f"),
    )


SECRET = 'Gr\u00fcn & <"7!'
ENCODED_FORMS = {
    "as it is": SECRET,
    "backwards": SECRET[::-1],
    "JSON": json.dumps(SECRET)[1:-1],
    "JSON in UTF-8": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "JSON, every character escaped": "".join(f"\\u{ord(c):04x}" for c in SECRET),
    "XML": escape(SECRET),
    "an XML attribute": escape(SECRET, {'"': "&quot;"}),
    "XML, every character by number": "".join(f"&#{ord(c)};" for c in SECRET),
    "a URL": quote(SECRET, safe=""),
    "a URL, every byte escaped": "".join(f"%{b:02x}" for b in SECRET.encode()),
    "hexadecimal": SECRET.encode().hex(),
    "hexadecimal in capitals": SECRET.encode().hex().upper(),
    "hexadecimal with blanks": SECRET.encode().hex(" "),
    "base32": base64.b32encode(SECRET.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("form", ENCODED_FORMS)
def test_secret_is_removed_in_every_common_form(form: str) -> None:
    secrets = SecretFilter([SECRET])
    text = f"before {ENCODED_FORMS[form]} after"

    assert secrets.filter_text(text) == "before [redacted] after"
    assert secrets.filter_bytes(text.encode()) == b"before [redacted] after"


@pytest.mark.parametrize("prefix_bytes", range(4))
@pytest.mark.parametrize("suffix_bytes", range(4))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_secret_is_removed_from_longer_base64(
    prefix_bytes: int, suffix_bytes: int, encode: type[bytes]
) -> None:
    data = b"\xff" * prefix_bytes + SECRET.encode() + b"\xff" * suffix_bytes

    filtered = SecretFilter([SECRET]).filter_bytes(encode(data))

    assert b"[redacted]" in filtered
    assert len(filtered) <= len(b"[redacted]") + 12


def test_secret_is_removed_across_chunk_boundaries() -> None:
    secrets = SecretFilter([SECRET])
    data = b"a" * 300 + SECRET.encode() * 2 + b"b" * 300 + SECRET.encode().hex().encode()

    for size in (1, 2, 7, 64, 10_000):
        chunks = (data[offset : offset + size] for offset in range(0, len(data), size))
        assert b"".join(secrets.filter_chunks(chunks)) == secrets.filter_bytes(data)
    assert secrets.filter_bytes(data).count(b"[redacted]") == 3


class Kind(StrEnum):
    PRIMARY = "hunter22"


@dataclass(frozen=True)
class Sample:
    text: str
    items: tuple[str, ...]
    table: dict[str, bytes]
    kind: Kind = Kind.PRIMARY
    count: int = 1


def test_secret_is_removed_from_nested_values() -> None:
    sample = Sample(text="a hunter22", items=("hunter22",), table={"hunter22": b"x hunter22"})

    cleaned = SecretFilter(["hunter22"]).filter_value(sample)

    assert cleaned == Sample(
        text="a [redacted]", items=("[redacted]",), table={"[redacted]": b"x [redacted]"}
    )
    assert type(cleaned.kind) is Kind


@pytest.mark.parametrize("secret", ["redacted", "[redacted]", "a", "*", "removed"])
def test_replacement_does_not_contain_the_secret(secret: str) -> None:
    assert secret not in SecretFilter([secret]).filter_text(f"x {secret} y")


def test_short_secret_has_no_encoded_variants() -> None:
    assert encode_variants("ab") == {b"ab"}


def test_empty_filter_changes_nothing() -> None:
    secrets = SecretFilter(["", ""])
    value = (1, "x")

    assert secrets.filter_text("x") == "x"
    assert list(secrets.filter_chunks([b"x", b"y"])) == [b"x", b"y"]
    assert secrets.filter_value(value) is value


HASHES = {
    "GRUB": (b"grub.pbkdf2.sha512.10000.", b"A1" * 64 + b"." + b"0F" * 64),
    "SHA-512": (b"$6$", b"saltsaltsaltsalt$" + b"aB./" * 21 + b"xY"),
    "SHA-512 with rounds": (b"$6$", b"rounds=100000$salt$" + b"aB./" * 21 + b"xY"),
    "SHA-256": (b"$5$", b"salt$" + b"aB./" * 10 + b"xYz"),
    "MD5": (b"$1$", b"salt$" + b"aB./" * 5 + b"xY"),
    "bcrypt": (b"$2b$", b"12$" + b"aB./" * 13 + b"x"),
    "yescrypt": (b"$y$", b"j9T$" + b"aB./" * 5 + b"$" + b"aB./" * 10 + b"xYz"),
    "scrypt": (b"$7$", b"CU..../....saltsalt$" + b"aB./" * 10 + b"xYz"),
}


@pytest.mark.parametrize("name", HASHES)
def test_password_hash_is_cut_across_chunk_boundaries(name: str) -> None:
    algorithm, secret = HASHES[name]
    text = b"<text>root:" + algorithm + secret + b":19000::</text>"
    expected = b"<text>root:" + algorithm + b"[redacted]:19000::</text>"

    for offset in range(len(text)):
        assert b"".join(cut_password_hashes([text[:offset], text[offset:]])) == expected
    single = (text[index : index + 1] for index in range(len(text)))
    assert b"".join(cut_password_hashes(single)) == expected


def test_password_hash_is_cut_between_long_chunks() -> None:
    algorithm, secret = HASHES["GRUB"]
    line = b"x" * 7001 + algorithm + secret + b"\n"

    cut = b"".join(cut_password_hashes([line * 3] * 5))

    assert secret not in cut
    assert cut == (b"x" * 7001 + algorithm + b"[redacted]\n") * 15


@pytest.mark.parametrize(
    "text",
    [b"", b"no hash", rb"^GRUB2_PASSWORD=grub\.pbkdf2\.sha512.*$", b"root:$6$:", b"$6$salt$short"],
)
def test_text_naming_an_algorithm_is_unchanged(text: bytes) -> None:
    assert b"".join(cut_password_hashes([text])) == text
