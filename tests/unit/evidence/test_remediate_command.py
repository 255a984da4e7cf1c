"""``hardpan remediate``: which evidence and which content it accepts."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.core import clock
from hardpan.core.errors import Exit, TrustError
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.scanners.content import datastream
from hardpan.scanners.content.fixes import FixKind
from hardpan.scanners.model.scan import ContentOrigin, RuleResult, Verdict
from hardpan.scanners.remediation.plan import RuleSelection
from hardpan.scanners.remediation.remediation import build_remediation
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM, PROFILE, RULE
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import NOW, EvidenceFixture

_ARF = (
    b'<arf:a><arf:report-requests>\n<arf:report-request id="collection1"><arf:content>%s'
    b"</arf:content></arf:report-request>\n</arf:report-requests>\n</arf:a>"
)
_PROLOG = b'<?xml version="1.0" encoding="utf-8"?>'
Remediate = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def remediate(
    lab: EvidenceFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Remediate:
    """Run the command with a policy; return exit code, stdout and stderr."""
    policy = lab.ring.policy.with_name(f"{tmp_path.name}.yaml")
    policy.write_text(lab.ring.policy.read_text().partition("# More than this")[0])

    def run(evidence: Path, *argv: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run(["remediate", str(evidence), "--policy", str(policy), *map(str, argv)])
        return (code, *capsys.readouterr())

    return run


def _write(
    lab: EvidenceFixture,
    folder: Path,
    data: bytes,
    *,
    derived: Sha256 | None = None,
    arf: bytes = b"",
    benchmark_id: str = "xccdf_b",
    profile_id: str = PROFILE + "stig",
    rule_id: str = RULE + "one",
) -> Path:
    """Write evidence of a scan with this content, in which one rule failed."""
    source = sha256_bytes(data)
    content = replace(
        samples.CONTENT, name="tiny.xml", source_sha256=source, derived_sha256=derived or source
    )
    result = RuleResult(rule_id=rule_id, title="T", severity="high", verdict=Verdict.FAIL)
    evaluation = replace(
        samples.slim_scan().evaluation,
        content=content,
        benchmark_id=benchmark_id,
        profile_id=profile_id,
        results=(result,),
    )
    raw = {"arf.xml": arf} if arf else {"arf-1.xml": b"<arf/>"}
    scan = samples.slim_scan(evaluation=evaluation, waivers={}, raw=raw)
    return samples.write_evidence(scan, lab.scan, folder)


def test_content_in_the_evidence_is_used(
    lab: EvidenceFixture, remediate: Remediate, tmp_path: Path
) -> None:
    arf = _ARF % MINIMAL_DATASTREAM.removeprefix(_PROLOG)
    evidence = _write(lab, tmp_path, MINIMAL_DATASTREAM, arf=arf)

    code, out, _ = remediate(evidence, "--as", "bash", "--json", "-o", tmp_path / "fix.sh")

    summary = json.loads(out)
    assert code == Exit.OK
    assert summary["contentLocation"] == "arf.xml of the evidence"
    assert [r["ruleId"] for r in summary["remediated"]] == [RULE + "one"]
    assert "\nset 3!\n" in (tmp_path / "fix.sh").read_text()
    assert remediate(evidence, "--as", "bash")[1] == (tmp_path / "fix.sh").read_text()


def test_other_content_in_the_evidence_is_not_used(
    lab: EvidenceFixture, remediate: Remediate, tmp_path: Path
) -> None:
    arf = _ARF % MINIMAL_DATASTREAM.removeprefix(_PROLOG).replace(b"set ", b"rm ")
    evidence = _write(lab, tmp_path, MINIMAL_DATASTREAM, arf=arf)

    code, out, err = remediate(evidence, "--as", "bash")

    assert (code, out) == (Exit.INPUT, "")
    assert "has no fixes: expected the scanned content in arf.xml, or on this machine" in err
    assert "hint: give the tiny.xml that was scanned with --content FILE" in err


def test_content_file_must_have_the_scanned_digest(
    lab: EvidenceFixture, remediate: Remediate, tmp_path: Path
) -> None:
    evidence = _write(lab, tmp_path, MINIMAL_DATASTREAM)
    (tmp_path / "same.xml").write_bytes(MINIMAL_DATASTREAM)
    (tmp_path / "other.xml").write_bytes(MINIMAL_DATASTREAM + b"\n")

    accepted = remediate(evidence, "--as", "bash", "--content", tmp_path / "same.xml")
    refused = remediate(evidence, "--as", "bash", "--content", tmp_path / "other.xml")

    assert accepted[0] == Exit.OK
    assert "\nset 3!\n" in accepted[1]
    assert refused[:2] == (Exit.TRUST, "")
    assert "expected the scanned content tiny.xml 0.1.82 with sha256 " in refused[2]


def test_shipped_content_with_the_scanned_digest_is_used(
    lab: EvidenceFixture, remediate: Remediate, tmp_path: Path
) -> None:
    shipped = datastream.find("debian12", ContentOrigin.SHIPPED)
    prefix = "xccdf_org.ssgproject.content_"
    evidence = _write(
        lab,
        tmp_path,
        shipped.data,
        derived=samples.SHA,
        benchmark_id=datastream.describe_benchmarks(shipped)[0].benchmark_id,
        profile_id=prefix + "profile_cis_level1_server",
        rule_id=prefix + "rule_accounts_umask_etc_profile",
    )

    code, out, _ = remediate(evidence)

    assert code == Exit.OK
    assert "# fixes from   ssg-debian12-ds.xml" in out
    assert "var_accounts_user_umask: '027'" in out


@pytest.mark.parametrize("options", [[], ["--json"], ["--as", "bash"]])
def test_unverified_evidence_needs_an_option(
    lab: EvidenceFixture,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
) -> None:
    arf = _ARF % MINIMAL_DATASTREAM.removeprefix(_PROLOG)
    evidence = str(_write(lab, tmp_path, MINIMAL_DATASTREAM, arf=arf))

    refused = cli.run(["remediate", evidence, *options])
    message = capsys.readouterr()
    accepted = cli.run(["remediate", evidence, "--allow-unverified", *options])

    assert (refused, accepted) == (Exit.USAGE, Exit.OK)
    assert message.out == ""
    assert "expected --policy, or --allow-unverified" in message.err
    assert "NOT VERIFIED: give --policy to verify the signatures" in capsys.readouterr().out


def test_forged_evidence_is_refused(
    lab: EvidenceFixture, remediate: Remediate, tmp_path: Path
) -> None:
    evidence = _write(lab, tmp_path, MINIMAL_DATASTREAM)
    evidence.write_bytes(evidence.read_bytes().replace(b"PK\x05\x06", b"PK\x05\x07"))

    code, out, _ = remediate(evidence, "-o", tmp_path / "fix.yml")

    assert (code, out) == (Exit.TRUST, "")
    assert not (tmp_path / "fix.yml").exists()


def test_unknown_rule_is_refused(
    lab: EvidenceFixture, remediate: Remediate, tmp_path: Path
) -> None:
    arf = _ARF % MINIMAL_DATASTREAM.removeprefix(_PROLOG)
    evidence = _write(lab, tmp_path, MINIMAL_DATASTREAM, arf=arf)

    code, out, err = remediate(evidence, "--rule", "oen")

    assert (code, out) == (Exit.INPUT, "")
    assert "--rule oen: expected a rule of the scan, got none with this name" in err


def test_evidence_that_changes_after_verification_is_refused(
    lab: EvidenceFixture, tmp_path: Path
) -> None:
    arf = _ARF % MINIMAL_DATASTREAM.removeprefix(_PROLOG)
    evidence = _write(lab, tmp_path, MINIMAL_DATASTREAM, arf=arf)
    verified = lab.verify(evidence)
    _write(lab, tmp_path, MINIMAL_DATASTREAM, arf=arf + b"\n")

    with pytest.raises(TrustError, match="changed since it was verified"):
        build_remediation(evidence, verified, "", FixKind.BASH, RuleSelection())
