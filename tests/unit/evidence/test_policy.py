import base64
import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from hardpan.core.errors import InputError
from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.signing import create_signer
from hardpan.workflow.key_set import create_keys
from tests.tools.tsa import FakeTsa, encode_der
from tests.unit.evidence.evidence_fixture import KEYS_CREATED_AT
from tests.unit.signing.cms_builder import build_certificate

GOOD = """\
version: 1
keys:
  - id: lab-scan
    role: scan
    alg: ecdsa-p256-sha256
    spki: scan.pub
    not_before: 2026-01-01T00:00:00Z
    not_after: 2027-01-01T00:00:00Z
max_counts:
  fail: 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_signer(tmp_path / "scan.pem")
    return tmp_path


def _load(folder: Path, text: str) -> str:
    policy = folder / "trust.yaml"
    policy.write_text(text)
    with pytest.raises(InputError) as caught:
        load_trust_policy(policy)
    return str(caught.value).replace(f"{folder}/", "")


def test_policy_is_loaded_with_keys(folder: Path) -> None:
    (folder / "trust.yaml").write_text(GOOD)
    trust = load_trust_policy(folder / "trust.yaml")

    assert [k.id for k, _ in trust.keys_for_role("scan")] == ["lab-scan"]
    assert trust.keys_for_role("build") == ()
    assert trust.policy.max_counts == {"fail": 3}
    assert trust.policy.clock_skew_s == 300


def test_policy_accepts_inline_key(folder: Path) -> None:
    pem = (folder / "scan.pub").read_text().replace("\n", "\n      ")
    (folder / "trust.yaml").write_text(GOOD.replace("scan.pub", f"|\n      {pem}"))

    assert (
        load_trust_policy(folder / "trust.yaml").keys[0][1].pem == (folder / "scan.pub").read_text()
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1", "version: 2", "trust.yaml:1:10: version: expected 1, got 2"),
        ("role: scan", "role: root", "trust.yaml:4:11: keys[0].role: expected scan, build"),
        (
            "ecdsa-p256-sha256",
            "ed25519",
            "trust.yaml:5:10: keys[0].alg: expected ecdsa-p256",
        ),
        ("    spki: scan.pub\n", "", "trust.yaml:3:5: keys[0].spki: is missing"),
        ("scan.pub", "no.pub", "trust.yaml:6:11: keys[0].spki: no.pub: cannot be read: No such"),
        ("scan.pub", "scan.pem", "keys[0].spki: scan.pem: expected one public key"),
        ("2027-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "keys[0].not_after: is before not_before"),
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00", "keys[0].not_after: expected a time zone"),
        ("2027-01-01T00:00:00Z", "soon", "trust.yaml:8:16: keys[0].not_after: expected a time"),
        ("max_counts", "max_count", "trust.yaml:9:1: max_count: unknown setting"),
        ("fail: 3", "fails: 3", "max_counts.fails"),
        ("fail: 3", "fail: -1", "trust.yaml:10:9: max_counts.fail: expected 0 or more, got -1"),
        ("fail: 3", "fail: 3\n  fail: 9", "trust.yaml:11:3: 'fail' is set twice"),
        ("role: scan", "role: scan\n    role: build", "trust.yaml:5:5: 'role' is set twice"),
        ("id: lab-scan", 'id: "a b"', "keys[0].id: String should match"),
        ("version: 1", "[", "not YAML"),
        ("version: 1", "- 1", "not YAML"),
    ],
)
def test_invalid_policy_reports_location_and_expectation(
    folder: Path, old: str, new: str, message: str
) -> None:
    assert message in _load(folder, GOOD.replace(old, new))


def test_policy_reports_all_problems(folder: Path) -> None:
    message = _load(
        folder, GOOD.replace("version: 1", "version: 2\nmore: 1").replace("fail: 3", "x: 3")
    )

    assert len(message.splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "trust.yaml:1:1: expected settings as 'name: value', got none"),
        ("hello", "trust.yaml:1:1: expected settings"),
        ("[1]", "trust.yaml:1:1: expected settings"),
        ("a: !!python/object:os.system x", "trust.yaml:1:4: tags are not allowed"),
        ("x: *y", "trust.yaml:1:4: not YAML: found undefined alias"),
        ("#" * 2_000_000, "trust.yaml: too long: expected at most 1048576 bytes"),
    ],
)
def test_non_policy_file_is_rejected(folder: Path, text: str, message: str) -> None:
    assert message in _load(folder, text)


BILLION_LAUGHS = "a: &a [x, x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
NO_MOMENT = "expected a time, e.g. 2026-11-21T04:00:00Z, got "
WINDOW = "2026-01-01T00:00:00Z"
HOSTILE_YAML: dict[str, tuple[str, str, str]] = {
    "a number as a moment": (WINDOW, "20261122", f"7:17: keys[0].not_before: {NO_MOMENT}"),
    "a number in quotes as a moment": (WINDOW, "'20261122'", f"keys[0].not_before: {NO_MOMENT}"),
    "seconds as a moment": (WINDOW, "1763784000", f"keys[0].not_before: {NO_MOMENT}"),
    "a fraction as a moment": (WINDOW, "1763784000.5", f"keys[0].not_before: {NO_MOMENT}"),
    "a negative moment": (WINDOW, "-1", f"keys[0].not_before: {NO_MOMENT}"),
    "a signed number in quotes": (WINDOW, '"+1763784000"', f"keys[0].not_before: {NO_MOMENT}"),
    "true as a moment": (WINDOW, "true", f"7:17: keys[0].not_before: {NO_MOMENT}"),
    "a week as a moment": (WINDOW, "2026-W47-1T04:00:00Z", f"keys[0].not_before: {NO_MOMENT}"),
    "a month that is not": (WINDOW, "2026-13-01T00:00:00Z", "7:17: keys[0].not_before: month must"),
    "other digits": (WINDOW, "٢٠٢٦-11-21T04:00:00Z", f"keys[0].not_before: {NO_MOMENT}"),
    "a day as a moment": (WINDOW, "2026-11-22", f"keys[0].not_before: {NO_MOMENT}"),
    "a moment tagged": (WINDOW, f"!!timestamp {WINDOW}", "7:17: tags are not allowed"),
    "a moment before the calendar": (
        WINDOW,
        "0001-01-01T00:00:00+14:00",
        "7:17: keys[0].not_before: expected a year from 1970 to 8999",
    ),
    "a moment after the calendar": (
        "2027-01-01T00:00:00Z",
        "9999-12-31T23:00:00-14:00",
        "8:16: keys[0].not_after: expected a year",
    ),
    "sexagesimal hours": ("version: 1", "version: 1\nmax_age_hours: 1:30", "2:16: max_age_hours"),
    "octal hours": ("version: 1", "version: 1\nmax_age_hours: 010", "2:16: a number with a lead"),
    "hexadecimal hours": ("version: 1", "version: 1\nmax_age_hours: 0x10", "2:16: max_age_hours"),
    "hours with a line": ("version: 1", "version: 1\nmax_age_hours: 1_0", "2:16: max_age_hours"),
    "true hours": ("version: 1", "version: 1\nmax_age_hours: true", "2:16: max_age_hours"),
    "hours as text": ("version: 1", "version: 1\nmax_age_hours: '24'", "2:16: max_age_hours"),
    "more hours than there are": (
        "version: 1",
        "version: 1\nmax_age_hours: 99999999999999999",
        "2:16: max_age_hours: expected 876000 or less",
    ),
    "an infinite score": ("version: 1", "version: 1\nmin_score: .inf", "2:12: min_score: "),
    "no number as a score": ("version: 1", "version: 1\nmin_score: .nan", "2:12: min_score: "),
    "version true": ("version: 1", "version: true", "1:10: version: expected 1, got "),
    "version as a fraction": ("version: 1", "version: 1.0", "1:10: version: expected 1, got "),
    "a list as a key": ("version: 1", "? [a]\n: b\nversion: 1", "1:3: expected a name before"),
    "a map as a key": ("version: 1", "? {a: b}\n: c\nversion: 1", "1:3: expected a name before"),
    "a list as an inner key": ("fail: 3", "? [fail]\n  : 3", "10:5: expected a name before"),
    "an alias of what it is in": ("fail: 3", "fail: &a [*a]", "10:13: a recursive alias"),
    "a map that holds itself": ("version: 1", "&a\nversion: *a", "2:10: a recursive alias"),
    "a thousand million values": ("version: 1", BILLION_LAUGHS, "5:16: expected at most 10000"),
    "an alias of a map it is deep in": (
        "fail: 3",
        "fail: &a {b: [{c: *a}]}",
        "10:21: a recursive alias",
    ),
    "depth by aliases": (
        "fail: 3",
        "fail: {a: &a [[[[[x]]]]], b: &b [[[[[*a]]]]], c: [*b]}",
        "nested more than 12 deep",
    ),
    "a merge": ("fail: 3", "<<: {fail: 3}", "max_counts.<<"),
    "a merge of an alias": ("fail: 3", "<<: *x", "10:7: not YAML: found undefined"),
    "a tag of Python": ("role: scan", "role: !!python/name:os.system", "4:11: tags are not"),
    "a tag of bytes": ("role: scan", "role: !!binary c2Nhbg==", "4:11: tags are not allowed"),
    "a tag of a set": ("fail: 3", "? !!set {fail}\n  : 3", "tags are not allowed"),
    "a tag of one's own": ("role: scan", "role: !x scan", "4:11: tags are not allowed"),
    "a tag of nothing": ("role: scan", "role: ! scan", "4:11: tags are not allowed"),
    "a key twice": ("version: 1", "version: 1\nversion: 1", "2:1: 'version' is set twice"),
    "a key twice, one in quotes": ("fail: 3", "fail: 3\n  'fail': 9", "11:3: 'fail' is set twice"),
    "two documents": ("max_counts", "---\nversion: 1\nmax_counts", "9:1: expected one document"),
    "deep lists": ("fail: 3", "fail: " + "[" * 2000, "10:19: nested more than 12 deep"),
    "deep maps": ("fail: 3", "fail: " + "{a: " * 500, "nested more than 12 deep"),
    "deep dashes": ("  fail: 3", "- " * 500 + "x", "nested more than 12 deep"),
    "too many values": ("fail: 3", f"fail: [{'x, ' * 10_000}x]", "expected at most 10000 values"),
    "a NUL": ("role: scan", "role: sc\0an", "4:13: not YAML: found the control character '\\x00'"),
    "an escape code": ("role: scan", "role: \x1b[2J", "4:11: not YAML: found the control"),
    "a number of a directive": ("version: 1", f"%YAML 1.{'9' * 5000}\n---\nversion: 1", "1:1: not"),
    "a character that is not": (
        "lab-scan",
        '"\\UFFFFFFFF"',
        ": not YAML: an invalid number follows",
    ),
    "half a surrogate": ("lab-scan", '"\\ud800"', "3:9: expected text, got half a surrogate"),
    "half a surrogate as a key": ("fail: 3", '"\\ud800": 3', "10:3: expected a name, got half"),
    "lines that are no PEM": (
        "scan.pub",
        "|\n      !-----BEGIN PUBLIC KEY-----\n      AAAA",
        "6:11: keys[0].spki: expected the path of a file, or PEM text, got '!-----BEGIN",
    ),
    "a NUL in a path": ("scan.pub", '"scan\\0.pub"', "6:11: keys[0].spki: "),
    "a folder as a key": ("scan.pub", "..", "6:11: keys[0].spki: "),
    "a device as a key": ("scan.pub", "/dev/zero", "6:11: keys[0].spki: "),
}


@pytest.mark.parametrize("name", HOSTILE_YAML)
def test_hostile_yaml_is_rejected_with_location(folder: Path, name: str) -> None:
    old, new, message = HOSTILE_YAML[name]
    assert old in GOOD

    output = _load(folder, GOOD.replace(old, new, 1))
    assert message in output
    assert all(re.match(r"trust\.yaml:[0-9]+:[0-9]+: ", line) for line in output.splitlines())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"version: 1\nkeys: \xff\n", "trust.yaml:2:7: expected UTF-8, got byte 0xff"),
        (b"version: 1\nx: \xc3\xa9\xed\xa0\x80", "trust.yaml:2:5: expected UTF-8, got byte 0xed"),
        (GOOD.encode("utf-16"), "trust.yaml:1:1: expected plain UTF-8, got a byte-order mark"),
        (b"\xef\xbb\xbf" + GOOD.encode(), "trust.yaml:1:1: expected plain UTF-8"),
    ],
)
def test_policy_rejects_other_encodings(folder: Path, data: bytes, message: str) -> None:
    path = folder / "trust.yaml"
    path.write_bytes(data)

    with pytest.raises(InputError) as caught:
        load_trust_policy(path)
    assert str(caught.value).replace(f"{folder}/", "").startswith(message)


def test_policy_accepts_yaml_time_notations(folder: Path) -> None:
    for written in (
        "2026-01-01 00:00:00+00:00",
        "'2026-01-01T00:00:00Z'",
        "2026-01-01T01:00+01:00",
    ):
        (folder / "trust.yaml").write_text(GOOD.replace(WINDOW, written))
        [(key, _)] = load_trust_policy(folder / "trust.yaml").keys

        assert key.not_before == datetime(2026, 1, 1, tzinfo=UTC)


def test_policy_is_read_from_pipe(folder: Path) -> None:
    """It is read once, so that the digest of what was read is there for whoever signs."""
    pem = (folder / "scan.pub").read_text().replace("\n", "\n      ")
    data = GOOD.replace("scan.pub", f"|\n      {pem}").encode()
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    try:
        trust = load_trust_policy(Path(f"/dev/fd/{reading}"))
    finally:
        os.close(reading)

    assert [k.id for k, _ in trust.keys] == ["lab-scan"]
    assert trust.sha256 == sha256_bytes(data)


def test_policy_accepts_yaml_alias(folder: Path) -> None:
    """As PyYAML writes a policy in which a program has one moment in two places."""
    text = GOOD.replace(WINDOW, f"&id001 {WINDOW}").replace("fail: 3", "fail: 3\nexpires: *id001")
    (folder / "trust.yaml").write_text(text)
    policy = load_trust_policy(folder / "trust.yaml").policy

    assert policy.expires == policy.keys[0].not_before == datetime(2026, 1, 1, tzinfo=UTC)


def test_policy_digest_is_of_bytes_read(folder: Path) -> None:
    (folder / "trust.yaml").write_text(GOOD)

    assert load_trust_policy(folder / "trust.yaml").sha256 == sha256_bytes(GOOD.encode())


def test_policy_without_keys_is_rejected(folder: Path) -> None:
    assert "keys: expected at least one entry" in _load(folder, "version: 1\nkeys: []\n")


def test_policy_rejects_shared_key_and_duplicate_id(folder: Path) -> None:
    second = GOOD[GOOD.index("  - id") : GOOD.index("max_counts")]
    text = GOOD.replace("max_counts", second.replace("role: scan", "role: build") + "max_counts")
    message = _load(folder, text)

    assert (
        "trust.yaml:12:11: keys[1].spki: the same key may not have two roles: keys[0] ('lab-scan') "
        "has the role scan; the first is at trust.yaml:6:11" in message
    )
    assert (
        "trust.yaml:9:9: keys[1].id: 'lab-scan' appears twice; the first is at trust.yaml:3:9"
        in message
    )


def test_new_keys_create_loadable_policy(tmp_path: Path) -> None:
    ring = create_keys(tmp_path / "k", now=KEYS_CREATED_AT, host_keys=("SHA256:" + "A" * 43,))
    trust = load_trust_policy(ring.policy)

    assert {k.role for k, _ in trust.keys} == {"scan", "build"}
    assert trust.policy.target.host_keys == ("SHA256:" + "A" * 43,)
    with pytest.raises(InputError, match="is there already"):
        create_keys(tmp_path / "k", now=KEYS_CREATED_AT)


def _with_key(spki: str, *, name: str = "again", role: str = "scan", more: str = "") -> str:
    """The good policy with a second key, which is or is not the first one."""
    key = GOOD[GOOD.index("  - id") : GOOD.index("max_counts")]
    again = key.replace("lab-scan", name).replace("role: scan", f"role: {role}")
    return GOOD.replace("max_counts", again.replace("scan.pub", spki) + more + "max_counts")


def _inline(pem: str) -> str:
    return "|\n" + "".join(f"      {line}\n" for line in pem.splitlines())


def _rewrapped(pem: str, width: int) -> str:
    head, *body, end = pem.splitlines()
    text = "".join(body)
    return "\n".join([head, *(text[i : i + width] for i in range(0, len(text), width)), end])


def _compressed(pem: str) -> str:
    """The same point of the curve, written short."""
    key = cast(ec.EllipticCurvePublicKey, load_pem_public_key(pem.encode()))
    point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    spki = encode_der(0x30, algorithm, encode_der(3, b"\0" + point))
    text = base64.b64encode(spki).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----"


NOTATIONS: dict[str, Callable[[Path], str]] = {
    "the same file": lambda _: "scan.pub",
    "the same file by another path": lambda folder: f"../{folder.name}/scan.pub",
    "a copy of the file": lambda folder: shutil.copy(folder / "scan.pub", folder / "copy.pub").name,
    "its text in the policy": lambda folder: _inline((folder / "scan.pub").read_text()),
    "its text in other lines": lambda folder: _inline(
        _rewrapped((folder / "scan.pub").read_text(), 20)
    ),
    "its text in one line": lambda folder: _inline(
        _rewrapped((folder / "scan.pub").read_text(), 200)
    ),
    "its point written short": lambda folder: _inline(
        _compressed((folder / "scan.pub").read_text())
    ),
}


@pytest.mark.parametrize("notation", NOTATIONS)
def test_key_listed_twice_in_any_notation_is_refused(folder: Path, notation: str) -> None:
    message = _load(folder, _with_key(NOTATIONS[notation](folder)))

    assert (
        "trust.yaml:12:11: keys[1].spki: the same key as keys[0] ('lab-scan'); expected each key "
        "once; the first is at trust.yaml:6:11" in message
    )


@pytest.mark.parametrize("role", ["build", "verify"])
def test_key_listed_for_two_roles_is_refused(folder: Path, role: str) -> None:
    assert "may not have two roles" in _load(folder, _with_key("scan.pub", role=role))


def test_key_listed_twice_by_an_alias_is_refused(folder: Path) -> None:
    text = GOOD.replace("spki: scan.pub", "spki: &spki scan.pub").replace(
        "max_counts",
        "  - {id: two, role: scan, alg: ecdsa-p256-sha256, spki: *spki, not_before: "
        "2026-01-01T00:00:00Z, not_after: 2027-01-01T00:00:00Z}\nmax_counts",
    )

    message = _load(folder, text)

    assert "keys[1].spki: the same key as keys[0] ('lab-scan')" in message


def test_post_quantum_key_listed_twice_is_refused(folder: Path) -> None:
    create_signer(folder / "pq.pem", alg="ml-dsa-65")
    text = _with_key("pq.pub", name="pq", role="scan-pq").replace(
        "role: scan-pq\n    alg: ecdsa-p256-sha256", "role: scan-pq\n    alg: ml-dsa-65"
    )
    again = text[text.index("  - id: pq") : text.index("max_counts")].replace("id: pq", "id: pq-2")

    (folder / "trust.yaml").write_text(text)
    assert len(load_trust_policy(folder / "trust.yaml").keys) == 2
    message = _load(folder, text.replace("max_counts", again + "max_counts"))
    assert "keys[2].spki: the same key as keys[1] ('pq')" in message


def test_two_keys_whose_names_differ_in_case_alone_are_refused(folder: Path) -> None:
    create_signer(folder / "other.pem")

    assert "keys[1].id: 'LAB-scan' appears twice; the first is at trust.yaml:3:9" in _load(
        folder, _with_key("other.pub", name="LAB-scan")
    )


def test_policy_accepts_two_keys(folder: Path) -> None:
    create_signer(folder / "other.pem")
    (folder / "trust.yaml").write_text(_with_key("other.pub"))

    assert [k.id for k, _ in load_trust_policy(folder / "trust.yaml").keys] == ["lab-scan", "again"]


_FIRST_KEY, _SECOND_KEY = "SHA256:" + "A" * 43, "SHA256:" + "A" * 42 + "B"
"""The last letter carries two bits that mean nothing: both are one digest."""


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (f"target: {{host_keys: ['{_FIRST_KEY}', '{_FIRST_KEY}']}}", "target.host_keys[1]: "),
        (f"target: {{host_keys: ['{_FIRST_KEY}', '{_SECOND_KEY}']}}", "target.host_keys[1]: "),
        (f"target: {{machine_ids: ['{'0' * 32}', '{'0' * 32}']}}", "target.machine_ids[1]: "),
        (f"target: {{product_uuids: ['{'0' * 64}', '{'0' * 64}']}}", "target.product_uuids[1]: "),
        (f"image: {{sha256: ['{'0' * 64}', '{'1' * 64}', '{'0' * 64}']}}", "image.sha256[2]: "),
        (f"content: {{source_sha256: ['{'0' * 64}', '{'0' * 64}']}}", "content.source_sha256[1]: "),
        (f"content: {{derived_sha256: ['{'0' * 64}', '{'0' * 64}']}}", "derived_sha256[1]: "),
        ("content: {profile_ids: [a, b, a]}", "content.profile_ids[2]: 'a' appears twice"),
    ],
)
def test_value_listed_twice_is_refused_with_both_places(
    folder: Path, setting: str, message: str
) -> None:
    output = _load(folder, f"{GOOD}{setting}\n")

    assert message in output
    assert "appears twice; the first is at trust.yaml:11:" in output
    assert output.startswith("trust.yaml:11:")


def test_digest_in_upper_case_is_refused(folder: Path) -> None:
    message = _load(folder, f"{GOOD}image: {{sha256: ['{'a' * 64}', '{'A' * 64}']}}\n")

    assert "image.sha256[1]: String should match" in message


@pytest.mark.parametrize("setting", ["require_timestamp", "require_cms"])
def test_certificate_listed_twice_is_refused(folder: Path, setting: str) -> None:
    first, second = FakeTsa().pem, FakeTsa().pem
    (folder / "roots.pem").write_text(first + second + first)

    message = _load(folder, f"{GOOD}{setting}: {{roots: roots.pem}}\n")
    assert f"{setting}.roots: roots.pem: certificate 3 is certificate 1 once more" in message
    assert message.startswith("trust.yaml:11:")
    (folder / "roots.pem").write_text(first + second)
    assert load_trust_policy(folder / "trust.yaml").policy.keys[0].id == "lab-scan"


def test_signing_key_that_is_a_timestamp_authority_too_is_refused(folder: Path) -> None:
    secret = load_pem_private_key((folder / "scan.pem").read_bytes(), None)
    signer_certificate = build_certificate(cast(ec.EllipticCurvePrivateKey, secret))
    text = base64.encodebytes(signer_certificate).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"
    (folder / "roots.pem").write_text(FakeTsa().pem + pem)

    message = _load(folder, f"{GOOD}require_timestamp: {{roots: roots.pem}}\n")
    assert (
        "require_timestamp.roots: a certificate of keys[0] ('lab-scan'), which has the role scan; "
        "the first is at trust.yaml:6:11" in message
    )


def test_policy_cannot_allow_and_refuse_tailoring(folder: Path) -> None:
    digest = "0" * 64
    text = f"{GOOD}content: {{require_untailored: true, tailoring_sha256: ['{digest}']}}\n"

    assert "trust.yaml:11:31: content.require_untailored: expected false" in _load(folder, text)


def test_policy_with_waivers_needs_max_open(folder: Path) -> None:
    text = f"{GOOD}waivers: [partition_for_tmp]\n"

    assert "trust.yaml:11:1: waivers: expected max_open too" in _load(folder, text)


def test_policy_waiver_for_every_rule_is_an_error(folder: Path) -> None:
    text = f"{GOOD}max_open: {{high: 0}}\nwaivers: ['*']\n"

    assert "waivers[0]: expected the id of a rule" in _load(folder, text)
