"""The scanner pipeline: target, collect, evaluate.

Output of a target is hostile. A part that fails is recorded as an ``error`` with its reason, and
the others keep their results; only the host's identity and the scan by oscap must succeed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

from hardpan.core import clock, events
from hardpan.core.errors import InputError, ResourceError, ToolError, TrustError
from hardpan.core.events import Emit
from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.core.redaction import SecretFilter
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.ssg import Fix
from hardpan.scanners.collect import compatibility as compatibility_checks
from hardpan.scanners.collect.base import (
    CollectedEvidence,
    CollectTask,
    HostChallenge,
    build_failed_check,
    create_collector,
)
from hardpan.scanners.collect.chat import combine_results
from hardpan.scanners.collect.task import build_task, build_workload_task
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.prepare import PreparedContent, prepare
from hardpan.scanners.content.prepare import load_fixes as load_content_fixes
from hardpan.scanners.evidence.file_names import HOST_SIGNATURE
from hardpan.scanners.evidence.statement.predicate_extensions import (
    HOST_SIGNATURE_NAMESPACE,
    build_host_challenge,
)
from hardpan.scanners.fips.assess import assess_fips
from hardpan.scanners.fips.cmvp import load_table
from hardpan.scanners.fips.model import FipsAnswers
from hardpan.scanners.model.results import HostCheck, SmokeReport
from hardpan.scanners.model.scan import (
    Evaluation,
    ImageRef,
    Scan,
    ScannedHost,
    Verdict,
    Waiver,
)
from hardpan.scanners.openscap.arf.results import UnreadableArf
from hardpan.scanners.openscap.evaluate import merge_results
from hardpan.scanners.report.model.build import build_findings
from hardpan.signing import check_sshsig
from hardpan.ssh.client import connect
from hardpan.ssh.connection import Connection
from hardpan.ssh.target import Target

_CONNECT_TIMEOUT_S = 180.0
_TIMEOUTS_S = {
    "host": 300.0,
    "openscap": 3600.0,
    "hostfacts": 1200.0,
    "packages": 300.0,
    "fips": 600.0,
    "compatibility": 900.0,
    "smoke": 1200.0,
    "chat": 1200.0,
    "host_signature": 60.0,
}
"""Collector -> time limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """Input of one scan."""

    target: Target
    profile: Profile
    content: PreparedContent
    """The content to evaluate, prepared for the profile."""

    run_smoke: bool = True
    run_compatibility: bool = False
    """Run the compatibility checks even if no layer of the profile asks for them."""

    sudo_password: str = ""
    baseline_counts: Mapping[str, int] | None = None
    """Counts before hardening, if the same run built the image."""

    image: ImageRef | None = None
    invocation: tuple[str, ...] = ()
    nonce: str = ""
    """The auditor's challenge, for the host to sign."""


def assess(
    target: Target, profile: Profile, source: ContentSource, emit: Emit
) -> tuple[Evaluation, tuple[Fix, ...]]:
    """Evaluate a target, and return the content's own fixes for its failing rules.

    Raises:
        ToolError, TrustError, UnreachableError, InputError: as the stages do.
    """
    content = prepare(source, profile.stig.profile_id)
    with connect(target, timeout_s=_CONNECT_TIMEOUT_S) as connection:
        collection = _Collection(connection, CollectTask(prepared=content), emit)
        host, _ = _identify_host(collection)
        openscap_evidence = _run_openscap(collection)
    evaluation = _evaluate(content, openscap_evidence, host)
    for arf in openscap_evidence.arfs:
        if isinstance(arf, UnreadableArf):
            raise ToolError(["oscap"], f"reported no verdicts: {arf.reason}")
    failed_rule_ids = [
        r.rule_id for r in evaluation.results if r.verdict in (Verdict.FAIL, Verdict.ERROR)
    ]
    return evaluation, load_content_fixes(source, profile.stig.profile_id, failed_rule_ids)


def scan(request: ScanRequest, emit: Emit) -> Scan:
    """Scan a target; the result is complete and ready to be reported and signed.

    Raises:
        ToolError: the host does not report its identity, or oscap does not run there.
        TrustError, UnreachableError: the connection.
        InputError: the content does not apply to the target, or its text contains the sudo
            password.
    """
    _refuse_common_password(request.sudo_password, request.content)
    secrets = SecretFilter([request.sudo_password])
    started = clock.format_rfc3339(clock.now())
    task = build_task(request.profile, request.content)
    with connect(
        request.target, timeout_s=_CONNECT_TIMEOUT_S, sudo_password=request.sudo_password
    ) as connection:
        collection = _Collection(connection, task, emit)
        host, host_packages = _identify_host(collection)
        openscap_evidence = _run_openscap(collection)
        evaluation = _evaluate(request.content, openscap_evidence, host)
        with events.run_stage(emit, "checks"):
            host_facts = collection.attempt("hostfacts")
            packages = collection.attempt("packages")
            fips = collection.attempt("fips")
        compatibility = None
        if compatibility_checks.should_run(request.profile, is_requested=request.run_compatibility):
            with events.run_stage(emit, "compatibility"):
                compatibility = collection.attempt("compatibility").compatibility
        smoke_result = None
        if request.run_smoke:
            with events.run_stage(emit, "smoke"):
                smoke_result = _test_workload(task, collection.attempt)
        # The host's identity already includes its packages.
        installed = packages.packages or host_packages
        readable_packages = None if "packages" in collection.failed else installed
        result = Scan(
            profile=request.profile.name,
            host=host,
            evaluation=evaluation,
            baseline_counts=None
            if request.baseline_counts is None
            else dict(request.baseline_counts),
            checks=(
                *host_facts.checks,
                *fips.checks,
                *openscap_evidence.checks,
                *collection.failed.values(),
            ),
            smoke=smoke_result,
            compatibility=compatibility,
            packages=installed,
            raw={**openscap_evidence.files, **host_facts.files, **packages.files},
            waivers=select_waivers(request.profile, (r.rule_id for r in evaluation.results)),
            image=request.image,
            fips=assess_fips(
                replace(fips.fips or FipsAnswers(), packages=readable_packages),
                load_table(),
                clock.now().date(),
            ),
            started=started,
            finished=clock.format_rfc3339(clock.now()),
            invocation=request.invocation,
        )
        result = redact_secrets(result, secrets)
        with events.run_stage(emit, "host signature") as note:
            return _add_host_signature(result, connection, request.nonce, note)


@dataclass(frozen=True, slots=True)
class _Collection:
    """The collectors of one scan, run over one connection."""

    connection: Connection
    task: CollectTask
    emit: Emit
    failed: dict[str, HostCheck] = field(default_factory=dict)
    """Collector -> why it failed, as a check of the evidence."""

    def collect(self, name: str) -> CollectedEvidence:
        """Return the evidence of the collector ``name``.

        Raises:
            ToolError, UnreachableError, ResourceError: as the collector does.
        """
        return create_collector(name).collect(
            self.connection, self.task, timeout_s=_TIMEOUTS_S[name], emit=self.emit
        )

    def attempt(self, name: str) -> CollectedEvidence:
        """Return the evidence of ``name``; if the target fails, the evidence of the failure."""
        try:
            return self.collect(name)
        except ResourceError:
            raise  # this machine's fault
        except ToolError as e:
            self.failed[name] = build_failed_check(name, str(e))
            return create_collector(name).build_failed_evidence(
                self.task, self.failed[name].message
            )


def _identify_host(collection: _Collection) -> tuple[ScannedHost, tuple[str, ...]]:
    """Return the host and its packages."""
    evidence = collection.collect("host")
    assert evidence.host is not None  # noqa: S101 - the collector's one job
    return evidence.host, evidence.packages


def _run_openscap(collection: _Collection) -> CollectedEvidence:
    with events.run_stage(collection.emit, "openscap"):
        return collection.collect("openscap")


def _evaluate(
    content: PreparedContent, evidence: CollectedEvidence, host: ScannedHost
) -> Evaluation:
    return merge_results(
        content,
        evidence.arfs,
        engine=evidence.engine,
        os_name=host.os_name,
        os_cpe=host.cpe,
        fallback_time=clock.format_rfc3339(clock.now()),
    )


def redact_secrets(result: Scan, secrets: SecretFilter) -> Scan:
    """Return ``result`` without secrets that the target received and may have sent back.

    They were redacted in every output already. This finds one that appeared when a text was
    sanitized. Attached ARFs were redacted before they were compressed.
    """
    return replace(
        result,
        host=secrets.filter_value(result.host),
        evaluation=secrets.filter_value(result.evaluation),
        checks=secrets.filter_value(result.checks),
        smoke=secrets.filter_value(result.smoke),
        compatibility=secrets.filter_value(result.compatibility),
        packages=secrets.filter_value(result.packages),
        fips=secrets.filter_value(result.fips),
        raw={
            n: secrets.filter_bytes(d) if isinstance(d, bytes) else d for n, d in result.raw.items()
        },
    )


def _refuse_common_password(password: str, content: PreparedContent) -> None:
    data = password.encode("utf-8", "surrogateescape")
    if data and any(data in part.data for part in content.parts):
        raise InputError(
            "the sudo password: cannot be used for a scan: expected a password that does not occur "
            "in the SCAP content, because it is redacted in all results",
            hint="use a longer password, or a user with NOPASSWD",
        )


def _add_host_signature(
    result: Scan, connection: Connection, nonce: str, note: Callable[[str], None]
) -> Scan:
    """Return ``result`` with the host's signature over its findings, if the host can sign."""
    message = build_host_challenge(
        nonce, result.host.boot_id, sha256_bytes(canonical_json(build_findings(result).to_json()))
    )
    challenge = HostChallenge(message=message, namespace=HOST_SIGNATURE_NAMESPACE)
    collection = _Collection(connection, CollectTask(challenge=challenge), events.discard)
    signature = collection.collect("host_signature").host_signature
    if not signature:
        note("the host cannot sign with its host key; the evidence has no host signature")
        return result
    try:
        check_sshsig(
            signature,
            message,
            namespace=HOST_SIGNATURE_NAMESPACE,
            fingerprint=result.host.host_key_sha256,
        )
    except TrustError as e:
        note(f"the host signature is omitted: {e}")
        return result
    return replace(result, raw={**result.raw, HOST_SIGNATURE: signature})


def run_workload_tests(connection: Connection, profile: Profile) -> SmokeReport:
    """Run the AI workload test, and the chat test if the profile has an inference server.

    Raises:
        ToolError: one cannot run on the target, or its output is invalid.
        UnreachableError: the connection broke.
    """
    task = build_workload_task(profile)
    return _test_workload(task, _Collection(connection, task, events.discard).collect)


def _test_workload(task: CollectTask, collect: Callable[[str], CollectedEvidence]) -> SmokeReport:
    """Combine the results of the workload tests; each may fail without the other."""
    names = ("smoke",) if task.server is None else ("smoke", "chat")
    reports = [report for name in names if (report := collect(name).smoke) is not None]
    return reduce(combine_results, reports)


def select_waivers(profile: Profile, rule_ids: Iterable[str]) -> dict[str, Waiver]:
    """Return rule id -> waiver, for the rules that have one; expired ones included."""
    today = clock.now().date()
    waiver_by_rule = {rule_id: profile.stig.waiver_for(rule_id, today) for rule_id in rule_ids}
    return {
        rule_id: Waiver(
            reason=w.reason,
            owner=w.owner,
            expires=w.expires.isoformat(),
            is_active=w.expires >= today,
        )
        for rule_id, w in waiver_by_rule.items()
        if w is not None
    }
