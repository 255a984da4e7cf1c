"""One trust decision: what ``verify`` refuses under a policy, no ledger command accepts.

Each row of ``CASES`` is a policy and evidence. The evidence is in a ledger already, put there
by someone who trusts more; that ledger and its export come to the strict policy.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from hardpan import cli
from hardpan.core import clock
from hardpan.core.errors import Exit
from hardpan.scanners.evidence.archive import write_archive
from hardpan.scanners.evidence.statement.predicate_extensions import ChainLink
from hardpan.signing import Signer, create_signer, load_pq_signer
from tests.tamper.kit import FINISHED, NOW, STAMPED, Files, TamperKit, create_kit
from tests.tools import sshsig
from tests.tools.tsa import FakeTsa

ALL = ("verify", "add", "import", "import --local", "ledger verify")
NEWEST = ("verify", "add")
Capture = pytest.CaptureFixture[str]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A tamper kit, and a post-quantum key in addition to its keys."""

    kit: TamperKit
    pq: Signer

    def pq_key(self, **changed: Any) -> dict[str, Any]:
        """That key, as a policy names it."""
        key = {**self.kit.policy_keys()[0], "id": "pq", "role": "scan-pq", "alg": "ml-dsa-65"}
        return {**key, "spki": self.pq.public.pem, **changed}

    def policy(self, name: str, changed: dict[str, Any]) -> str:
        """The strict policy with settings changed, as a file."""
        path = self.kit.ring.policy.with_name(f"{name}.yaml")
        path.write_text(yaml.safe_dump(self.kit.build_policy(changed)))
        return str(path)

    def lenient(self) -> str:
        """A policy that trusts every key for scans and asks for nothing else."""
        scan, _ = self.kit.policy_keys(not_before="2020-01-01T00:00:00Z")
        ids = {"evil": self.kit.untrusted_signer, "build-as-scan": self.kit.build_signer}
        keys = [{**scan, "id": i, "spki": s.public.pem} for i, s in ids.items()]
        settings = (
            "nonce",
            "max_age_hours",
            "previous_statement",
            "require_timestamp",
            "target",
            "image",
        )
        nothing: dict[str, Any] = dict.fromkeys(settings)
        return self.policy("lenient", {**nothing, "keys": [scan, *keys], "clock_skew_s": 86_400})


@dataclass(frozen=True, kw_only=True)
class Case:
    """One policy, one piece of evidence, and who refuses it at which check."""

    policy: Callable[[Bench], dict[str, Any]] = lambda _: {}
    evidence: Callable[[Bench], Files] = lambda b: b.kit.valid_files
    check: str
    message: str
    refused_by: tuple[str, ...] = ALL


def _keys(**changed: Any) -> Callable[[Bench], dict[str, Any]]:
    return lambda b: {"keys": b.kit.policy_keys(**changed)}


def _build_key(**changed: Any) -> Callable[[Bench], dict[str, Any]]:
    return lambda b: {"keys": [b.kit.policy_keys()[0], {**b.kit.policy_keys()[1], **changed}]}


def _pq(**changed: Any) -> Callable[[Bench], dict[str, Any]]:
    return lambda b: {"keys": [*b.kit.policy_keys(), b.pq_key(**changed)], "require_pq": True}


def _target(**changed: Any) -> Callable[[Bench], dict[str, Any]]:
    return lambda b: {
        "target": {
            "host_keys": [sshsig.fingerprint(b.kit.host_key)],
            "require_host_signature": True,
            **changed,
        }
    }


def _set(**changed: Any) -> Callable[[Bench], dict[str, Any]]:
    return lambda _: changed


def _with_scan(**more: Any) -> Callable[[Bench], Files]:
    return lambda b: b.kit.sign_scan(**more)


def _other_pq(b: Bench) -> Signer:
    path = b.kit.folder / "keys" / "other-pq.pem"
    if not path.exists():
        create_signer(path, alg="ml-dsa-65")
    return load_pq_signer(path)


def _yesterday(b: Bench) -> Files:
    started, finished = (f"2026-11-20T04:0{m}:00Z" for m in (0, 5))
    at = FINISHED - timedelta(days=1)
    return b.kit.sign_scan(
        started=started, finished=finished, stamp=lambda s: b.kit.tsa.make_token(s, at)
    )


CASES = {
    "a compromised key, without trusted time": Case(
        policy=lambda b: {
            "keys": b.kit.policy_keys(compromised_at="2026-12-01T00:00:00Z"),
            "require_timestamp": None,
        },
        check="key-window",
        message="is compromised, and no trusted time shows that it signed earlier",
    ),
    "a key compromised before it signed": Case(
        policy=_keys(compromised_at=STAMPED - timedelta(seconds=1)),
        check="key-window",
        message="key 'scan' was compromised when it signed",
    ),
    "an expired policy": Case(
        policy=_set(expires=NOW),
        check="policy",
        message="the policy expired on 2026-11-21T05:00:00Z",
    ),
    "a host that the policy does not name": Case(
        policy=_target(host_keys=["SHA256:" + "B" * 43]),
        check="target",
        message="is not listed in the policy",
    ),
    "a missing post-quantum signature that the policy requires": Case(
        policy=_pq(), check="post-quantum", message="the policy requires evidence.mldsa.dsse.json"
    ),
    "a post-quantum signature by a key that is not trusted": Case(
        policy=lambda b: {"keys": [*b.kit.policy_keys(), b.pq_key()], "require_pq": True},
        evidence=lambda b: b.kit.sign_scan(pq=_other_pq(b)),
        check="post-quantum",
        message="not by any of the 1 keys",
    ),
    "a post-quantum key outside its window": Case(
        policy=_pq(not_before="2026-11-22T00:00:00Z"),
        evidence=lambda b: b.kit.sign_scan(pq=b.pq),
        check="post-quantum",
        message="key 'pq' is not trusted for",
    ),
    "a compromised post-quantum key": Case(
        policy=_pq(compromised_at="2026-11-02T00:00:00Z"),
        evidence=lambda b: b.kit.sign_scan(pq=b.pq),
        check="post-quantum",
        message="key 'pq' was compromised when it signed",
    ),
    "an unknown key": Case(
        evidence=lambda b: b.kit.sign_scan(signer=b.kit.untrusted_signer),
        check="signature",
        message="not by any of the 1 keys",
    ),
    "a key of another role": Case(
        evidence=lambda b: b.kit.sign_scan(signer=b.kit.build_signer),
        check="signature",
        message="not by any of the 1 keys",
    ),
    "a key that the policy trusts for another job": Case(
        policy=_keys(role="verify"), check="signature", message="not by any of the 0 keys"
    ),
    "a key compromised in the second in which it signed": Case(
        policy=_keys(compromised_at=STAMPED),
        check="key-window",
        message="key 'scan' was compromised when it signed",
    ),
    "a key whose window begins later": Case(
        policy=_keys(not_before="2026-11-22T00:00:00Z"),
        check="key-window",
        message="key 'scan' is not trusted for 2026-11-21T04:06:00Z",
    ),
    "a key whose window ended": Case(
        policy=_keys(not_after="2026-11-20T00:00:00Z"),
        check="key-window",
        message="key 'scan' is not trusted for 2026-11-21T04:06:00Z",
    ),
    "a missing timestamp that the policy requires": Case(
        evidence=_with_scan(stamp=None),
        check="timestamp",
        message="the policy requires a timestamp, the evidence has none",
    ),
    "a timestamp of an authority that is not trusted": Case(
        policy=_set(require_timestamp={"roots": FakeTsa().pem}),
        check="timestamp",
        message="the timestamp is not by a trusted authority",
    ),
    "a timestamp under another policy of the authority": Case(
        policy=lambda b: {"require_timestamp": {"roots": b.kit.tsa.pem, "policy_oid": "1.2.3.4"}},
        check="timestamp",
        message="the timestamp: expected policy 1.2.3.4",
    ),
    "a timestamp from before the end of the scan": Case(
        policy=_set(clock_skew_s=0),
        evidence=_with_scan(started="2026-11-21T04:06:01Z", finished="2026-11-21T04:06:01Z"),
        check="timestamp",
        message="is before the scan's end",
    ),
    "a timestamp long after the scan": Case(
        policy=lambda b: {"require_timestamp": {"roots": b.kit.tsa.pem, "max_lag_s": 59}},
        check="timestamp",
        message="is more than 59 s after the scan",
    ),
    "a missing CMS signature that the policy requires": Case(
        policy=lambda b: {"require_cms": {"roots": b.kit.tsa.pem}},
        evidence=_with_scan(certificate=False),
        check="cms",
        message="the policy requires a CMS signature, the evidence has none",
    ),
    "a machine id that the policy does not name": Case(
        policy=_target(machine_ids=["0" * 32]),
        check="target",
        message="the machine id is not listed in the policy",
    ),
    "a product UUID that the policy does not name": Case(
        policy=_target(product_uuids=["0" * 64]), check="target", message="possible clone"
    ),
    "a host key without a record of how it was known": Case(
        policy=_target(require_verified_host_key=True),
        check="host-key",
        message="how the host key was known is not recorded",
    ),
    "a missing host signature that the policy requires": Case(
        evidence=_with_scan(proof=lambda _: b""),
        check="host-signature",
        message="the policy requires a host signature, the evidence has none",
    ),
    "content that the policy does not name": Case(
        policy=_set(content={"derived_sha256": ["0" * 64]}),
        check="content",
        message="is not listed in the policy",
    ),
    "a profile that the policy does not name": Case(
        policy=_set(content={"profile_ids": ["other"]}),
        check="content",
        message="is not listed in the policy",
    ),
    "an image that the policy does not name": Case(
        policy=_set(image={"sha256": ["0" * 64]}),
        check="provenance",
        message="is not listed in the policy",
    ),
    "provenance by a compromised key": Case(
        policy=_build_key(compromised_at="2026-11-02T00:00:00Z"),
        check="provenance",
        message="key 'build' was compromised when it signed",
    ),
    "provenance by a key whose window ended": Case(
        policy=_build_key(not_after="2026-11-02T00:00:00Z"),
        check="provenance",
        message="key 'build' is not trusted for",
    ),
    "provenance by a key that is not trusted": Case(
        policy=lambda b: {
            "keys": [
                b.kit.policy_keys()[0],
                {**b.kit.policy_keys()[1], "spki": b.kit.untrusted_signer.public.pem},
            ]
        },
        check="provenance",
        message="not by any of the 1 keys",
    ),
    "a scan that ends in the future": Case(
        policy=_set(require_timestamp=None),
        evidence=_with_scan(started="2026-11-21T05:05:00Z", finished="2026-11-21T05:06:00Z"),
        check="time",
        message="the scan ends in the future",
    ),
    # Requirements on the newest scan of a host do not apply to a ledger's rows.
    "a scan of yesterday": Case(
        policy=_set(max_age_hours=1, clock_skew_s=0),
        evidence=_yesterday,
        check="age",
        message="the policy allows 1 hours",
        refused_by=NEWEST,
    ),
    "a nonce that differs from the policy's": Case(
        evidence=_with_scan(nonce="m" * 16),
        check="nonce",
        message="does not contain the policy's nonce",
        refused_by=NEWEST,
    ),
    "a statement that follows on another one": Case(
        evidence=_with_scan(chain=ChainLink(sequence=3, previous_statement_sha256="0" * 64)),
        check="chain-position",
        message="expected statement 2 of the host, got 3",
        refused_by=NEWEST,
    ),
}

ACCEPTED = {
    "what the strict policy asks for": Case(check="signature", message=""),
    "a key compromised later, by trusted time": Case(
        policy=_keys(compromised_at=STAMPED + timedelta(seconds=1)), check="key-window", message=""
    ),
    "a policy that expires later": Case(
        policy=_set(expires=NOW + timedelta(seconds=1)), check="policy", message=""
    ),
    "a required post-quantum signature": Case(
        policy=_pq(), evidence=lambda b: b.kit.sign_scan(pq=b.pq), check="post-quantum", message=""
    ),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    kit = create_kit(tmp_path_factory.mktemp("bench"))
    create_signer(kit.folder / "keys" / "pq.pem", alg="ml-dsa-65")
    return Bench(kit=kit, pq=load_pq_signer(kit.folder / "keys" / "pq.pem"))


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


Answers = dict[str, tuple[int, str, str]]
"""Command -> exit code, stdout, stderr."""


def _run_commands(bench: Bench, case: Case, folder: Path, capsys: Capture) -> Answers:
    evidence, export = folder / "lab.evidence.zip", folder / "chain.jsonl"
    write_archive(evidence, case.evidence(bench).items())
    existing, new, other, moved = (
        folder / f"{n}.sqlite" for n in ("there", "new", "other", "moved")
    )
    lenient, strict = bench.lenient(), bench.policy("strict", case.policy(bench))
    assert cli.run(["ledger", "add", str(evidence), "--policy", lenient, *_at(existing)]) == Exit.OK
    assert cli.run(["ledger", "export", str(export), *_at(existing)]) == Exit.OK
    capsys.readouterr()
    commands = {
        "verify": ["verify", str(evidence), "--json"],
        "add": ["ledger", "add", str(evidence), *_at(new)],
        "import": ["ledger", "import", str(export), "--as", "there", *_at(other)],
        "import --local": ["ledger", "import", str(export), "--local", *_at(moved)],
        "ledger verify": ["ledger", "verify", "--json", *_at(existing)],
    }
    answers = {}
    for name, command in commands.items():
        code = cli.run([*command, "--policy", strict])
        captured = capsys.readouterr()
        answers[name] = (code, captured.out, captured.err)
    return answers


def _at(ledger: Path) -> list[str]:
    return ["--ledger", str(ledger)]


@pytest.mark.parametrize("name", CASES)
def test_ledger_commands_reject_the_same_evidence_as_verify(
    bench: Bench, name: str, tmp_path: Path, capsys: Capture
) -> None:
    case = CASES[name]
    answers = _run_commands(bench, case, tmp_path, capsys)
    failed = {
        c["id"]: c["reason"]
        for c in json.loads(answers["verify"][1])["checks"]
        if c["status"] == "fail"
    }

    assert list(failed) == [case.check]
    assert case.message in failed[case.check]
    for command, (code, _, err) in answers.items():
        if command in case.refused_by:
            assert code == Exit.TRUST, command
            assert f"{case.check}: {failed[case.check]}" in err, command
        else:
            assert code == Exit.OK, (command, err)
    assert not (tmp_path / "new.sqlite").exists()


@pytest.mark.parametrize("name", ACCEPTED)
def test_ledger_commands_accept_the_same_evidence_as_verify(
    bench: Bench, name: str, tmp_path: Path, capsys: Capture
) -> None:
    case = ACCEPTED[name]
    answers = _run_commands(bench, case, tmp_path, capsys)
    checks = {c["id"]: c["status"] for c in json.loads(answers["verify"][1])["checks"]}
    not_checked = json.loads(answers["ledger verify"][1])["notChecked"]

    assert {code for code, _, _ in answers.values()} == {Exit.OK}
    assert checks[case.check] == "ok"
    assert not_checked == dict.fromkeys(("archive", "files", "test-result", "oscal", "cms"), 1)


def test_exceeded_thresholds_are_reported_by_every_command(
    bench: Bench, tmp_path: Path, capsys: Capture
) -> None:
    over = Case(policy=_set(max_counts={"fail": 0}), check="thresholds", message="")
    answers = _run_commands(bench, over, tmp_path, capsys)

    assert [code for code, _, _ in answers.values()] == [Exit.FINDINGS, *[Exit.OK] * 4]
    assert "thresholds exceeded" in answers["add"][1]
    assert "policy thresholds exceeded: 1 row\n" in answers["import"][2]
    assert json.loads(answers["ledger verify"][1])["thresholdsExceeded"] == 1


@pytest.mark.parametrize(
    "name",
    [
        "a compromised key, without trusted time",
        "an expired policy",
        "a host that the policy does not name",
        "a missing post-quantum signature that the policy requires",
    ],
)
def test_policy_commands_reject_the_same_evidence_as_verify(
    bench: Bench, name: str, tmp_path: Path, capsys: Capture
) -> None:
    case, file = CASES[name], str(tmp_path / "lab.evidence.zip")
    write_archive(Path(file), case.evidence(bench).items())
    good = str(tmp_path / "good.evidence.zip")
    write_archive(Path(good), bench.kit.valid_files.items())
    policy = ["--policy", bench.policy("strict", case.policy(bench))]
    scan = ["scan", "host.invalid", "--profile", "lab-stig", "--key", str(bench.kit.ring.scan)]
    commands = [
        ["show", file],
        ["export", file, "--as", "csv"],
        ["export", good, "--as", "html", "--since", file],
        ["diff", file, good],
        ["diff", good, file],
        [*scan, "--previous", file],
    ]
    for command in commands:
        assert cli.run([*command, *policy]) == Exit.TRUST, command
        captured = capsys.readouterr()
        assert f"{case.check}: " in captured.err
        assert case.message in captured.err
        assert captured.out == ""
