"""``pkcs11:token=…;object=…``: a key in a smart card or HSM, by OpenSC's pkcs11-tool.

A program, not a library: a vendor's module that crashes takes no scan with it,
Debian and EL ship it, and it brings no Python package (python-pkcs11 wants
asn1crypto, last released in 2022). One trap: for signing, the pkcs11-tool of
OpenSC 0.23 ignores ``--label`` and takes the first private key there is. So the
id is looked up by the label first, and every signature is verified.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from hardpan.core.errors import InputError, ResourceError, UsageError
from hardpan.core.process import Argv
from hardpan.core.secret_files import read_first_line
from hardpan.signing.external_tool import KeyTool, read_signature, temp_dir_with
from hardpan.signing.passphrase import PassphraseSource
from hardpan.signing.public_key import PublicKey, parse_spki

SCHEME = "pkcs11:"
_PIN_VARIABLE = "HARDPAN_PKCS11_PIN"
_REFUSAL_MESSAGES = ("CKR_PIN", "util_getpass", "CKR_USER_NOT_LOGGED_IN")
_PATH_ATTRIBUTES = ("token", "slot-id", "object", "id", "type")
_QUERY_ATTRIBUTES = ("module-path", "pin-source")
_LABEL_LINE = re.compile(r"^  label:[ \t]+(.*)$", re.MULTILINE)
_ID_LINE = re.compile(r"^  ID:[ \t]+([0-9a-f]+)$", re.MULTILINE)
_LIBRARY_DIRS = ("lib64", "lib", "lib/*-linux-gnu*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Uri:
    """An RFC 7512 URI with the supported attributes."""

    text: str
    slot_args: tuple[str, ...]
    """The token, as arguments."""

    label: str = ""
    key_id: str = ""
    """Hex."""

    module: Path
    pin_file: Path | None = None
    """The file of ``pin-source``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Signer:
    """A private key that never leaves its token."""

    public: PublicKey
    uri: Pkcs11Uri
    key_id: str
    """CKA_ID, hex."""

    passphrase_source: PassphraseSource

    def sign(self, message: bytes) -> bytes:
        """The token's signature over ``message``, in DER for ECDSA."""
        pin = _read_pin(self.uri, self.passphrase_source)
        is_rsa = self.public.alg.startswith("rsa")
        # ECDSA: hashed here, since many tokens (SoftHSM 2.6 too) have no CKM_ECDSA_SHA256.
        data = message if is_rsa else hashlib.sha256(message).digest()
        mechanism_args = (
            ["SHA256-RSA-PKCS"] if is_rsa else ["ECDSA", "--signature-format", "openssl"]
        )
        with temp_dir_with(data=data) as folder:
            base_argv: Argv = ("pkcs11-tool", "--module", self.uri.module, *self.uri.slot_args)
            login = ("--login", "--pin", f"env:{_PIN_VARIABLE}")
            argv: Argv = (
                *base_argv,
                *login,
                "--sign",
                "--id",
                self.key_id,
                "--mechanism",
                *mechanism_args,
            )
            files: Argv = ("-i", folder / "data", "-o", folder / "signature")
            env = {**_build_environment(self.passphrase_source), _PIN_VARIABLE: os.fsdecode(pin)}
            _build_key_tool(self.uri, env).run([*argv, *files], secret=pin, on_stdin=False)
            return read_signature(folder / "signature", self.public, message, label=self.uri.text)


def load(ref: str, passphrase_source: PassphraseSource) -> Pkcs11Signer:
    """The signer of a ``pkcs11:`` URI; its public half is read from the token, without the PIN.

    Raises:
        UsageError: the URI is malformed or names no single key.
        InputError: no such key, or not of a kind that is taken.
        ToolError: pkcs11-tool is missing, or there is no such token.
    """
    uri = parse_uri(ref)
    base_argv: Argv = ("pkcs11-tool", "--module", uri.module, *uri.slot_args)
    key_tool = _build_key_tool(uri, _build_environment(passphrase_source))
    listing = key_tool.run([*base_argv, "--list-objects", "--type", "pubkey"]).stdout
    key_id = select_key_id(listing, uri)
    with temp_dir_with() as folder:
        read_args: Argv = (
            "--read-object",
            "--type",
            "pubkey",
            "--id",
            key_id,
            "-o",
            folder / "public",
        )
        key_tool.run([*base_argv, *read_args])
        public = parse_spki((folder / "public").read_bytes(), label=uri.text)
    if public.algorithm.is_post_quantum:
        raise InputError(f"{uri.text}: {public.alg} from a token is not supported")
    return Pkcs11Signer(public=public, uri=uri, key_id=key_id, passphrase_source=passphrase_source)


def parse_uri(ref: str) -> Pkcs11Uri:
    """The parts of a ``pkcs11:`` URI.

    Raises:
        UsageError: an attribute is unknown, doubled, missing or has a bad value.
    """
    if "pin-value" in ref:
        # NOTE: the message is without the URI, which holds the PIN.
        raise UsageError(
            "pkcs11: pin-value: every user of this machine can read a command line",
            hint="?pin-source=file:/path/to/pin, --passphrase-file or --passphrase-env",
        )
    path, _, query = ref.removeprefix(SCHEME).partition("?")
    attributes = {
        **_parse_attributes(path, ";", _PATH_ATTRIBUTES, ref),
        **_parse_attributes(query, "&", _QUERY_ATTRIBUTES, ref),
    }
    if unquote(attributes.get("type", "private")) != "private":
        raise UsageError(f"{ref}: expected type=private or none")
    if "object" not in attributes and "id" not in attributes:
        raise UsageError(f"{ref}: expected object=LABEL or id=%01 to name the key")
    return Pkcs11Uri(
        text=ref,
        slot_args=_build_slot_args(attributes, ref),
        label=_decode_text(attributes.get("object", ""), ref),
        key_id=unquote_to_bytes(attributes.get("id", "")).hex(),
        module=_find_module(attributes.get("module-path"), ref),
        pin_file=_parse_pin_file(attributes["pin-source"], ref)
        if "pin-source" in attributes
        else None,
    )


def select_key_id(listing: str, uri: Pkcs11Uri) -> str:
    """The id (hex) of the one public key in pkcs11-tool's list that ``uri`` names.

    Raises:
        InputError: none, or more than one.
    """
    key_ids = set()
    blocks = listing.split("Public Key Object")[1:]
    for block in blocks:
        label, key_id = _LABEL_LINE.search(block), _ID_LINE.search(block)
        has_label = not uri.label or (label and label[1] == uri.label)
        if key_id and has_label and uri.key_id in ("", key_id[1]):
            key_ids.add(key_id[1])
    if len(key_ids) != 1:
        raise InputError(
            f"{uri.text}: expected one key of that name, got {len(key_ids)}",
            hint="the token must hold the public key too, with an id; "
            "'pkcs11-tool --list-objects --type pubkey' shows them",
        )
    return key_ids.pop()


def _parse_attributes(
    text: str, separator: str, allowed: tuple[str, ...], ref: str
) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for part in filter(None, text.split(separator)):
        name, equals_sign, value = part.partition("=")
        if name not in allowed:
            raise UsageError(f"{ref}: attribute {name!r}: expected one of {', '.join(allowed)}")
        if name in attributes or not equals_sign or not value:
            raise UsageError(f"{ref}: attribute {name!r}: expected once, with a value")
        attributes[name] = value
    return attributes


def _build_slot_args(attributes: dict[str, str], ref: str) -> tuple[str, ...]:
    token, slot = attributes.get("token"), attributes.get("slot-id")
    if (token is None) == (slot is None):
        raise UsageError(f"{ref}: expected token=LABEL or slot-id=NUMBER, one of them")
    if token is not None:
        return ("--token-label", _decode_text(token, ref))
    if not slot or not slot.isascii() or not slot.isdecimal():
        raise UsageError(f"{ref}: slot-id: expected a number")
    return ("--slot", slot)


def _decode_text(value: str, ref: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as e:
        raise UsageError(f"{ref}: expected labels in UTF-8") from e


def _find_module(value: str | None, ref: str) -> Path:
    if value is not None:
        path = Path(unquote(value))
        if not path.is_absolute() or not path.is_file():
            raise UsageError(f"{ref}: module-path: expected the absolute path of a library")
        return path
    for folder in _LIBRARY_DIRS:
        for path in sorted(Path("/usr").glob(f"{folder}/p11-kit-proxy.so")):
            return path
    raise ResourceError(
        "no PKCS#11 module: p11-kit-proxy.so is not installed",
        hint="install p11-kit, or name the vendor's module: ?module-path=/usr/lib/…/module.so",
    )


def _parse_pin_file(value: str, ref: str) -> Path:
    path = Path(unquote(value).removeprefix("file:"))
    if value.startswith(("|", "%7C", "%7c")) or not path.is_absolute():
        raise UsageError(f"{ref}: pin-source: expected file:/ and an absolute path")
    return path


def _read_pin(uri: Pkcs11Uri, passphrase_source: PassphraseSource) -> bytes:
    if uri.pin_file is not None:
        return read_first_line(uri.pin_file)
    pin = passphrase_source.read(f"PIN of {uri.text}")
    if pin is None:
        raise InputError(
            f"{uri.text}: needs its PIN",
            hint="?pin-source=file:/path/to/pin, --passphrase-file or --passphrase-env",
        )
    return pin


def _build_environment(passphrase_source: PassphraseSource) -> dict[str, str]:
    """All of it but the secrets: vendors' modules find their settings by variables of their own."""
    excluded = ("PATH", "LANG", passphrase_source.env_name)
    return {k: v for k, v in os.environ.items() if k not in excluded and not k.startswith("LC_")}


def _build_key_tool(uri: Pkcs11Uri, env: dict[str, str]) -> KeyTool:
    return KeyTool(
        label=uri.text,
        env=env,
        refusal_messages=_REFUSAL_MESSAGES,
        hint="pkcs11-tool is in the package opensc; 'pkcs11-tool --list-token-slots' lists tokens",
    )
