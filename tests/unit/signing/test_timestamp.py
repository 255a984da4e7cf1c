import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from hardpan.errors import InputError, TrustError
from hardpan.signing import new_signer, read_bundle, sign, tsa
from hardpan.signing.der import read_der
from hardpan.signing.timestamp import (
    ask,
    authority,
    check_address,
    trusted_time,
    with_timestamp,
)
from hardpan.signing.timestamp_token import MAX_TOKEN_BYTES
from tests.tooling.tsa import POLICY, Tsa, der

AT = datetime(2026, 11, 21, 4, 6, tzinfo=UTC)
TSA = Tsa()
TRUSTED = authority(TSA.pem.encode(), policy_oid=POLICY, what="policy")


def test_the_time_of_a_token_is_read() -> None:
    assert trusted_time(TSA.token(b"sig", AT), b"sig", TRUSTED) == AT


def test_a_token_outlives_its_certificate() -> None:
    short = Tsa(end=datetime(2026, 11, 22, tzinfo=UTC))
    trusted = authority(short.pem.encode(), policy_oid="", what="policy")

    assert trusted_time(short.token(b"sig", AT), b"sig", trusted) == AT


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (lambda: TSA.token(b"other", AT), "over another signature"),
        (lambda: TSA.token(b"sig", AT, policy="1.2.3"), "expected policy 1.3.6.1.4.1.13762.3, "),
        (lambda: TSA.token(b"sig", AT, algorithm="1.3.14.3.2.26"), "expected SHA-256"),
        (lambda: TSA.token(b"sig", AT, status=2), "refused to give a timestamp (status 2)"),
        (lambda: TSA.token(b"sig", AT, status=1), "refused to give a timestamp (status 1)"),
        (lambda: Tsa().token(b"sig", AT), "not by a trusted authority"),
        (lambda: TSA.token(b"sig", datetime(2027, 6, 1, tzinfo=UTC)), "not by a trusted authority"),
        (lambda: TSA.token(b"sig", AT)[:-1], "not an RFC 3161 answer"),
        (lambda: TSA.token(b"sig", AT) + b"x", "not an RFC 3161 answer"),
        (lambda: b"", "not an RFC 3161 answer"),
        (lambda: b"<html>", "not an RFC 3161 answer"),
        (lambda: b"0" * (MAX_TOKEN_BYTES + 1), "expected at most 65536 bytes"),
    ],
)
def test_a_token_that_proves_nothing_is_refused(token: object, said: str) -> None:
    with pytest.raises(TrustError) as caught:
        trusted_time(token(), b"sig", TRUSTED)  # type: ignore[operator]

    assert said in str(caught.value)


def test_a_certificate_for_another_purpose_gives_no_time() -> None:
    other = Tsa(eku=False)
    with pytest.raises(TrustError, match="not by a trusted authority"):
        trusted_time(
            other.token(b"sig", AT), b"sig", authority(other.pem.encode(), policy_oid="", what="x")
        )


def test_a_damaged_token_never_crashes_and_never_says_another_time() -> None:
    dice = random.Random(3)  # noqa: S311
    good = TSA.token(b"sig", AT)
    told = {trusted_time(good, b"sig", TRUSTED)}
    refused = 0
    for _ in range(1500):
        data = bytearray(good)
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        try:
            told.add(trusted_time(bytes(data), b"sig", TRUSTED))
        except TrustError:
            refused += 1
    assert told == {AT}
    assert refused > 1400


def test_the_token_lies_in_the_bundle_where_cosign_looks(tmp_path: object) -> None:
    signed = sign(b"{}", new_signer(tmp_path / "k.pem"))  # type: ignore[operator]
    token = TSA.token(signed.signature, AT)

    assert read_bundle(with_timestamp(signed.bundle, token), what="b").timestamp == token
    assert read_bundle(signed.bundle, what="b").timestamp == b""


@pytest.mark.parametrize("url", ["", "tsa.example", "file:///etc/passwd", "ftp://x/", "http://"])
def test_another_address_than_http_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="expected the http:// or https:// address"):
        ask(url, b"sig")


def _answering(monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]) -> None:
    """An authority whose answer is changed on its way."""

    def post(url: str, data: bytes, *, timeout_s: float, max_bytes: int) -> bytes:
        request = read_der(data, what=url, max_bytes=max_bytes).children()
        return change(TSA.token(b"sig", AT, nonce=request[2].integer()))

    monkeypatch.setattr(tsa, "post", post)


def _book(token: bytes) -> bytes:
    status = der(0x30, b"\x02\x01\x00", der(0x30, der(0x0C, bytes(600))))
    return der(0x30, status, read_der(token, what="x", max_bytes=9999).children()[1].encoded)


def test_answer_that_every_verifier_takes_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, lambda token: token)

    assert trusted_time(ask("http://tsa.example/", b"sig"), b"sig", TRUSTED) == AT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_book, "expected a status, and a short text at most"),
        (lambda token: token.replace(b"20261121040600Z", b"20261121040500Z"), "something else"),
    ],
)
def test_answer_that_every_verifier_refuses_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes], said: str
) -> None:
    _answering(monkeypatch, change)

    with pytest.raises(TrustError, match=said):
        ask("http://tsa.example/", b"sig")


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="without a name or password") as caught:
        ask("https://me:secret@tsa.example/", b"sig")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("pem", "oid", "said"),
    [
        (b"", "", "policy: expected certificates in PEM"),
        (b"hello", "", "policy: expected certificates in PEM"),
        (TSA.pem.encode(), "one.two", "policy: policy_oid: expected e.g. 1.2.3.4, found 'one.two'"),
    ],
)
def test_a_wrong_authority_is_named(pem: bytes, oid: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        authority(pem, policy_oid=oid, what="policy")

    assert said in str(caught.value)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    needs: tuple[Callable[[], object], ...] = (
        lambda: trusted_time(b"", b"", TRUSTED),
        lambda: check_address("https://tsa.example/"),
    )
    for need in needs:
        with pytest.raises(InputError, match="need the Python package rfc3161-client") as caught:
            need()

        assert caught.value.hint == "pip install 'hardpan[tsa]'"
