import base64
import json
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest

from hardpan.redaction import (
    SecretFilter,
    encodings,
    redact,
    redact_argv,
    without_password_hashes,
)


@pytest.mark.parametrize(
    ("text", "shown"),
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
def test_what_looks_like_a_secret_is_taken_out(text: str, shown: str) -> None:
    assert redact(text) == shown


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
def test_anything_else_stays(text: str) -> None:
    assert redact(text) == text


def test_the_argument_after_a_secret_option_is_taken_out() -> None:
    argv = ["pkcs11-tool", "--pin", "1234", "--key", "pkcs11:pin-value=5", "--passphrase-file", "f"]

    assert redact_argv(argv) == (
        *("pkcs11-tool", "--pin", "[redacted]", "--key", "pkcs11:pin-value=[redacted]"),
        *("--passphrase-file", "f"),
    )


SECRET = 'Gr\u00fcn & <"7!'
WRITTEN = {
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


@pytest.mark.parametrize("form", WRITTEN)
def test_secret_is_removed_in_every_common_form(form: str) -> None:
    secrets = SecretFilter([SECRET])
    text = f"before {WRITTEN[form]} after"

    assert secrets.text(text) == "before [redacted] after"
    assert secrets.data(text.encode()) == b"before [redacted] after"


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_secret_is_removed_from_base64_of_more_than_itself(
    before: int, after: int, encode: type[bytes]
) -> None:
    data = b"\xff" * before + SECRET.encode() + b"\xff" * after

    left = SecretFilter([SECRET]).data(encode(data))

    assert b"[redacted]" in left
    assert len(left) <= len(b"[redacted]") + 12


def test_secret_is_removed_wherever_the_bytes_are_cut() -> None:
    secrets = SecretFilter([SECRET])
    data = b"a" * 300 + SECRET.encode() * 2 + b"b" * 300 + SECRET.encode().hex().encode()

    for size in (1, 2, 7, 64, 10_000):
        chunks = (data[at : at + size] for at in range(0, len(data), size))
        assert b"".join(secrets.chunks(chunks)) == secrets.data(data)
    assert secrets.data(data).count(b"[redacted]") == 3


class Kind(StrEnum):
    ONE = "hunter22"


@dataclass(frozen=True)
class Thing:
    text: str
    more: tuple[str, ...]
    table: dict[str, bytes]
    kind: Kind = Kind.ONE
    count: int = 1


def test_secret_is_removed_from_a_whole_value() -> None:
    thing = Thing(text="a hunter22", more=("hunter22",), table={"hunter22": b"x hunter22"})

    cleaned = SecretFilter(["hunter22"]).value(thing)

    assert cleaned == Thing(
        text="a [redacted]", more=("[redacted]",), table={"[redacted]": b"x [redacted]"}
    )
    assert type(cleaned.kind) is Kind


@pytest.mark.parametrize("secret", ["redacted", "[redacted]", "a", "*", "removed"])
def test_what_replaces_a_secret_does_not_contain_it(secret: str) -> None:
    assert secret not in SecretFilter([secret]).text(f"x {secret} y")


def test_short_secret_is_removed_as_it_is_alone() -> None:
    assert encodings("ab") == {b"ab"}


def test_no_secret_changes_nothing() -> None:
    secrets = SecretFilter(["", ""])
    value = (1, "x")

    assert secrets.text("x") == "x"
    assert list(secrets.chunks([b"x", b"y"])) == [b"x", b"y"]
    assert secrets.value(value) is value


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
def test_password_hash_is_cut_wherever_chunks_end(name: str) -> None:
    algorithm, secret = HASHES[name]
    text = b"<text>root:" + algorithm + secret + b":19000::</text>"
    expected = b"<text>root:" + algorithm + b"[redacted]:19000::</text>"

    for at in range(len(text)):
        assert b"".join(without_password_hashes([text[:at], text[at:]])) == expected
    single = (text[n : n + 1] for n in range(len(text)))
    assert b"".join(without_password_hashes(single)) == expected


def test_password_hash_is_cut_between_long_chunks() -> None:
    algorithm, secret = HASHES["GRUB"]
    line = b"x" * 7001 + algorithm + secret + b"\n"

    cut = b"".join(without_password_hashes([line * 3] * 5))

    assert secret not in cut
    assert cut == (b"x" * 7001 + algorithm + b"[redacted]\n") * 15


@pytest.mark.parametrize(
    "text",
    [b"", b"no hash", rb"^GRUB2_PASSWORD=grub\.pbkdf2\.sha512.*$", b"root:$6$:", b"$6$salt$short"],
)
def test_what_only_names_an_algorithm_is_left(text: bytes) -> None:
    assert b"".join(without_password_hashes([text])) == text
