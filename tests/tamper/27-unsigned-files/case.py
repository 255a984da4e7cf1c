"""Files that the signature does not cover, replaced without a key."""

import json
from dataclasses import replace
from functools import cache

from hardpan.scanners.evidence.file_names import CMS, PQ_ENVELOPE, TEST_RESULT, TIMESTAMP
from hardpan.signing import create_signer, embed_timestamp, load_pq_signer, sign_cms_detached
from hardpan.signing.der import read_der
from tests.tamper.kit import BUNDLE, STAMPED, Evidence, encode_base64, write_certificate
from tests.tools.tsa import FakeTsa, encode_der

NOBODY = {"require_timestamp": None}


def _file(kit, name, data):
    return Evidence(files={**kit.valid_files, name: data}, policy=NOBODY)


def _cms_by(kit, signer, payload=None):
    signature = sign_cms_detached(
        payload or kit.valid_files["statement.json"], signer, write_certificate(kit.folder, signer)
    )
    return _file(kit, CMS, signature)


def _token(kit, token):
    """Replace the timestamp in the bundle and the file, so that the copies agree."""
    files = {
        **kit.valid_files,
        BUNDLE: embed_timestamp(kit.valid_files[BUNDLE], token),
        TIMESTAMP: token,
    }
    return Evidence(files=files, policy=NOBODY)


def _token_of(kit, tsa, message=None):
    return _token(kit, tsa.make_token(message or kit.valid_files["statement.sig"], STAMPED))


def _text(kit, change):
    """Change the text of the bundle, not its content."""
    return _file(kit, BUNDLE, change(kit.valid_files[BUNDLE].decode()).encode())


def _escaped(kit):
    payload = json.loads(kit.valid_files[BUNDLE])["dsseEnvelope"]["payload"]
    return _text(kit, lambda t: t.replace(payload, "".join(f"\\u{ord(c):04x}" for c in payload)))


@cache
def _pq(folder):
    path = folder / "keys" / "unsigned-pq.pem"
    create_signer(path, alg="ml-dsa-65")
    return load_pq_signer(path)


def _with_pq(kit, change):
    """Evidence with an ML-DSA signature for which the policy has no key."""
    files = kit.sign_scan(pq=_pq(kit.folder))
    envelope = json.loads(files[PQ_ENVELOPE])
    envelope["signatures"][0] = change(envelope["signatures"][0])
    return Evidence(files={**files, PQ_ENVELOPE: json.dumps(envelope).encode()}, policy=NOBODY)


def _second(kit, change):
    """Change the bundle of the test-result statement."""
    return _file(kit, TEST_RESULT, change(kit.valid_files[TEST_RESULT]))


def _with_text(kit):
    """A token of the policy's authority with a text in the status, which is not signed."""
    token = (
        read_der(kit.valid_files[TIMESTAMP], label="x", max_bytes=1 << 20)
        .read_children()[1]
        .encoded
    )
    status = encode_der(
        0x30, b"\x02\x01\x00", encode_der(0x30, encode_der(0x0C, b"call 555. " * 60))
    )
    return replace(_token(kit, encode_der(0x30, status, token)), policy={})


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files, policy=NOBODY),
    "control: timestamp by an unlisted authority": lambda kit: _token_of(kit, FakeTsa()),
    "control: ML-DSA signature by an unlisted key": lambda kit: _with_pq(kit, lambda s: s),
    "CMS: anything": lambda kit: _file(kit, CMS, b"hello"),
    "CMS: more than its limit": lambda kit: _file(kit, CMS, bytes((64 << 10) + 1)),
    "CMS: a byte after its end": lambda kit: _file(kit, CMS, kit.valid_files[CMS] + b"\0"),
    "CMS: a bit flipped": lambda kit: _file(
        kit, CMS, kit.valid_files[CMS][:-1] + bytes([kit.valid_files[CMS][-1] ^ 1])
    ),
    "CMS: over another statement": lambda kit: _cms_by(kit, kit.scan_signer, b"{}"),
    "CMS: by another key": lambda kit: _cms_by(kit, kit.untrusted_signer),
    "timestamp: anything": lambda kit: _token(kit, b"hello"),
    "timestamp: more than its limit": lambda kit: _token(kit, bytes((64 << 10) + 1)),
    "timestamp: a byte after its end": lambda kit: _token(kit, kit.valid_files[TIMESTAMP] + b"\0"),
    "timestamp: over another signature": lambda kit: _token_of(kit, FakeTsa(), b"another"),
    "timestamp: its time changed": lambda kit: _token(
        kit, kit.valid_files[TIMESTAMP].replace(b"20261121040600Z", b"20261121040500Z")
    ),
    "ML-DSA: random bytes of the right length": lambda kit: _with_pq(
        kit, lambda s: {**s, "sig": encode_base64(bytes(range(1, 256)) * 12 + bytes(range(1, 250)))}
    ),
    "the bundle: half a megabyte of space": lambda kit: _text(
        kit, lambda t: t[:-1] + " " * (1 << 19) + "}"
    ),
    "the bundle: its payload in escapes": _escaped,
    "the bundle: a message for a key's name": lambda kit: Evidence(
        files=kit.with_changed_bundle(
            lambda b: b["verificationMaterial"]["publicKey"].update(hint="call 555 to have it")
        ),
        policy=NOBODY,
    ),
    "the second statement: a timestamp": lambda kit: _second(
        kit, lambda data: embed_timestamp(data, bytes(60_000))
    ),
    "the second statement: half a megabyte of space": lambda kit: _second(
        kit, lambda data: data + b" " * (1 << 19)
    ),
    "a long text in the token of the policy's authority": _with_text,
}
