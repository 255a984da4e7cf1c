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

from hardpan.errors import InputError, ResourceError, UsageError
from hardpan.process import Argv
from hardpan.secret_files import read_first_line
from hardpan.signing.programs import Program, made, room
from hardpan.signing.public import PublicKey, parse_spki
from hardpan.signing.unlock import Unlock

SCHEME = "pkcs11:"
_PIN = "HARDPAN_PKCS11_PIN"
_REFUSALS = ("CKR_PIN", "util_getpass", "CKR_USER_NOT_LOGGED_IN")
_PATH_ATTRIBUTES = ("token", "slot-id", "object", "id", "type")
_QUERY_ATTRIBUTES = ("module-path", "pin-source")
_LABEL = re.compile(r"^  label:[ \t]+(.*)$", re.MULTILINE)
_ID = re.compile(r"^  ID:[ \t]+([0-9a-f]+)$", re.MULTILINE)
_LIBRARIES = ("lib64", "lib", "lib/*-linux-gnu*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uri:
    """An RFC 7512 URI, as far as it is taken."""

    text: str
    slot: tuple[str, ...]
    """The token, as arguments."""

    label: str = ""
    id: str = ""
    """Hex."""

    module: Path
    pin: Path | None = None
    """The file of ``pin-source``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Signer:
    """A private key that never leaves its token."""

    public: PublicKey
    uri: Uri
    id: str
    """CKA_ID, hex."""

    unlock: Unlock

    def sign(self, message: bytes) -> bytes:
        """The token's signature over ``message``, in DER for ECDSA."""
        pin = _pin(self.uri, self.unlock)
        is_rsa = self.public.alg.startswith("rsa")
        # ECDSA: hashed here, since many tokens (SoftHSM 2.6 too) have no CKM_ECDSA_SHA256.
        data = message if is_rsa else hashlib.sha256(message).digest()
        how = ["SHA256-RSA-PKCS"] if is_rsa else ["ECDSA", "--signature-format", "openssl"]
        with room(data=data) as folder:
            tool: Argv = ("pkcs11-tool", "--module", self.uri.module, *self.uri.slot)
            login = ("--login", "--pin", f"env:{_PIN}")
            argv: Argv = (*tool, *login, "--sign", "--id", self.id, "--mechanism", *how)
            files: Argv = ("-i", folder / "data", "-o", folder / "signature")
            env = {**_environment(self.unlock), _PIN: os.fsdecode(pin)}
            _program(self.uri, env).run([*argv, *files], secret=pin, piped=False)
            return made(folder / "signature", self.public, message, by=self.uri.text)


def load(ref: str, unlock: Unlock) -> Pkcs11Signer:
    """The signer of a ``pkcs11:`` URI; its public half is read from the token, without the PIN.

    Raises:
        UsageError: the URI is malformed or names no single key.
        InputError: no such key, or not of a kind that is taken.
        ToolError: pkcs11-tool is missing, or there is no such token.
    """
    uri = parse(ref)
    tool: Argv = ("pkcs11-tool", "--module", uri.module, *uri.slot)
    program = _program(uri, _environment(unlock))
    listed = program.run([*tool, "--list-objects", "--type", "pubkey"]).stdout
    key_id = chosen(listed, uri)
    with room() as folder:
        into: Argv = ("--read-object", "--type", "pubkey", "--id", key_id, "-o", folder / "public")
        program.run([*tool, *into])
        public = parse_spki((folder / "public").read_bytes(), what=uri.text)
    if public.algorithm.post_quantum:
        raise InputError(f"{uri.text}: {public.alg} from a token is not supported")
    return Pkcs11Signer(public=public, uri=uri, id=key_id, unlock=unlock)


def parse(ref: str) -> Uri:
    """The parts of a ``pkcs11:`` URI.

    Raises:
        UsageError: an attribute is unknown, doubled, missing or has a bad value.
    """
    if "pin-value" in ref:
        # NOTE: the message is without the URI, which holds the PIN.
        raise UsageError(
            "pkcs11: pin-value: everybody on this machine can read a command line",
            hint="?pin-source=file:/path/to/pin, --passphrase-file or --passphrase-env",
        )
    path, _, query = ref.removeprefix(SCHEME).partition("?")
    have = {
        **_attributes(path, ";", _PATH_ATTRIBUTES, ref),
        **_attributes(query, "&", _QUERY_ATTRIBUTES, ref),
    }
    if unquote(have.get("type", "private")) != "private":
        raise UsageError(f"{ref}: expected type=private or none")
    if "object" not in have and "id" not in have:
        raise UsageError(f"{ref}: expected object=LABEL or id=%01 to name the key")
    return Uri(
        text=ref,
        slot=_slot(have, ref),
        label=_text(have.get("object", ""), ref),
        id=unquote_to_bytes(have.get("id", "")).hex(),
        module=_module(have.get("module-path"), ref),
        pin=_file(have["pin-source"], ref) if "pin-source" in have else None,
    )


def chosen(listed: str, uri: Uri) -> str:
    """The id (hex) of the one public key in pkcs11-tool's list that ``uri`` names.

    Raises:
        InputError: none, or more than one.
    """
    found = set()
    blocks = listed.split("Public Key Object")[1:]
    for block in blocks:
        label, key_id = _LABEL.search(block), _ID.search(block)
        named = not uri.label or (label and label[1] == uri.label)
        if key_id and named and uri.id in ("", key_id[1]):
            found.add(key_id[1])
    if len(found) != 1:
        raise InputError(
            f"{uri.text}: expected one key of that name, found {len(found)}",
            hint="the token must hold the public key too, with an id; "
            "'pkcs11-tool --list-objects --type pubkey' shows them",
        )
    return found.pop()


def _attributes(text: str, between: str, known: tuple[str, ...], ref: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(between)):
        name, is_there, value = part.partition("=")
        if name not in known:
            raise UsageError(f"{ref}: attribute {name!r}: expected one of {', '.join(known)}")
        if name in found or not is_there or not value:
            raise UsageError(f"{ref}: attribute {name!r}: expected once, with a value")
        found[name] = value
    return found


def _slot(have: dict[str, str], ref: str) -> tuple[str, ...]:
    token, slot = have.get("token"), have.get("slot-id")
    if (token is None) == (slot is None):
        raise UsageError(f"{ref}: expected token=LABEL or slot-id=NUMBER, one of them")
    if token is not None:
        return ("--token-label", _text(token, ref))
    if not slot or not slot.isascii() or not slot.isdecimal():
        raise UsageError(f"{ref}: slot-id: expected a number")
    return ("--slot", slot)


def _text(value: str, ref: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as e:
        raise UsageError(f"{ref}: expected labels in UTF-8") from e


def _module(value: str | None, ref: str) -> Path:
    if value is not None:
        path = Path(unquote(value))
        if not path.is_absolute() or not path.is_file():
            raise UsageError(f"{ref}: module-path: expected the absolute path of a library")
        return path
    for folder in _LIBRARIES:
        for path in sorted(Path("/usr").glob(f"{folder}/p11-kit-proxy.so")):
            return path
    raise ResourceError(
        "no PKCS#11 module: p11-kit-proxy.so is not installed",
        hint="install p11-kit, or name the vendor's module: ?module-path=/usr/lib/…/module.so",
    )


def _file(value: str, ref: str) -> Path:
    path = Path(unquote(value).removeprefix("file:"))
    if value.startswith(("|", "%7C", "%7c")) or not path.is_absolute():
        raise UsageError(f"{ref}: pin-source: expected file:/ and an absolute path")
    return path


def _pin(uri: Uri, unlock: Unlock) -> bytes:
    if uri.pin is not None:
        return read_first_line(uri.pin)
    pin = unlock.secret(f"PIN of {uri.text}")
    if pin is None:
        raise InputError(
            f"{uri.text}: needs its PIN",
            hint="?pin-source=file:/path/to/pin, --passphrase-file or --passphrase-env",
        )
    return pin


def _environment(unlock: Unlock) -> dict[str, str]:
    """All of it but the secrets: vendors' modules find their settings by variables of their own."""
    ours = ("PATH", "LANG", unlock.env)
    return {k: v for k, v in os.environ.items() if k not in ours and not k.startswith("LC_")}


def _program(uri: Uri, env: dict[str, str]) -> Program:
    return Program(
        what=uri.text,
        env=env,
        refusals=_REFUSALS,
        hint="pkcs11-tool is in the package opensc; 'pkcs11-tool --list-token-slots' lists tokens",
    )
