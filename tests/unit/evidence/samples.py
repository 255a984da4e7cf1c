"""A small and a realistic scan, keys, and evidence of the scans."""

from dataclasses import replace
from pathlib import Path

from hardpan.core import events
from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.file_names import list_tailoring_files
from hardpan.scanners.evidence.sign import writer
from hardpan.scanners.evidence.statement.predicate_extensions import ChainLink
from hardpan.scanners.fips.assess import assess_fips
from hardpan.scanners.model.results import (
    CheckResult,
    CompatibilityOutcome,
    CompatibilityReport,
    CompatibilityResult,
    CompatibilityVerdict,
    HostCheck,
    Measure,
    SmokeReport,
)
from hardpan.scanners.model.scan import (
    ContentOrigin,
    Evaluation,
    ImageRef,
    RuleResult,
    Scan,
    ScannedHost,
    ScapContent,
    Verdict,
    Waiver,
    WaiverRecord,
)
from hardpan.scanners.model.tailoring import TailoredRule, TailoredSetting, Tailoring
from hardpan.scanners.model.waiver_status import derive_waiver_status
from hardpan.scanners.report.model.scan_changes import AttributeChange, RuleChange, ScanChanges
from hardpan.signing import Signer, sign
from tests.unit.fips import samples

FIPS = assess_fips(samples.make_answers(), samples.make_table(), samples.TODAY)
SHA = sha256_bytes(b"x")
STARTED, FINISHED = "2026-11-21T04:00:00Z", "2026-11-21T04:05:00Z"
HOST_KEY = "SHA256:" + "A" * 43

HOST = ScannedHost(
    hostname="lab",
    host_key_type="ssh-ed25519",
    host_key_sha256=HOST_KEY,
    machine_id_hmac=SHA,
    product_uuid_sha256="",
    boot_id="0b0c7a36-6f1a-4d8e-9a55-6f4f0d7f5a10",
    os_id="hardpan-lab",
    os_version="9.6",
    os_name="Hardpan Lab 9.6",
    platform_id="platform:el9",
    cpe="cpe:/o:hardpan:lab:9",
    kernel="6.12.48+deb13-cloud-amd64",
    cmdline="root=/dev/mapper/vg0-root ro fips=1 audit=1",
    fips_kernel_flag=True,
    packages_sha256=SHA,
    virtualization="qemu",
)
CONTENT = ScapContent(
    name="ssg-rhel9-ds.xml",
    version="0.1.82",
    source_sha256=SHA,
    derived_sha256=sha256_bytes(b"y"),
    origin="shipped with hardpan, Debian ssg-nondebian 0.1.82-1",
    origin_kind=ContentOrigin.SHIPPED,
    date="2026-09-07",
    derivation="applies to hardpan-lab-release; slimmed to the profile",
    choice="content for Hardpan Lab 9; profile: the default",
)
SMOKE = SmokeReport(
    backend="cpu",
    framework="torch 2.6.0",
    model="all-MiniLM-L6-v2",
    model_sha256=SHA,
    verdict="pass",
    reason="every figure was measured",
    environment={"cpu": "Some CPU @ 2.0 GHz", "threads": "2"},
    measures=(
        Measure(
            name="matmul 1024",
            unit="GFLOP/s",
            direction="higher",
            value=41.23456,
            n=10,
            minimum=39.0,
            maximum=42.5,
            verdict="not_checked",
            reason="no reference for this machine",
        ),
        Measure(
            name="embedding latency",
            unit="ms",
            direction="lower",
            value=float("nan"),
            n=0,
            minimum=float("nan"),
            maximum=float("inf"),
            verdict="error",
            reason="did not finish",
        ),
    ),
)


def check_result(outcome: CompatibilityOutcome, evidence: str = "this and that") -> CheckResult:
    return CheckResult(outcome=outcome, inspected="a place", expected="a state", observed=evidence)


def compatibility_result(
    conflict: str,
    verdict: CompatibilityVerdict,
    control: CheckResult,
    action: CheckResult,
    **changes: object,
) -> CompatibilityResult:
    base = CompatibilityResult(
        conflict=conflict,
        row="1",
        title=f"About {conflict}",
        rules=("RHEL-09-231130",),
        content=("r003",),
        resolution="another folder",
        verdict=verdict,
        reason="because",
        control=control,
        workload=action,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


COMPATIBILITY = CompatibilityReport(
    confinement="of hardpan-llm.service; user ai-llm; NoNewPrivileges",
    results=(
        compatibility_result(
            "tmp-noexec",
            CompatibilityVerdict.PASS,
            check_result(CompatibilityOutcome.SATISFIED),
            check_result(CompatibilityOutcome.SATISFIED),
        ),
        compatibility_result(
            "egress",
            CompatibilityVerdict.FAIL,
            check_result(CompatibilityOutcome.SATISFIED),
            check_result(CompatibilityOutcome.VIOLATED, "3 packets"),
        ),
        compatibility_result(
            "audit",
            CompatibilityVerdict.NOT_CHECKED,
            check_result(CompatibilityOutcome.SATISFIED),
            check_result(CompatibilityOutcome.NOT_TESTED),
        ),
        compatibility_result(
            "nouveau",
            CompatibilityVerdict.NOT_APPLICABLE,
            check_result(CompatibilityOutcome.NOT_APPLICABLE),
            check_result(CompatibilityOutcome.NOT_APPLICABLE, "no GPU"),
        ),
        compatibility_result(
            "perf",
            CompatibilityVerdict.ERROR,
            check_result(CompatibilityOutcome.ERROR),
            check_result(CompatibilityOutcome.SATISFIED),
        ),
    ),
)


def rule(n: int, verdict: Verdict, **changes: object) -> RuleResult:
    base = RuleResult(
        rule_id=f"xccdf_org.ssgproject.content_rule_r{n:03}",
        title=f"Rule number {n}",
        severity="medium",
        verdict=verdict,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


WAIVER = Waiver(
    reason="needed by the build, see T-1",
    owner="build team",
    expires="2027-01-31",
    is_active=True,
)
RULES = (
    rule(1, Verdict.PASS, engine="OVAL", stig_ids=("RHEL-09-211010",)),
    rule(
        2,
        Verdict.FAIL,
        severity="high",
        evidence_lines=("/etc/ssh/sshd_config: PermitRootLogin yes",),
        fix_text="echo 'PermitRootLogin no' > /etc/ssh/sshd_config.d/00.conf",
        rationale="Root logins are anonymous.",
        cce="CCE-12345-6",
        nist=("CM-6(a)",),
    ),
    rule(3, Verdict.FAIL),
    rule(4, Verdict.NOT_APPLICABLE, severity="low"),
    rule(5, Verdict.NOT_CHECKED),
)

PREVIOUS_LINK = ChainLink(sequence=2, previous_statement_sha256=SHA)
CHANGES = ScanChanges(
    since="2026-11-20T04:05:00Z",
    statement_sha256=SHA,
    newly_failing=(
        RuleChange(
            rule_id=RULES[1].rule_id,
            title=RULES[1].title,
            severity="high",
            stig_ids=(),
            baseline="pass",
            current="fail",
            waived=False,
        ),
    ),
    other=(
        RuleChange(
            rule_id="xccdf_org.ssgproject.content_rule_gone",
            title="A rule that went",
            severity="low",
            stig_ids=(),
            baseline="pass",
            current=None,
            waived=False,
        ),
    ),
    attributes=(AttributeChange(name="kernel", baseline="6.12.1", current=HOST.kernel),),
)
"""What changed since the scan before ``scan()``, and that scan's place."""


def scan(**changes: object) -> Scan:
    """A scan of five rules: one passes, one fails openly, one with a waiver."""
    base = Scan(
        profile="lab-stig",
        host=HOST,
        evaluation=Evaluation(
            content=CONTENT,
            benchmark_id="xccdf_org.ssgproject.content_benchmark_RHEL-9",
            profile_id="xccdf_org.ssgproject.content_profile_stig",
            started=STARTED,
            finished=FINISHED,
            engine="openscap 1.4.2",
            results=RULES,
            score=61.0,
        ),
        baseline_counts={"pass": 0, "fail": 3, "notapplicable": 1, "notchecked": 1},
        checks=(
            HostCheck(
                name="test_ssh::test_root_cannot_log_in", outcome="passed", message="", duration_s=1
            ),
            HostCheck(
                name="test_ssh::test_port",
                outcome="failed",
                message="expected 22\nis 23",
                duration_s=0.25,
            ),
        ),
        smoke=SMOKE,
        packages=("audit-0:3.1.2-2.el9.x86_64", "bash-0:5.2-1.el9.x86_64"),
        raw={"arf-1.xml": b"<arf/>" * 100, "arf-2.xml": b"<arf>2</arf>"},
        waivers={RULES[2].rule_id: WAIVER},
        started=STARTED,
        finished=FINISHED,
        fips=FIPS,
        invocation=("hardpan", "scan", "lab"),
    )
    result = replace(base, **changes)  # type: ignore[arg-type]
    return result if "waiver_records" in changes else with_waiver_records(result)


def with_waiver_records(base: Scan) -> Scan:
    """The scan with a record of each waiver of a rule."""
    verdicts = {r.rule_id: r.verdict for r in base.evaluation.results}
    records = (
        WaiverRecord(
            selector=rule_id,
            source="profile lab-stig",
            reason=waiver.reason,
            owner=waiver.owner,
            expires=waiver.expires,
            rule_ids=(rule_id,),
            status=derive_waiver_status(
                (verdicts[rule_id],), has_expired=waiver.expires < base.finished[:10]
            ),
        )
        for rule_id, waiver in base.waivers.items()
        if rule_id in verdicts
    )
    return replace(base, waiver_records=tuple(records))


TAILORING = Tailoring(
    file="web.yaml",
    data=b"unselect: {gone: The appliance has none.}\n",
    sha256=sha256_bytes(b"unselect: {gone: The appliance has none.}\n"),
    format="yaml",
    title="Web servers",
    author="web team",
    version="",
    profile_id="xccdf_org.ssgproject.content_profile_stig_tailored",
    base_profile_id="xccdf_org.ssgproject.content_profile_stig",
    unselected=(
        TailoredRule(
            rule_id="xccdf_org.ssgproject.content_rule_gone",
            title="A rule that is not needed",
            severity="high",
            reason="The appliance has none.",
        ),
    ),
    selected=(
        TailoredRule(
            rule_id=RULES[0].rule_id,
            title=RULES[0].title,
            severity=RULES[0].severity,
            reason="",
        ),
    ),
    settings=(
        TailoredSetting(name="v_limit", rule_id="", base="3", value="12", reason="Site rule."),
        TailoredSetting(
            name="severity",
            rule_id=RULES[1].rule_id,
            base="low",
            value=RULES[1].severity,
            reason="Exposed.",
        ),
    ),
)


def tailored_scan(base: Scan) -> Scan:
    """The same scan with a tailored profile, and the tailoring attached."""
    content = replace(base.evaluation.content, tailoring=TAILORING)
    evaluation = replace(base.evaluation, content=content, profile_id=TAILORING.profile_id)
    return replace(base, evaluation=evaluation, raw={**base.raw, **list_tailoring_files(TAILORING)})


def slim_scan(**changes: object) -> Scan:
    """The same of content without a STIG on record: no checklists, a tenth of the bytes."""
    evaluation = replace(scan().evaluation, benchmark_id="x_benchmark_RHEL-8")
    return scan(**{"evaluation": evaluation, **changes})


def image(build: Signer, *, sha256: str = SHA, **changes: object) -> ImageRef:
    """An image whose provenance ``build`` signed."""
    statement: dict[str, object] = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [{"name": "lab.qcow2", "digest": {"sha256": sha256}}],
        "predicate": {"buildDefinition": {"buildType": "https://hardpan.dev/build/v1"}},
        **changes,
    }
    signed = sign(statement, build)
    return ImageRef(
        name="lab.qcow2",
        sha256=SHA,
        provenance=signed.bundle,
        provenance_statement_sha256=sha256_bytes(signed.payload),
        sbom=b'{"bomFormat":"CycloneDX"}',
    )


def write_evidence(
    source_scan: Scan,
    signer: Signer,
    folder: Path,
    *,
    nonce: str = "",
    options: writer.SigningOptions | None = None,
) -> Path:
    """Write evidence of ``source_scan`` to ``folder``."""
    path = folder / "lab.evidence.zip"
    return writer.write_evidence(
        source_scan,
        signer,
        path,
        events.discard,
        nonce=nonce,
        options=options or writer.SigningOptions(),
    )
