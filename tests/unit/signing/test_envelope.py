import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from hardpan.core.errors import TrustError
from hardpan.signing import MalformedError, Signer, create_signer, pae, read_bundle, sign

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return create_signer(tmp_path_factory.mktemp("keys") / "k.pem")


def test_pae_counts_bytes_not_characters() -> None:
    assert pae("é".encode()) == b"DSSEv1 28 application/vnd.in-toto+json 2 \xc3\xa9"


def test_bundle_has_cosign_format(signer: Signer) -> None:
    signed = sign({"b": 1, "a": "é"}, signer)
    bundle = json.loads(signed.bundle)

    assert signed.payload == '{"a":"é","b":1}'.encode()
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert bundle["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"
    assert bundle["dsseEnvelope"]["signatures"][0]["keyid"] == ""
    assert bundle["verificationMaterial"] == {"publicKey": {"hint": signer.public.hint}}


def test_envelope_verify_returns_payload_and_key(signer: Signer, tmp_path: Path) -> None:
    other = create_signer(tmp_path / "other.pem")
    envelope = read_bundle(sign({"a": 1}, signer).bundle, label="x")

    assert envelope.verify(other.public, signer.public) == (b'{"a":1}', signer.public)
    with pytest.raises(TrustError, match="any of the 1 keys trusted"):
        envelope.verify(other.public)
    with pytest.raises(TrustError, match="any of the 0 keys trusted"):
        envelope.verify()


def _bundle(signer: Signer) -> Any:
    return json.loads(sign({"a": "ü?>~"}, signer).bundle)


def _keyid(x: Any, value: str) -> None:
    x["dsseEnvelope"]["signatures"][0]["keyid"] = value


def _malleate(x: Any) -> None:
    signature = x["dsseEnvelope"]["signatures"][0]
    r, s = decode_dss_signature(base64.b64decode(signature["sig"]))
    signature["sig"] = base64.b64encode(encode_dss_signature(r, ORDER - s)).decode()


def _url_safe(x: Any) -> None:
    env = x["dsseEnvelope"]
    env["payload"] = base64.urlsafe_b64encode(base64.b64decode(env["payload"])).decode()
    sig = base64.b64decode(env["signatures"][0]["sig"])
    env["signatures"][0]["sig"] = base64.urlsafe_b64encode(sig).decode().rstrip("=")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: None, id="as written"),
        pytest.param(lambda x: x["dsseEnvelope"]["signatures"][0].pop("keyid"), id="no keyid"),
        pytest.param(lambda x: _keyid(x, "SHA256:abc"), id="OpenSSH fingerprint as keyid"),
        pytest.param(lambda x: x["verificationMaterial"]["publicKey"].clear(), id="no hint"),
        pytest.param(_url_safe, id="url-safe base64"),
        pytest.param(_malleate, id="malleated signature"),
    ],
)
def test_equivalent_bundle_encodings_are_accepted(
    signer: Signer, change: Callable[[Any], None]
) -> None:
    bundle = _bundle(signer)
    change(bundle)

    payload, _ = read_bundle(json.dumps(bundle).encode(), label="x").verify(signer.public)
    assert payload == '{"a":"ü?>~"}'.encode()


def _env(name: str, value: object) -> Callable[[Any], None]:
    return lambda x: x["dsseEnvelope"].update({name: value})


def _sig(value: object) -> Callable[[Any], None]:
    return lambda x: x["dsseEnvelope"]["signatures"][0].update({"sig": value})


def _stamps(value: object) -> Callable[[Any], None]:
    return lambda x: x["verificationMaterial"].update(timestampVerificationData=value)


def _tokens(*tokens: object) -> Callable[[Any], None]:
    return _stamps({"rfc3161Timestamps": list(tokens)})


def _twice(x: Any) -> None:
    x["dsseEnvelope"]["signatures"] *= 2


def _raw_rs(x: Any) -> None:
    signature = x["dsseEnvelope"]["signatures"][0]
    r, s = decode_dss_signature(base64.b64decode(signature["sig"]))
    signature["sig"] = base64.b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()


def _flip(x: Any) -> None:
    signature = x["dsseEnvelope"]["signatures"][0]
    sig = bytearray(base64.b64decode(signature["sig"]))
    sig[-1] ^= 1
    signature["sig"] = base64.b64encode(sig).decode()


_TOKEN = {"signedTimestamp": "YQ=="}
REFUSED: list[tuple[str, Callable[[Any], None]]] = [
    ("mediaType: expected", lambda x: x.update(mediaType=x["mediaType"].replace("0.3", "0.4"))),
    ("unknown field 'extra'", lambda x: x.update(extra=1)),
    ("mediaType is missing", lambda x: x.pop("mediaType")),
    ("unknown field 'tlogEntries'", lambda x: x["verificationMaterial"].update(tlogEntries=[])),
    ("publicKey: unknown field", lambda x: x["verificationMaterial"]["publicKey"].update(k=1)),
    ("hint: expected text", lambda x: x["verificationMaterial"]["publicKey"].update(hint=1)),
    ("publicKey: expected an object", lambda x: x["verificationMaterial"].update(publicKey=[])),
    ("payloadType: expected", _env("payloadType", "application/vnd.in-toto.test-result+json")),
    ("payloadType: expected", _env("payloadType", "application/vnd.in-toto+JSON")),
    ("timestamps: expected an object", _stamps([])),
    ("timestamps: rfc3161Timestamps is missing", _stamps({})),
    ("timestamps: unknown field 'more'", _stamps({"rfc3161Timestamps": [_TOKEN], "more": 1})),
    ("timestamps: expected exactly one timestamp", _stamps({"rfc3161Timestamps": {"a": _TOKEN}})),
    ("timestamps: expected exactly one timestamp", _tokens()),
    ("timestamps: expected exactly one timestamp", _tokens(_TOKEN, _TOKEN)),
    ("timestamps: expected an object", _tokens("YQ==")),
    ("timestamps: signedTimestamp is missing", _tokens({})),
    ("timestamps: unknown field 'more'", _tokens({**_TOKEN, "more": 1})),
    ("timestamps: expected text", _tokens({"signedTimestamp": 1})),
    ("timestamps: not base64", _tokens({"signedTimestamp": "!"})),
    ("exactly one signature", _env("signatures", [])),
    ("exactly one signature", _env("signatures", {"a": {"sig": "YQ=="}})),
    ("exactly one signature", _twice),
    ("expected an object", _env("signatures", ["x"])),
    ("dsseEnvelope: unknown field", _env("more", 1)),
    ("payload is missing", lambda x: x["dsseEnvelope"].pop("payload")),
    ("payload: expected text", _env("payload", None)),
    ("not base64 of one alphabet", _env("payload", "eyJh\n")),
    ("not base64 of one alphabet", _env("payload", "+_==")),
    ("non-zero padding bits", _env("payload", "YR==")),
    ("wrong padding", _env("payload", "YQ=")),
    ("not base64", _env("payload", "YQAAA")),
    ("sig is missing", lambda x: x["dsseEnvelope"]["signatures"][0].pop("sig")),
    ("got 0 bytes", _sig("")),
    ("got 1025 bytes", _sig(base64.b64encode(b"0" * 1025).decode())),
    ("keyid: expected text", lambda x: _keyid(x, "k" * 300)),
    ("not by any of the 1 keys", _raw_rs),
    ("not by any of the 1 keys", _flip),
    ("not by any of the 1 keys", _sig(base64.b64encode(b"0" * 70).decode())),
    ("not by any of the 1 keys", _env("payload", "YQ==")),
]


@pytest.mark.parametrize(
    ("message", "change"), REFUSED, ids=[f"{i}-{x[0]}" for i, x in enumerate(REFUSED)]
)
def test_malformed_bundle_is_rejected(
    signer: Signer, message: str, change: Callable[[Any], None]
) -> None:
    bundle = _bundle(signer)
    change(bundle)

    with pytest.raises(TrustError) as caught:
        read_bundle(json.dumps(bundle).encode(), label="x").verify(signer.public)
    assert message in str(caught.value)


def test_signature_without_pae_is_rejected(signer: Signer) -> None:
    payload = '{"a":"é"}'.encode()
    short = pae(payload).replace(b" 10 ", b" 9 ", 1)
    for message in (payload, base64.b64encode(payload), short):
        bundle = json.loads(sign(payload, signer).bundle)
        sig = base64.b64encode(signer.sign(message)).decode()
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = sig

        with pytest.raises(TrustError, match="not by any"):
            read_bundle(json.dumps(bundle).encode(), label="x").verify(signer.public)


def test_truncated_bundle_is_rejected_at_every_length(signer: Signer) -> None:
    bundle = sign({"a": 1}, signer).bundle

    accepted = []
    for length in range(len(bundle) + 1):
        try:
            accepted.append((length, read_bundle(bundle[:length], label="x").unverified_payload))
        except MalformedError:
            continue
    assert accepted == [(len(bundle), b'{"a":1}')]


def test_flipped_bundle_byte_never_changes_payload(signer: Signer) -> None:
    bundle = sign({"a": 1}, signer).bundle

    accepted = set()
    for at in range(len(bundle)):
        for new in (bundle[at] ^ 1, bundle[at] ^ 0x20, 0xFF, 0x22):
            mutant = bundle[:at] + bytes([new]) + bundle[at + 1 :]
            if mutant != bundle:
                try:
                    accepted.add(read_bundle(mutant, label="x").verify(signer.public)[0])
                except TrustError:
                    continue
    # Some pass: those within hint and keyid, which nothing depends on.
    assert accepted == {b'{"a":1}'}
