"""Keys that a program holds: what is refused before any program starts."""

from pathlib import Path

import pytest

from hardpan.core.errors import HardpanError, InputError, ResourceError, UsageError
from hardpan.signing import PassphraseSource, create_signer, load_signer, pkcs11
from hardpan.signing.pkcs11 import Pkcs11Uri, parse_uri, select_key_id

_MODULE = f"module-path={__file__}"


@pytest.mark.parametrize(
    ("ref", "slot", "label", "key_id"),
    [
        ("pkcs11:token=site;object=scan", ("--token-label", "site"), "scan", ""),
        ("pkcs11:object=scan;token=a%20b;type=private", ("--token-label", "a b"), "scan", ""),
        ("pkcs11:token=t;id=%01%AB", ("--token-label", "t"), "", "01ab"),
        ("pkcs11:slot-id=7;object=s%3Bx;id=%02", ("--slot", "7"), "s;x", "02"),
        ("pkcs11:token=%C3%BC;object=k", ("--token-label", "ü"), "k", ""),
    ],
)
def test_pkcs11_uri_names_token_and_key(
    ref: str, slot: tuple[str, ...], label: str, key_id: str
) -> None:
    uri = parse_uri(f"{ref}?{_MODULE}&pin-source=file:/run/pin%20file")

    assert (uri.slot_args, uri.label, uri.key_id) == (slot, label, key_id)
    assert (uri.module, uri.pin_file) == (Path(__file__), Path("/run/pin file"))


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("pkcs11:token=%FF;object=k", "expected labels in UTF-8"),
        ("pkcs11:token=t;object=%C3", "expected labels in UTF-8"),
        ("pkcs11:token=t", "expected object=LABEL or id=%01"),
        ("pkcs11:object=k", "expected token=LABEL or slot-id=NUMBER"),
        ("pkcs11:token=t;slot-id=1;object=k", "one of them"),
        ("pkcs11:slot-id=1x;object=k", "slot-id: expected a number"),
        ("pkcs11:slot-id=%31;object=k", "slot-id: expected a number"),
        ("pkcs11:token=t;object=k;serial=1", "'serial': expected one of token"),
        ("pkcs11:token=t;token=u;object=k", "'token': expected once, with a value"),
        ("pkcs11:token=;object=k", "'token': expected once, with a value"),
        ("pkcs11:token=t;object", "'object': expected once, with a value"),
        ("pkcs11:token=t;object=k;type=public", "expected type=private or none"),
        ("pkcs11:token=t;object=k?pin-sauce=/x", "'pin-sauce': expected one of module-path"),
        ("pkcs11:token=t;object=k?pin-source=pin", "pin-source: expected file:/"),
        ("pkcs11:token=t;object=k?pin-source=|cat%20pin", "pin-source: expected file:/"),
        ("pkcs11:token=t;object=k?module-path=x.so", "module-path: expected the absolute path"),
        ("pkcs11:token=t;object=k?module-path=/no.so", "module-path: expected the absolute path"),
        ("pkcs11:token=t;object=k?module-name=x", "'module-name': expected one of"),
        ("tpm:0x01000001", "expected a persistent handle, e.g. tpm:0x81010001"),
        ("tpm:0x8101000", "expected a persistent handle"),
        ("tpm:/dev/tpm0", "expected a persistent handle"),
        ("tpm:0x81010001 -p x", "expected a persistent handle"),
    ],
)
def test_invalid_key_reference_is_rejected(ref: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_signer(ref)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "ref",
    [
        "pkcs11:token=t;object=k?pin-value=271828",
        "pkcs11:bad=1;token=t?pin-value=271828",
        "pkcs11:token=t;object=k;pin-value=271828",
    ],
)
def test_pin_on_command_line_is_rejected_and_redacted(ref: str) -> None:
    with pytest.raises(UsageError, match="every user of this machine can read") as caught:
        load_signer(ref)
    assert "271828" not in f"{caught.value} {caught.value.hint}"


def test_missing_pkcs11_module_reports_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs11, "_LIBRARY_DIRS", ("no-such-folder",))

    with pytest.raises(ResourceError, match=r"p11-kit-proxy\.so is not installed"):
        parse_uri("pkcs11:token=t;object=k")


_LIST = """\
Public Key Object; EC  EC_POINT 256 bits
  EC_POINT:   044104c1
  label:      scan
  ID:         01
  Usage:      verify
Public Key Object; RSA 3072 bits
  label:      old scan
  ID:         02ff
Public Key Object; RSA 3072 bits
  label:      twice
  ID:         03
Public Key Object; RSA 3072 bits
  label:      twice
  ID:         04
Public Key Object; RSA 3072 bits
  label:      no id
"""


def _uri(label: str, key_id: str = "") -> Pkcs11Uri:
    return Pkcs11Uri(
        text="u", slot_args=("--slot", "1"), label=label, key_id=key_id, module=Path("/m")
    )


@pytest.mark.parametrize(
    ("label", "key_id", "selected_id"),
    [("scan", "", "01"), ("old scan", "", "02ff"), ("", "02ff", "02ff"), ("twice", "04", "04")],
)
def test_token_key_is_selected_by_label_and_id(label: str, key_id: str, selected_id: str) -> None:
    assert select_key_id(_LIST, _uri(label, key_id)) == selected_id


@pytest.mark.parametrize(
    ("label", "key_id", "message"),
    [
        ("Scan", "", "got 0"),
        ("sca", "", "got 0"),
        ("scan", "02ff", "got 0"),
        ("no id", "", "got 0"),
        ("twice", "", "got 2"),
    ],
)
def test_ambiguous_token_key_is_rejected(label: str, key_id: str, message: str) -> None:
    with pytest.raises(InputError, match=f"u: expected one key of that name, {message}"):
        select_key_id(_LIST, _uri(label, key_id))


def test_openssl_key_file_follows_pem_rules(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("x")
    create_signer(path)
    cases = [
        (PassphraseSource(file=phrase), 0o600, "has no passphrase, but one was given"),
        (PassphraseSource(), 0o640, "expected mode 0600, got 0640"),
    ]
    for unlock, mode, message in cases:
        path.chmod(mode)
        with pytest.raises(InputError, match=message):
            load_signer(f"openssl:{path}", passphrase_source=unlock)
    create_signer(tmp_path / "locked.pem", passphrase_file=phrase)
    with pytest.raises(InputError, match=r"locked\.pem: needs a passphrase"):
        load_signer(f"openssl:{tmp_path / 'locked.pem'}")


def test_token_pin_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = parse_uri(f"pkcs11:token=t;object=k?{_MODULE}")
    with pytest.raises(InputError, match="needs its PIN") as caught:
        pkcs11._read_pin(uri, PassphraseSource())
    monkeypatch.setenv("SITE_PIN", "271828")

    assert "pin-source=file:" in caught.value.hint
    assert pkcs11._read_pin(uri, PassphraseSource(env_name="SITE_PIN")) == b"271828"


def test_path_object_is_always_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_signer(Path("tpm:0x81010001"))


def test_passphrase_is_read_from_file_variable_or_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse\n")
    signer = create_signer(tmp_path / "k.pem", passphrase_file=phrase)
    monkeypatch.setenv("SITE_PASS", "correct horse")
    prompts: list[str] = []

    def ask(label: str) -> str:
        prompts.append(label)
        return "correct horse"

    for unlock in (
        PassphraseSource(file=phrase),
        PassphraseSource(env_name="SITE_PASS", prompt=ask),
        PassphraseSource(prompt=ask),
    ):
        assert load_signer(tmp_path / "k.pem", passphrase_source=unlock).public == signer.public
    assert prompts == [f"passphrase of {tmp_path / 'k.pem'}"]


@pytest.mark.parametrize(
    ("unlock", "message"),
    [
        (
            PassphraseSource(env_name="NOT_SET"),
            "environment variable NOT_SET: expected a passphrase, got none",
        ),
        (
            PassphraseSource(env_name="TWO_LINES"),
            "environment variable TWO_LINES: expected a passphrase of one",
        ),
        (PassphraseSource(prompt=lambda _: ""), "expected a passphrase of one line"),
        (PassphraseSource(prompt=lambda _: "wrong horse"), "wrong passphrase, or damaged"),
        (PassphraseSource(file=Path("/nonexistent/phrase")), "/nonexistent/phrase: cannot be read"),
        (PassphraseSource(), "needs a passphrase"),
    ],
)
def test_invalid_passphrase_is_reported_and_redacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unlock: PassphraseSource, message: str
) -> None:
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse\n")
    create_signer(tmp_path / "k.pem", passphrase_file=phrase)
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("TWO_LINES", "correct\nhorse")

    with pytest.raises(HardpanError) as caught:
        load_signer(tmp_path / "k.pem", passphrase_source=unlock)
    assert message in str(caught.value)
    assert "horse" not in f"{caught.value} {caught.value.hint}"
