from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hardpan.core.errors import (
    InputError,
    ResourceError,
    ToolError,
    UnavailableError,
    UnreachableError,
)
from hardpan.core.events import discard
from hardpan.core.files import sha256_bytes
from hardpan.core.redaction import SecretFilter
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.waivers import LocatedWaiver
from hardpan.scanners import pipeline
from hardpan.scanners.collect import collection
from hardpan.scanners.collect.base import CollectedEvidence, create_collector
from hardpan.scanners.collect.check_registry import load_registry
from hardpan.scanners.collect.openscap import MissingOpenScapError
from hardpan.scanners.collect.plan import ScanPlan, plan_profile
from hardpan.scanners.collect.task import build_expected_state, build_workload_settings
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.evidence.signing_options import PreviousStatement
from hardpan.scanners.fips.model import CommandAnswer, FipsAnswers
from hardpan.scanners.model.results import HostCheck
from hardpan.scanners.model.scan import ContentOrigin, Scan
from hardpan.scanners.openscap.arf.results import UnreadableArf
from hardpan.scanners.report.model.build import build_findings
from hardpan.scanners.scan_request import ScanRequest
from hardpan.ssh.privileges import BecomeMethod, Privileges
from hardpan.ssh.transport_kind import DEFAULT_TRANSPORT
from tests.unit.deviations.samples import make_waiver
from tests.unit.evidence import samples
from tests.unit.openscap.samples import make_arf, make_prepared, make_rule


def test_expected_state_follows_the_profile() -> None:
    expected = build_expected_state(load_profile("lab-stig"))

    assert expected.mounts["/home"] == ("nodev", "nosuid", "noexec")
    assert expected.mounts["/dev/shm"] == ("nodev", "nosuid", "noexec")
    assert expected.mounts["/boot/efi"] == ("nosuid",)
    assert expected.fips
    assert expected.build_user == "steward"
    assert expected.sudo_nopasswd
    assert "audit" in expected.packages
    assert not any(p.startswith("@") for p in expected.packages)


def test_scan_with_two_waivers_for_a_rule_ends_before_oscap_runs(
    run_scan: Callable[..., Scan],
) -> None:
    waivers = tuple(make_waiver(name) for name in ("one", "*one"))

    with pytest.raises(InputError, match="expected one waiver for each rule, got a second for one"):
        run_scan(with_waivers(*waivers), openscap=AssertionError("oscap ran"))


def test_previous_statement_of_another_host_ends_the_scan_before_oscap_runs(
    run_scan: Callable[..., Scan], tmp_path: Path
) -> None:
    previous = PreviousStatement(
        path=tmp_path / "old",
        hostname="other",
        host_identity=samples.HOST_KEY[:-1] + "B",
        sequence=1,
        statement_sha256=samples.SHA,
    )
    scan_request = request(previous=previous)

    with pytest.raises(InputError, match=r"old: is about another host \(other\)"):
        run_scan(scan_request, openscap=AssertionError("oscap ran"))
    run_scan(request(previous=replace(previous, host_identity=samples.HOST_KEY)))


def test_scan_records_waivers(run_scan: Callable[..., Scan]) -> None:
    result = run_scan(with_waivers(make_waiver("one"), make_waiver("absent")))

    assert [(r.selector, r.rule_ids, r.status) for r in result.waiver_records] == [
        ("one", ("one",), "stale"),
        ("absent", (), "unmatched"),
    ]
    assert list(result.waivers) == ["one"]


def test_workload_settings_follow_the_profile() -> None:
    settings = build_workload_settings(load_profile("lab-stig").smoke)

    assert (settings.matrix_size, settings.batch) == (256, 2)


PASSWORD = "correct horse"
CONNECTION: Any = SimpleNamespace(
    target="me@host:22",
    secrets=SecretFilter([PASSWORD]),
    transport=DEFAULT_TRANSPORT,
    privileges=Privileges(method=BecomeMethod.ROOT),
)


def test_scan_without_root_is_recorded(
    run_scan: Callable[..., Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    privileges = Privileges(
        method=BecomeMethod.NONE, reason="sudo asks for a password", hint="give it"
    )
    monkeypatch.setattr(CONNECTION, "privileges", privileges)

    result = run_scan()

    (check,) = (c for c in result.checks if c.name == "collect::privileges")
    assert check.outcome == "not_checked"
    assert "sudo asks for a password" in check.message
    assert check.message.endswith("; give it")


NEVRA = "bash-0:5.2-1.x86_64"
RESULTS_BY_COLLECTOR: dict[str, CollectedEvidence] = {
    "host": CollectedEvidence(host=samples.HOST, packages=(NEVRA,)),
    "openscap": CollectedEvidence(
        arfs=(make_arf(one="pass"), make_arf(two="fail")), engine="oscap 1"
    ),
    "hostfacts": CollectedEvidence(
        checks=(HostCheck(name="a::b", outcome="passed", message="", duration_s=1),)
    ),
    "platform": CollectedEvidence(),
    "packages": CollectedEvidence(packages=(NEVRA,)),
    "fips": CollectedEvidence(
        fips=FipsAnswers(answers={"flag": CommandAnswer(exit_status=0, text="1")})
    ),
    "compatibility": CollectedEvidence(),
    "smoke": CollectedEvidence(smoke=samples.SMOKE),
    "chat": CollectedEvidence(smoke=samples.SMOKE),
    "host_signature": CollectedEvidence(host_signature=b"a signature"),
}


CONTENT = make_prepared((make_rule("one"), make_rule("two")), ("one",), ("two",))


SOURCE = ContentSource(
    name="ssg-rhel9-ds.xml",
    version="0.1.82",
    date="2026-09-07",
    origin="a file",
    origin_kind=ContentOrigin.FILE,
    sha256=sha256_bytes(b""),
    data=b"",
)


def request(**changes: Any) -> ScanRequest:
    base_request = ScanRequest(
        plan=plan_profile(load_profile("lab-stig")),
        provide_content=lambda *_: CONTENT,
        run_compatibility=True,
    )
    return replace(base_request, **changes)


def with_waivers(*waivers: LocatedWaiver) -> ScanRequest:
    return request(plan=replace(request().plan, waivers=waivers))


@pytest.fixture
def run_scan(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scan]:
    """Scan a target whose collectors return ``ANSWERS``, or overrides by collector name."""

    def scan(
        scan_request: ScanRequest | None = None,
        content: PreparedContent = CONTENT,
        **overrides: CollectedEvidence | Exception,
    ) -> Scan:
        def result_of(name: str, default: Any) -> Any:
            result = overrides.get(name, default)
            if isinstance(result, Exception):
                raise result
            return result

        def collector(name: str) -> SimpleNamespace:
            return SimpleNamespace(
                collect=lambda *_, **__: result_of(name, RESULTS_BY_COLLECTOR[name]),
                build_failed_evidence=create_collector(name).build_failed_evidence,
            )

        monkeypatch.setattr(pipeline, "prepare", lambda *_, **__: content)
        monkeypatch.setattr(pipeline, "find_long_rules_without_fix", lambda *_: ())
        if "host_signature" not in overrides:
            monkeypatch.setattr(pipeline, "check_sshsig", lambda *_, **__: None)
        monkeypatch.setattr(collection, "create_collector", collector)
        scan_request = replace(scan_request or request(), provide_content=lambda *_: content)
        result = pipeline.scan(scan_request, CONNECTION, discard)
        return pipeline.let_host_sign(result, CONNECTION, discard, required=scan_request.required)

    return scan


def test_scan_includes_results_of_every_collector(run_scan: Callable[..., Scan]) -> None:
    scan = run_scan()

    assert [c.outcome for c in scan.checks] == ["passed"]
    assert [r.verdict.value for r in scan.evaluation.results] == ["pass", "fail"]
    assert scan.fips is not None
    assert scan.fips.kernel_fips_flag == "on"


@pytest.mark.parametrize("part", ["hostfacts", "packages", "fips", "compatibility", "smoke"])
def test_failed_collector_is_an_error_and_keeps_the_others(
    part: str, run_scan: Callable[..., Scan]
) -> None:
    complete_scan = run_scan()

    scan = run_scan(**{part: ToolError(["x"], "answers nonsense \x1b[2J")})

    failed = [c for c in scan.checks if c.name == f"collect::{part}"]
    assert [(c.outcome, c.message) for c in failed] == [("error", "x answers nonsense [2J")]
    assert scan.evaluation == complete_scan.evaluation
    assert scan.packages == (NEVRA,)
    assert (scan.fips == complete_scan.fips) == (part not in ("fips", "packages"))
    assert build_findings(scan).count_checks_by_outcome()["error"] == 1


OPTIONAL_PARTS = ("hostfacts", "packages", "platform", "fips", "compatibility", "smoke")


@pytest.mark.parametrize("part", OPTIONAL_PARTS)
def test_missing_precondition_is_not_checked_and_keeps_the_others(
    part: str, run_scan: Callable[..., Scan]
) -> None:
    complete_scan = run_scan()

    scan = run_scan(**{part: UnavailableError(["x"], "is not there", hint="install x")})

    findings = build_findings(scan)
    assert [(c.name, c.outcome, c.message) for c in scan.checks if c.outcome != "passed"] == [
        (f"collect::{part}", "not_checked", "x is not there; install x")
    ]
    assert scan.evaluation == complete_scan.evaluation
    assert scan.raw == complete_scan.raw
    findings.require_complete()
    assert findings.count_checks_by_outcome()["not_checked"] == 1
    if part == "smoke":
        assert scan.smoke is not None
        assert (scan.smoke.verdict, scan.smoke.measures) == ("not_checked", ())
    if part == "compatibility":
        assert scan.compatibility is not None
        assert scan.compatibility.counts()["not_checked"] == len(scan.compatibility.results)


@pytest.mark.parametrize("part", [*OPTIONAL_PARTS, "host_signature"])
def test_missing_precondition_of_a_required_part_is_an_error(
    part: str, run_scan: Callable[..., Scan]
) -> None:
    scan = run_scan(
        request(required=frozenset({part})), **{part: UnavailableError(["x"], "is not there")}
    )

    with pytest.raises(ToolError, match=f"is not complete: {part}: x is not there"):
        build_findings(scan).require_complete()


@pytest.mark.parametrize("part", ["chat", "hostfacts", "smoke"])
def test_required_part_that_the_plan_lacks_is_an_error(
    part: str, run_scan: Callable[..., Scan]
) -> None:
    scan = run_scan(
        request(plan=ScanPlan(), run_compatibility=False, required=frozenset({part})),
        hostfacts=UnavailableError(["x"], "no hardpan profile"),
    )

    with pytest.raises(ToolError, match=f"is not complete: {part}: "):
        build_findings(scan).require_complete()


def test_connection_that_breaks_after_the_evaluation_keeps_its_results(
    run_scan: Callable[..., Scan],
) -> None:
    broken = UnreachableError("the connection broke")

    scan = run_scan(
        **dict.fromkeys((*OPTIONAL_PARTS, "host_signature"), broken)  # type: ignore[arg-type]
    )

    assert [r.verdict.value for r in scan.evaluation.results] == ["pass", "fail"]
    assert {c.outcome for c in scan.checks} == {"error"}
    assert len(scan.checks) == len(OPTIONAL_PARTS) + 1


def test_failed_collectors_never_count_as_passed(run_scan: Callable[..., Scan]) -> None:
    parts = ("hostfacts", "packages", "fips", "compatibility", "smoke")

    scan = run_scan(**{part: ToolError(["x"], "fails") for part in parts})

    assert {c.outcome for c in scan.checks} == {"error"}
    assert scan.smoke is not None
    assert (scan.smoke.verdict, scan.smoke.reason) == ("error", "x fails")
    assert scan.compatibility is not None
    assert scan.compatibility.counts()["error"] == len(scan.compatibility.results) > 20
    assert scan.fips is not None
    assert (scan.fips.kernel_fips_flag, scan.fips.pqc_available) == ("unknown", "unknown")
    assert {m.state for m in scan.fips.modules} == {"unknown"}


def test_failed_chat_keeps_workload_measures(run_scan: Callable[..., Scan]) -> None:
    scan_request = request(plan=plan_profile(load_profile("lab-ai")))

    scan = run_scan(scan_request, chat=ToolError(["x"], "fails"))

    assert scan.smoke is not None
    assert scan.smoke.verdict == "error"
    assert scan.smoke.measures == samples.SMOKE.measures


def test_unreadable_arf_is_an_error(run_scan: Callable[..., Scan]) -> None:
    partial_result = CollectedEvidence(
        arfs=(make_arf(one="pass"), UnreadableArf(reason="it takes too long"))
    )

    scan = run_scan(openscap=partial_result)

    assert [r.verdict.value for r in scan.evaluation.results] == ["pass", "error"]
    assert scan.evaluation.results[1].evidence_lines == ("it takes too long",)
    assert scan.checks == RESULTS_BY_COLLECTOR["hostfacts"].checks


@pytest.mark.parametrize("error", [ToolError, UnavailableError])
def test_failed_evaluation_makes_every_rule_an_error_and_keeps_the_checks(
    error: type[ToolError], run_scan: Callable[..., Scan]
) -> None:
    complete_scan = run_scan()
    failure = error(["oscap"], "has no folder", output_tail="x\n9 KiB\x1b free", hint="free some")

    scan = run_scan(openscap=failure)

    reason = "oscap has no folder: 9 KiB free; free some"
    assert [(r.verdict.value, r.evidence_lines) for r in scan.evaluation.results] == [
        ("error", (reason,)),
        ("error", (reason,)),
    ]
    assert [(c.name, c.outcome, c.message) for c in scan.checks if c.outcome != "passed"] == [
        ("collect::openscap", "error", reason)
    ]
    assert (scan.packages, scan.fips) == (complete_scan.packages, complete_scan.fips)
    with pytest.raises(ToolError, match="is not complete: openscap: oscap has no folder"):
        build_findings(scan).require_complete()


def test_assess_requires_an_evaluation(
    run_scan: Callable[..., Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_scan(openscap=ToolError(["oscap"], "cannot run"))

    with pytest.raises(ToolError, match="oscap cannot run"):
        pipeline.assess(CONNECTION, plan_profile(load_profile("lab-stig")), SOURCE, discard)


def test_assess_reports_rules_that_no_part_has_as_not_checked(
    run_scan: Callable[..., Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = make_prepared((make_rule("one"), make_rule("two")), ("one",))
    run_scan(content=content, openscap=CollectedEvidence(arfs=(make_arf(one="pass"),)))
    monkeypatch.setattr(pipeline, "load_content_fixes", lambda *_: ())

    plan = plan_profile(load_profile("lab-stig"))
    evaluation, fixes = pipeline.assess(CONNECTION, plan, SOURCE, discard)

    assert [(r.rule_id, r.verdict.value) for r in evaluation.results] == [
        ("one", "pass"),
        ("two", "notchecked"),
    ]
    assert fixes == ()


def test_incomplete_scan_is_an_error(run_scan: Callable[..., Scan]) -> None:
    build_findings(run_scan()).require_complete()
    scan = run_scan(smoke=ToolError(["x"], "fails"), fips=ToolError(["y"], "hangs"))

    with pytest.raises(ToolError) as caught:
        build_findings(scan).require_complete()

    assert str(caught.value) == "the scan is not complete: fips: y hangs; smoke: x fails"


def test_assess_requires_all_verdicts(
    run_scan: Callable[..., Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    partial_result = CollectedEvidence(
        arfs=(make_arf(one="pass"), UnreadableArf(reason="it takes too long"))
    )
    run_scan(openscap=partial_result)

    with pytest.raises(ToolError, match="reported no verdicts: it takes too long"):
        pipeline.assess(CONNECTION, plan_profile(load_profile("lab-stig")), SOURCE, discard)


@pytest.mark.parametrize(
    ("part", "error"),
    [
        ("host", ToolError(["x"], "does not say who it is")),
        ("openscap", MissingOpenScapError(["oscap"], "is not installed")),
        ("openscap", ResourceError("no memory")),
        ("openscap", UnreachableError("the connection broke")),
        ("hostfacts", ResourceError("no memory")),
    ],
)
def test_failed_required_collector_stops_the_scan(
    part: str, error: Exception, run_scan: Callable[..., Scan]
) -> None:
    with pytest.raises(type(error)):
        run_scan(**{part: error})


def test_invalid_host_signature_is_omitted(run_scan: Callable[..., Scan]) -> None:
    evidence = CollectedEvidence(host_signature=b"-----BEGIN SSH SIGNATURE-----\nx")

    scan = run_scan(host_signature=evidence)

    assert scan.raw == {}
    assert [c.name for c in scan.checks if c.outcome == "error"] == ["collect::host_signature"]


def test_host_that_cannot_sign_is_reported_with_the_remedy(run_scan: Callable[..., Scan]) -> None:
    scan = run_scan(host_signature=UnavailableError(["x"], "cannot sign", hint="update OpenSSH"))

    assert (scan.checks[-1].outcome, scan.checks[-1].message) == (
        "not_checked",
        "x cannot sign; update OpenSSH",
    )
    build_findings(scan).require_complete()


def test_password_revealed_by_sanitizing_is_removed(
    run_scan: Callable[..., Scan],
) -> None:
    check = HostCheck(name="a::b", outcome="failed", message=f"so {PASSWORD}", duration_s=1)
    host = replace(samples.HOST, hostname=PASSWORD, kernel=PASSWORD[::-1])
    scan = run_scan(
        host=CollectedEvidence(host=host),
        hostfacts=CollectedEvidence(checks=(check,), files={"x.txt": f"x {PASSWORD}".encode()}),
        smoke=ToolError([PASSWORD], "fails"),
        packages=CollectedEvidence(packages=(PASSWORD,)),
    )

    assert PASSWORD not in repr(scan)
    assert PASSWORD[::-1] not in repr(scan)
    assert scan.raw["x.txt"] == b"x [redacted]"
    assert scan.checks[0].message == "so [redacted]"


def test_tailoring_file_is_attached(run_scan: Callable[..., Scan]) -> None:
    scap_content = replace(CONTENT.content, tailoring=samples.TAILORING)

    scan = run_scan(request(), content=replace(CONTENT, content=scap_content))

    assert scan.raw["tailoring.yaml"] == samples.TAILORING.data


@pytest.mark.parametrize(
    ("required", "outcome"),
    [(frozenset(), "not_checked"), (frozenset({"hardpan-check-secure-boot"}), "error")],
)
def test_missing_precondition_of_a_required_check_is_an_error(
    required: frozenset[str], outcome: str, run_scan: Callable[..., Scan]
) -> None:
    definition = load_registry().find_by_function("test_platform::test_secure_boot_is_enabled")
    check = HostCheck(
        name="hardpan-check-secure-boot",
        outcome="not_checked",
        message="no efivarfs",
        duration_s=0,
        definition=definition.definition,
    )

    scan = run_scan(request(required=required), platform=CollectedEvidence(checks=(check,)))

    assert [c.outcome for c in scan.checks if c.name == check.name] == [outcome]
    findings = build_findings(scan)
    assert findings.count_open_checks_by_severity() == ({"medium": 1} if required else {})
    findings.require_complete()


def test_waiver_of_a_check_is_assigned(run_scan: Callable[..., Scan]) -> None:
    entry = load_registry().find_by_function("test_platform::test_secure_boot_is_enabled")
    check = HostCheck(
        name=entry.id,
        outcome="failed",
        message="disabled",
        duration_s=0,
        definition=entry.definition,
    )
    waiver = make_waiver("hardpan-check-secure-*")

    scan = run_scan(with_waivers(waiver), platform=CollectedEvidence(checks=(check,)))

    findings = build_findings(scan)
    (part,) = (c for c in findings.checks if c.name == entry.id)
    assert part.waiver is not None
    assert part.waiver.is_active
    assert [(r.rule_ids, r.status) for r in scan.waiver_records] == [((entry.id,), "active")]
    assert findings.count_open_checks_by_severity() == {}
