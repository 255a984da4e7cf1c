"""Which host keys are requested, and which are accepted."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import TrustError
from hardpan.ssh import host_key_check
from hardpan.ssh.certificate import Certificate, find_problem, parse_certificate
from hardpan.ssh.client_settings import ClientSettings
from hardpan.ssh.host_key_check import HostKeyCheck, OfferedKey, order_by_listed_keys
from hardpan.ssh.host_key_trust import HostKeyTrust
from hardpan.ssh.known_hosts import ListedHostKeys, ListedKey
from hardpan.ssh.public_key_blob import parse_public_key
from hardpan.ssh.target import Target
from hardpan.ssh.unsupported import UnsupportedByParamiko

AUTHORITY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAh1Oz4cchDTuZzb09RZZakcpI+wygsN+rhlvPXyw2fy"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDdW3w6ccN6ju3GgGwyko/xnpt7g+t8BaW0vZETAX3/d"
CERTIFICATE = (
    "ssh-ed25519-cert-v01@openssh.com "
    "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIGG9JJZlQsD6juJcRx9nE6fzqoUXlWfi"
    "qg9J4TcSdm4IAAAAIDdW3w6ccN6ju3GgGwyko/xnpt7g+t8BaW0vZETAX3/dAAAAAAAAAAAAAAACAAAAB3dl"
    "YiBrZXkAAAAWAAAAA3dlYgAAAAt3ZWIuZXhhbXBsZQAAAABpVbkAAAAAAGs27IAAAAAAAAAAAAAAAAAAAAAz"
    "AAAAC3NzaC1lZDI1NTE5AAAAIAh1Oz4cchDTuZzb09RZZakcpI+wygsN+rhlvPXyw2fyAAAAUwAAAAtzc2gt"
    "ZWQyNTUxOQAAAEAtmgyeleNypk0m2z+fd4hJpHHr2o3wUEVg87vElopNBVV6tEWL+4ZaAh4UpNpWGrP4GeMk"
    "DmGCcM2wpxx8XF0K"
)
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM42iTIT2Y3LJvrSICkQzJZK2RuG4afMWg0EEghz0skE"
VALID_S = 1_780_000_000
"""A time within the certificate's validity, the year 2026."""

KEY_OFFER = OfferedKey(parse_public_key(KEY))
CERTIFICATE_OFFER = OfferedKey(parse_public_key(KEY), parse_public_key(CERTIFICATE))

Check = Callable[..., HostKeyTrust]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setattr(host_key_check.time, "time", lambda: VALID_S)

    def run_check(offered: OfferedKey, known_hosts: str, **values: object) -> HostKeyTrust:
        (tmp_path / "known_hosts").write_text(known_hosts)
        target = dataclasses.replace(
            Target(host="web", user="me", known_hosts=(tmp_path / "known_hosts",)), **values
        )
        return HostKeyCheck(target, lambda *_: True).check(offered)

    return run_check


@pytest.mark.parametrize(
    ("offered", "known_hosts", "values"),
    [
        (KEY_OFFER, f"web {KEY}", {}),
        (KEY_OFFER, f"[web]:2200 {KEY}", {"port": 2200}),
        (KEY_OFFER, f"web {KEY}", {"port": 2200}),
        (KEY_OFFER, f"web {OTHER}\n[web]:2200 {KEY}", {"port": 2200}),
        (KEY_OFFER, f"alias {KEY}", {"port": 2200, "host_key_alias": "alias"}),
        (KEY_OFFER, f"web {KEY}\n@revoked other {KEY}", {}),
        (CERTIFICATE_OFFER, f"@cert-authority w* {AUTHORITY}", {}),
        (CERTIFICATE_OFFER, f"@cert-authority web {AUTHORITY}", {"port": 2200}),
        (CERTIFICATE_OFFER, f"@cert-authority web {OTHER}\nweb {KEY}", {}),
        (CERTIFICATE_OFFER, f"web {KEY}", {}),
    ],
)
def test_listed_key_is_accepted(
    check: Check, offered: OfferedKey, known_hosts: str, values: dict[str, object]
) -> None:
    assert check(offered, known_hosts, **values) is HostKeyTrust.KNOWN_HOSTS


@pytest.mark.parametrize(
    ("offered", "known_hosts", "values", "problem"),
    [
        (KEY_OFFER, "", {}, "unknown host key; it offers ssh-ed25519 SHA256:"),
        (KEY_OFFER, f"alias {KEY}", {"port": 22, "host": "other"}, "unknown host key"),
        (KEY_OFFER, f"web {KEY}", {"host_key_alias": "alias"}, "unknown host key"),
        (KEY_OFFER, f"web {OTHER}", {}, "not the expected one: expected SHA256:.*, got SHA256:"),
        (KEY_OFFER, f"[web]:2200 {OTHER}\nweb {KEY}", {"port": 2200}, "not the expected one"),
        (KEY_OFFER, f"web {KEY}\n@revoked web {KEY}", {}, "the host key is revoked"),
        (KEY_OFFER, f"@revoked web {KEY}", {"port": 2200}, "the host key is revoked"),
        (KEY_OFFER, f"web {OTHER}", {"port": 2200}, "unknown host key"),
        (KEY_OFFER, f"@revoked * {KEY}", {"trust_new_host_key": True}, "the host key is revoked"),
        (KEY_OFFER, f"web {OTHER}", {"trust_new_host_key": True}, "not the expected one"),
        (CERTIFICATE_OFFER, f"@revoked * {AUTHORITY}\nweb {KEY}", {}, "the host key is revoked"),
        (
            CERTIFICATE_OFFER,
            f"@cert-authority web {OTHER}",
            {},
            "unknown host key.*; its certificate is not accepted: known_hosts does not list",
        ),
        (
            CERTIFICATE_OFFER,
            f"@cert-authority * {AUTHORITY}",
            {"host": "db"},
            "it is not for db: expected one of its principals web, web.example",
        ),
        (
            CERTIFICATE_OFFER,
            f"@cert-authority * {AUTHORITY}",
            {"settings": ClientSettings(ca_algorithms=("rsa-sha2-512",))},
            "signed it with ssh-ed25519, which CASignatureAlgorithms does not list",
        ),
        (KEY_OFFER, "", {"host_keys": (OTHER,)}, "not the expected one"),
    ],
)
def test_other_key_is_refused_with_its_cause(
    check: Check,
    offered: OfferedKey,
    known_hosts: str,
    values: dict[str, object],
    problem: str,
) -> None:
    with pytest.raises(TrustError, match=problem):
        check(offered, known_hosts, **values)


def test_new_key_is_accepted_with_the_flag_only(check: Check) -> None:
    assert check(KEY_OFFER, "", trust_new_host_key=True) is HostKeyTrust.FIRST_USE


def test_pinned_key_overrides_known_hosts(check: Check) -> None:
    assert check(KEY_OFFER, f"web {OTHER}", host_keys=(KEY,)) is HostKeyTrust.PINNED


def test_listed_security_key_needs_the_system_ssh(check: Check) -> None:
    listed = (
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIM42iTIT2Y3LJvrSI"
        "CkQzJZK2RuG4afMWg0EEghz0skEAAAABHNzaDo="
    )

    with pytest.raises(UnsupportedByParamiko, match="a host key of the type sk-ssh-ed25519"):
        check(KEY_OFFER, f"web {listed}")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"{KEY} comment\n", "the host key is revoked"),
        (f"# {KEY}\n\n{OTHER}\n", ""),
        ("not a key\n", "cannot be checked, so every host key counts as revoked: line 1"),
        (None, "cannot be checked, so every host key counts as revoked"),
    ],
)
def test_revocation_list_is_checked(
    check: Check, tmp_path: Path, content: str | None, problem: str
) -> None:
    revoked = tmp_path / "revoked"
    if content is not None:
        revoked.write_text(content)
    settings = ClientSettings(revoked_host_keys=(revoked,))

    if not problem:
        assert check(KEY_OFFER, f"web {KEY}", settings=settings) is HostKeyTrust.KNOWN_HOSTS
        return
    with pytest.raises(TrustError, match=problem):
        check(KEY_OFFER, f"web {KEY}", settings=settings)


def test_short_rsa_key_is_refused(check: Check) -> None:
    blob = b"\0\0\0\x07ssh-rsa\0\0\0\x03\x01\0\x01\0\0\0\x81\0" + b"\xff" * 128

    with pytest.raises(TrustError, match=r"at least 2048 bits \(RequiredRSASize\), got 1024"):
        check(OfferedKey(blob), "", settings=ClientSettings(min_rsa_bits=2048))


def test_unsigned_certificate_is_refused() -> None:
    target = Target(host="web", user="me")

    with pytest.raises(TrustError, match="is not signed by its authority SHA256:"):
        HostKeyCheck(target, lambda *_: False).check(CERTIFICATE_OFFER)
    with pytest.raises(TrustError, match="the host certificate is damaged"):
        HostKeyCheck(target, lambda *_: True).check(OfferedKey(KEY_OFFER.blob, b"\0\0\0\x04abcd"))


@pytest.mark.parametrize(
    ("change", "now_s", "problem"),
    [
        ({}, VALID_S, ""),
        ({}, 1_700_000_000, "it is not yet valid"),
        ({}, 1_900_000_000, "it has expired"),
        ({"valid_before": (1 << 64) - 1}, 1_900_000_000, ""),
        ({"cert_type": 1}, VALID_S, "it is a user certificate"),
        ({"principals": ()}, VALID_S, ""),
        ({"principals": ("*",)}, VALID_S, "it is not for web"),
        ({"has_critical_options": True}, VALID_S, "it has critical options"),
    ],
)
def test_certificate_is_checked(change: dict[str, object], now_s: int, problem: str) -> None:
    certificate: Certificate = dataclasses.replace(
        parse_certificate(parse_public_key(CERTIFICATE)), **change
    )

    result = find_problem(certificate, "web", now_s, ())

    assert result.startswith(problem)
    assert bool(result) is bool(problem)


def test_damaged_certificate_is_a_value_error() -> None:
    blob = parse_public_key(CERTIFICATE)
    assert len(blob) > 100
    for end in range(len(blob)):
        with pytest.raises(ValueError):  # noqa: PT011 - several messages
            parse_certificate(blob[:end])


ED25519 = ListedKey("ssh-ed25519", b"1")
RSA = ListedKey("ssh-rsa", b"2")
ALGORITHMS = (
    "ssh-ed25519-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "rsa-sha2-512",
)


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        (ListedHostKeys(), ALGORITHMS[0]),
        (ListedHostKeys(listed=(RSA,)), "rsa-sha2-512-cert-v01@openssh.com"),
        (ListedHostKeys(listed=(RSA, ED25519)), ALGORITHMS[0]),
        (ListedHostKeys(listed=(RSA,), revoked=frozenset({b"2"})), ALGORITHMS[0]),
        (ListedHostKeys(listed=(RSA,), authorities=(ED25519,)), ALGORITHMS[0]),
    ],
)
def test_algorithms_of_listed_keys_come_first(keys: ListedHostKeys, first: str) -> None:
    result = order_by_listed_keys(ALGORITHMS, keys)

    assert result[0] == first
    assert sorted(result) == sorted(ALGORITHMS)
