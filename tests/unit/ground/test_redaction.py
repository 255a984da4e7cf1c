import pytest

from hardpan.redaction import redact, redact_argv


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
