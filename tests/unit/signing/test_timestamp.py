import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from hardpan.core.errors import InputError, TrustError
from hardpan.core.limits import MAX_TIMESTAMP_TOKEN_BYTES
from hardpan.signing import create_signer, read_bundle, sign, tsa_client
from hardpan.signing.der import read_der
from hardpan.signing.timestamp import (
    check_tsa_url,
    embed_timestamp,
    load_tsa,
    request_timestamp,
    verify_timestamp,
)
from tests.tools.tsa import POLICY, FakeTsa, encode_der

AT = datetime(2026, 11, 21, 4, 6, tzinfo=UTC)
TSA = FakeTsa()
TRUSTED = load_tsa(TSA.pem.encode(), policy_oid=POLICY, label="policy")


def test_token_time_is_read() -> None:
    assert verify_timestamp(TSA.make_token(b"sig", AT), b"sig", TRUSTED) == AT


def test_token_outlives_its_certificate() -> None:
    short = FakeTsa(not_after=datetime(2026, 11, 22, tzinfo=UTC))
    trusted = load_tsa(short.pem.encode(), policy_oid="", label="policy")

    assert verify_timestamp(short.make_token(b"sig", AT), b"sig", trusted) == AT


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (lambda: TSA.make_token(b"other", AT), "covers another signature"),
        (
            lambda: TSA.make_token(b"sig", AT, policy="1.2.3"),
            "expected policy 1.3.6.1.4.1.13762.3, ",
        ),
        (lambda: TSA.make_token(b"sig", AT, algorithm="1.3.14.3.2.26"), "expected SHA-256"),
        (lambda: TSA.make_token(b"sig", AT, status=2), "refused the timestamp request (status 2)"),
        (lambda: TSA.make_token(b"sig", AT, status=1), "refused the timestamp request (status 1)"),
        (lambda: FakeTsa().make_token(b"sig", AT), "not by a trusted authority"),
        (
            lambda: TSA.make_token(b"sig", datetime(2027, 6, 1, tzinfo=UTC)),
            "not by a trusted authority",
        ),
        (lambda: TSA.make_token(b"sig", AT)[:-1], "not an RFC 3161 response"),
        (lambda: TSA.make_token(b"sig", AT) + b"x", "not an RFC 3161 response"),
        (lambda: b"", "not an RFC 3161 response"),
        (lambda: b"<html>", "not an RFC 3161 response"),
        (lambda: b"0" * (MAX_TIMESTAMP_TOKEN_BYTES + 1), "expected at most 65536 bytes"),
    ],
)
def test_invalid_token_is_rejected(token: object, message: str) -> None:
    with pytest.raises(TrustError) as caught:
        verify_timestamp(token(), b"sig", TRUSTED)  # type: ignore[operator]

    assert message in str(caught.value)


def test_token_requires_timestamping_certificate() -> None:
    other = FakeTsa(has_eku=False)
    with pytest.raises(TrustError, match="not by a trusted authority"):
        verify_timestamp(
            other.make_token(b"sig", AT),
            b"sig",
            load_tsa(other.pem.encode(), policy_oid="", label="x"),
        )


def test_damaged_token_never_changes_time() -> None:
    dice = random.Random(3)  # noqa: S311
    good = TSA.make_token(b"sig", AT)
    times = {verify_timestamp(good, b"sig", TRUSTED)}
    refused = 0
    for _ in range(1500):
        data = bytearray(good)
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        try:
            times.add(verify_timestamp(bytes(data), b"sig", TRUSTED))
        except TrustError:
            refused += 1
    assert times == {AT}
    assert refused > 1400


def test_embedded_timestamp_is_read_back(tmp_path: object) -> None:
    signed = sign(b"{}", create_signer(tmp_path / "k.pem"))  # type: ignore[operator]
    token = TSA.make_token(signed.signature, AT)

    assert read_bundle(embed_timestamp(signed.bundle, token), label="b").timestamp == token
    assert read_bundle(signed.bundle, label="b").timestamp == b""


@pytest.mark.parametrize("url", ["", "tsa.example", "file:///etc/passwd", "ftp://x/", "http://"])
def test_tsa_url_requires_http(url: str) -> None:
    with pytest.raises(InputError, match="expected the http:// or https:// address"):
        request_timestamp(url, b"sig")


def _answering(monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]) -> None:
    """An authority whose answer is changed on its way."""

    def post(url: str, data: bytes, *, timeout_s: float, max_bytes: int) -> bytes:
        request = read_der(data, label=url, max_bytes=max_bytes).read_children()
        return change(TSA.make_token(b"sig", AT, nonce=request[2].read_integer()))

    monkeypatch.setattr(tsa_client, "post", post)


def _book(token: bytes) -> bytes:
    status = encode_der(0x30, b"\x02\x01\x00", encode_der(0x30, encode_der(0x0C, bytes(600))))
    return encode_der(
        0x30, status, read_der(token, label="x", max_bytes=9999).read_children()[1].encoded
    )


def test_acceptable_tsa_response_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, lambda token: token)

    assert verify_timestamp(request_timestamp("http://tsa.example/", b"sig"), b"sig", TRUSTED) == AT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_book, "expected a status, and a short text at most"),
        (lambda token: token.replace(b"20261121040600Z", b"20261121040500Z"), "other content"),
    ],
)
def test_unacceptable_tsa_response_is_rejected(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes], message: str
) -> None:
    _answering(monkeypatch, change)

    with pytest.raises(TrustError, match=message):
        request_timestamp("http://tsa.example/", b"sig")


def test_tsa_url_with_password_is_rejected_and_redacted() -> None:
    with pytest.raises(InputError, match="without a name or password") as caught:
        request_timestamp("https://me:secret@tsa.example/", b"sig")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("pem", "oid", "message"),
    [
        (b"", "", "policy: expected certificates in PEM"),
        (b"hello", "", "policy: expected certificates in PEM"),
        (TSA.pem.encode(), "one.two", "policy: policy_oid: expected e.g. 1.2.3.4, got 'one.two'"),
    ],
)
def test_invalid_tsa_roots_are_rejected(pem: bytes, oid: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_tsa(pem, policy_oid=oid, label="policy")

    assert message in str(caught.value)


def test_missing_tsa_extra_reports_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    needs: tuple[Callable[[], object], ...] = (
        lambda: verify_timestamp(b"", b"", TRUSTED),
        lambda: check_tsa_url("https://tsa.example/"),
    )
    for need in needs:
        with pytest.raises(InputError, match="need the Python package rfc3161-client") as caught:
            need()

        assert caught.value.hint == "pip install 'hardpan[tsa]'"
