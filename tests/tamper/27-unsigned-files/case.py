"""Files that the signature does not cover, replaced without a key."""

import json
from dataclasses import replace
from functools import cache

from hardpan.scanners.evidence.sign.writer import PQ_ENVELOPE
from hardpan.scanners.evidence.statement.predicate_extensions import (
    CMS,
    TEST_RESULT,
    TIMESTAMP,
)
from hardpan.signing import create_signer, embed_timestamp, load_pq_signer, sign_cms_detached
from hardpan.signing.der import read_der
from tests.tamper.kit import BUNDLE, STAMPED, Evidence, b64, certificate_of
from tests.tools.tsa import FakeTsa, encode_der

NOBODY = {"require_timestamp": None}


def _file(w, name, data):
    return Evidence(files={**w.good, name: data}, policy=NOBODY)


def _cms_by(w, signer, payload=None):
    made = sign_cms_detached(
        payload or w.good["statement.json"], signer, certificate_of(w.folder, signer)
    )
    return _file(w, CMS, made)


def _token(w, token):
    """In both places, so that the copies agree."""
    files = {**w.good, BUNDLE: embed_timestamp(w.good[BUNDLE], token), TIMESTAMP: token}
    return Evidence(files=files, policy=NOBODY)


def _token_of(w, tsa, message=None):
    return _token(w, tsa.token(message or w.good["statement.sig"], STAMPED))


def _text(w, change):
    """The bundle's text changed: what it carries is the same."""
    return _file(w, BUNDLE, change(w.good[BUNDLE].decode()).encode())


def _escaped(w):
    payload = json.loads(w.good[BUNDLE])["dsseEnvelope"]["payload"]
    return _text(w, lambda t: t.replace(payload, "".join(f"\\u{ord(c):04x}" for c in payload)))


@cache
def _pq(folder):
    path = folder / "keys" / "unsigned-pq.pem"
    create_signer(path, alg="ml-dsa-65")
    return load_pq_signer(path)


def _with_pq(w, change):
    """Evidence with an ML-DSA signature for which the policy has no key."""
    files = w.made(pq=_pq(w.folder))
    envelope = json.loads(files[PQ_ENVELOPE])
    envelope["signatures"][0] = change(envelope["signatures"][0])
    return Evidence(files={**files, PQ_ENVELOPE: json.dumps(envelope).encode()}, policy=NOBODY)


def _second(w, change):
    """The bundle of the second statement changed."""
    return _file(w, TEST_RESULT, change(w.good[TEST_RESULT]))


def _with_text(w):
    """A token by the policy's authority, with a text in the status, which nobody signs."""
    token = read_der(w.good[TIMESTAMP], label="x", max_bytes=1 << 20).read_children()[1].encoded
    status = encode_der(
        0x30, b"\x02\x01\x00", encode_der(0x30, encode_der(0x0C, b"call 555. " * 60))
    )
    return replace(_token(w, encode_der(0x30, status, token)), policy={})


VARIANTS = {
    "twin": lambda w: Evidence(files=w.good, policy=NOBODY),
    "twin: a timestamp by an authority that nobody named": lambda w: _token_of(w, FakeTsa()),
    "twin: an ML-DSA signature by a key that nobody named": lambda w: _with_pq(w, lambda s: s),
    "CMS: anything": lambda w: _file(w, CMS, b"hello"),
    "CMS: more than its limit": lambda w: _file(w, CMS, bytes((64 << 10) + 1)),
    "CMS: a byte after its end": lambda w: _file(w, CMS, w.good[CMS] + b"\0"),
    "CMS: a bit flipped": lambda w: _file(w, CMS, w.good[CMS][:-1] + bytes([w.good[CMS][-1] ^ 1])),
    "CMS: over another statement": lambda w: _cms_by(w, w.scan, b"{}"),
    "CMS: by another key": lambda w: _cms_by(w, w.evil),
    "timestamp: anything": lambda w: _token(w, b"hello"),
    "timestamp: more than its limit": lambda w: _token(w, bytes((64 << 10) + 1)),
    "timestamp: a byte after its end": lambda w: _token(w, w.good[TIMESTAMP] + b"\0"),
    "timestamp: over another signature": lambda w: _token_of(w, FakeTsa(), b"another"),
    "timestamp: its time changed": lambda w: _token(
        w, w.good[TIMESTAMP].replace(b"20261121040600Z", b"20261121040500Z")
    ),
    "ML-DSA: random bytes of the right length": lambda w: _with_pq(
        w, lambda s: {**s, "sig": b64(bytes(range(1, 256)) * 12 + bytes(range(1, 250)))}
    ),
    "the bundle: half a megabyte of space": lambda w: _text(
        w, lambda t: t[:-1] + " " * (1 << 19) + "}"
    ),
    "the bundle: its payload in escapes": _escaped,
    "the bundle: a message for a key's name": lambda w: Evidence(
        files=w.bundled(
            lambda b: b["verificationMaterial"]["publicKey"].update(hint="call 555 to have it")
        ),
        policy=NOBODY,
    ),
    "the second statement: a timestamp": lambda w: _second(
        w, lambda data: embed_timestamp(data, bytes(60_000))
    ),
    "the second statement: half a megabyte of space": lambda w: _second(
        w, lambda data: data + b" " * (1 << 19)
    ),
    "a long text in the token of the policy's authority": _with_text,
}
