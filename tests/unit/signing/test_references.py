"""Keys that a program holds: what is refused before any program starts."""

from pathlib import Path

import pytest

from hardpan.errors import HardpanError, InputError, ResourceError, UsageError
from hardpan.signing import Unlock, load_signer, new_signer, pkcs11
from hardpan.signing.pkcs11 import Uri, chosen, parse

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
def test_a_uri_names_token_and_key(
    ref: str, slot: tuple[str, ...], label: str, key_id: str
) -> None:
    uri = parse(f"{ref}?{_MODULE}&pin-source=file:/run/pin%20file")

    assert (uri.slot, uri.label, uri.id) == (slot, label, key_id)
    assert (uri.module, uri.pin) == (Path(__file__), Path("/run/pin file"))


@pytest.mark.parametrize(
    ("ref", "said"),
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
def test_a_reference_that_names_no_key_is_refused(ref: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_signer(ref)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "ref",
    [
        "pkcs11:token=t;object=k?pin-value=271828",
        "pkcs11:bad=1;token=t?pin-value=271828",
        "pkcs11:token=t;object=k;pin-value=271828",
    ],
)
def test_a_pin_on_the_command_line_is_refused_and_not_repeated(ref: str) -> None:
    with pytest.raises(UsageError, match="everybody on this machine can read") as caught:
        load_signer(ref)
    assert "271828" not in f"{caught.value} {caught.value.hint}"


def test_without_a_module_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs11, "_LIBRARIES", ("no-such-folder",))

    with pytest.raises(ResourceError, match=r"p11-kit-proxy\.so is not installed"):
        parse("pkcs11:token=t;object=k")


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


def _uri(label: str, key_id: str = "") -> Uri:
    return Uri(text="u", slot=("--slot", "1"), label=label, id=key_id, module=Path("/m"))


@pytest.mark.parametrize(
    ("label", "key_id", "found"),
    [("scan", "", "01"), ("old scan", "", "02ff"), ("", "02ff", "02ff"), ("twice", "04", "04")],
)
def test_a_token_s_key_is_found_by_label_and_id(label: str, key_id: str, found: str) -> None:
    assert chosen(_LIST, _uri(label, key_id)) == found


@pytest.mark.parametrize(
    ("label", "key_id", "said"),
    [
        ("Scan", "", "found 0"),
        ("sca", "", "found 0"),
        ("scan", "02ff", "found 0"),
        ("no id", "", "found 0"),
        ("twice", "", "found 2"),
    ],
)
def test_a_name_that_is_not_one_key_is_refused(label: str, key_id: str, said: str) -> None:
    with pytest.raises(InputError, match=f"u: expected one key of that name, {said}"):
        chosen(_LIST, _uri(label, key_id))


def test_a_key_file_for_openssl_is_held_to_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("x")
    new_signer(path)
    cases = [
        (Unlock(file=phrase), 0o600, "has no passphrase, but one was given"),
        (Unlock(), 0o640, "expected mode 0600, got 0640"),
    ]
    for unlock, mode, said in cases:
        path.chmod(mode)
        with pytest.raises(InputError, match=said):
            load_signer(f"openssl:{path}", unlock=unlock)
    new_signer(tmp_path / "locked.pem", passphrase_file=phrase)
    with pytest.raises(InputError, match=r"locked\.pem: needs a passphrase"):
        load_signer(f"openssl:{tmp_path / 'locked.pem'}")


def test_a_token_s_pin_must_come_from_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = parse(f"pkcs11:token=t;object=k?{_MODULE}")
    with pytest.raises(InputError, match="needs its PIN") as caught:
        pkcs11._pin(uri, Unlock())
    monkeypatch.setenv("SITE_PIN", "271828")

    assert "pin-source=file:" in caught.value.hint
    assert pkcs11._pin(uri, Unlock(env="SITE_PIN")) == b"271828"


def test_a_path_object_is_a_file_whatever_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_signer(Path("tpm:0x81010001"))


def test_a_passphrase_comes_from_a_file_a_variable_or_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse\n")
    made = new_signer(tmp_path / "k.pem", passphrase_file=phrase)
    monkeypatch.setenv("SITE_PASS", "correct horse")
    asked: list[str] = []

    def ask(what: str) -> str:
        asked.append(what)
        return "correct horse"

    for unlock in (Unlock(file=phrase), Unlock(env="SITE_PASS", ask=ask), Unlock(ask=ask)):
        assert load_signer(tmp_path / "k.pem", unlock=unlock).public == made.public
    assert asked == [f"passphrase of {tmp_path / 'k.pem'}"]


@pytest.mark.parametrize(
    ("unlock", "said"),
    [
        (Unlock(env="NOT_SET"), "environment variable NOT_SET: expected a passphrase, found none"),
        (Unlock(env="TWO_LINES"), "environment variable TWO_LINES: expected a passphrase of one"),
        (Unlock(ask=lambda _: ""), "expected a passphrase of one line"),
        (Unlock(ask=lambda _: "wrong horse"), "wrong passphrase, or damaged"),
        (Unlock(file=Path("/nonexistent/phrase")), "/nonexistent/phrase: cannot be read"),
        (Unlock(), "needs a passphrase"),
    ],
)
def test_a_passphrase_that_is_none_is_said_so_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unlock: Unlock, said: str
) -> None:
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse\n")
    new_signer(tmp_path / "k.pem", passphrase_file=phrase)
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("TWO_LINES", "correct\nhorse")

    with pytest.raises(HardpanError) as caught:
        load_signer(tmp_path / "k.pem", unlock=unlock)
    assert said in str(caught.value)
    assert "horse" not in f"{caught.value} {caught.value.hint}"
