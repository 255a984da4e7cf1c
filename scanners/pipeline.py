"""The scanner pipeline: target, collect, evaluate.

Output of a target is hostile. A part that fails is recorded as an ``error`` with its reason, and
the others keep their results; only the host's identity and the scan by oscap must succeed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hardpan.core import clock, events
from hardpan.core.errors import InputError, ResourceError, ToolError, TrustError
from hardpan.core.events import Emit
from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.core.redaction import SecretFilter
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.ssg import Fix
from hardpan.scanners.collect import chat as chat_test
from hardpan.scanners.collect import compatibility as compatibility_checks
from hardpan.scanners.collect import smoke as smoke_test
from hardpan.scanners.collect.base import (
    CollectedEvidence,
    CollectTask,
    ExpectedState,
    build_failed_check,
    create_collector,
)
from hardpan.scanners.collect.chat import InferenceServer, combine_results, run_chat_test
from hardpan.scanners.collect.host_signature import sign_with_host_key
from hardpan.scanners.collect.layers import add_layer_expectations
from hardpan.scanners.collect.smoke import WorkloadSettings, run_smoke_test
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.prepare import PreparedContent, prepare
from hardpan.scanners.content.prepare import load_fixes as load_content_fixes
from hardpan.scanners.evidence.statement.predicate_extensions import (
    HOST_SIGNATURE,
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
from hardpan.ssh.client import SshConnection, connect
from hardpan.ssh.target import Target

T = TypeVar("T")
_CONNECT_TIMEOUT_S = 180.0
_OSCAP_TIMEOUT_S = 3600.0
_CHECKS_TIMEOUT_S = 1200.0
_FACTS_TIMEOUT_S = 300.0
_FIPS_TIMEOUT_S = 600.0
_SMOKE_TIMEOUT_S = 1200.0
_COMPATIBILITY_TIMEOUT_S = 900.0
_HOST_SIGNATURE_TIMEOUT_S = 60.0
_VLLM_BACKENDS = {"nvidia": "cuda", "amd": "rocm"}
"""Accelerator -> the backend of vLLM on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """Input of one scan."""

    target: Target
    profile: Profile
    source: ContentSource
    """Upstream's data stream."""

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
    prepared = prepare(source, profile.stig.profile_id)
    with connect(target, timeout_s=_CONNECT_TIMEOUT_S) as connection:
        host = _collect_host(connection, emit).host
        assert host is not None  # noqa: S101 - the collector's one job
        evaluation, openscap_evidence = _evaluate(connection, prepared, host, emit)
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
    prepared = prepare(request.source, request.profile.stig.profile_id)
    _refuse_common_password(request.sudo_password, prepared)
    secrets = SecretFilter([request.sudo_password])
    attempts = _PartialFailures()
    started = clock.format_rfc3339(clock.now())
    task = CollectTask(prepared=prepared, expected=build_expected_state(request.profile))
    with connect(
        request.target, timeout_s=_CONNECT_TIMEOUT_S, sudo_password=request.sudo_password
    ) as connection:
        identity = _collect_host(connection, emit)
        host = identity.host
        assert host is not None  # noqa: S101 - the collector's one job
        evaluation, openscap_evidence = _evaluate(connection, prepared, host, emit)
        with events.run_stage(emit, "checks"):
            host_facts = attempts.collect("hostfacts", connection, task, _CHECKS_TIMEOUT_S, emit)
            packages = attempts.collect("packages", connection, task, _FACTS_TIMEOUT_S, emit)
            fips = attempts.collect("fips", connection, task, _FIPS_TIMEOUT_S, emit)
        compatibility = None
        if compatibility_checks.should_run(request.profile, is_requested=request.run_compatibility):
            with events.run_stage(emit, "compatibility"):
                compatibility = attempts.run_part(
                    "compatibility",
                    lambda: compatibility_checks.run_compatibility_checks(
                        connection, timeout_s=_COMPATIBILITY_TIMEOUT_S
                    ),
                    compatibility_checks.failed_report,
                )
        smoke_result = None
        if request.run_smoke:
            with events.run_stage(emit, "smoke"):
                smoke_result = _attempt_workload_tests(connection, request.profile, attempts)
        # The host's identity already includes its packages.
        installed = packages.packages or identity.packages
        readable_packages = None if "packages" in attempts.failed else installed
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
                *attempts.failed.values(),
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
class _PartialFailures:
    """Parts of a scan that may fail without affecting the others."""

    failed: dict[str, HostCheck] = field(default_factory=dict)
    """Part -> why it failed, as a check of the evidence."""

    def run_part(
        self, part: str, collect_part: Callable[[], T], on_failure: Callable[[str], T]
    ) -> T:
        """Return the result of ``collect_part``, or of ``on_failure`` if the target fails."""
        try:
            return collect_part()
        except ResourceError:
            raise  # this machine's fault
        except ToolError as e:
            self.failed[part] = build_failed_check(part, str(e))
            return on_failure(self.failed[part].message)

    def collect(
        self, name: str, connection: SshConnection, task: CollectTask, timeout_s: float, emit: Emit
    ) -> CollectedEvidence:
        """Return the evidence of the collector ``name``; empty if it fails."""
        return self.run_part(
            name,
            lambda: create_collector(name).collect(
                connection, task, timeout_s=timeout_s, emit=emit
            ),
            lambda _: CollectedEvidence(),
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


def _refuse_common_password(password: str, prepared: PreparedContent) -> None:
    data = password.encode("utf-8", "surrogateescape")
    if data and any(data in part.data for part in prepared.parts):
        raise InputError(
            "the sudo password: cannot be used for a scan: expected a password that does not occur "
            "in the SCAP content, because it is redacted in all results",
            hint="use a longer password, or a user with NOPASSWD",
        )


def _add_host_signature(
    result: Scan, connection: SshConnection, nonce: str, note: Callable[[str], None]
) -> Scan:
    """Return ``result`` with the host's signature over its findings, if the host can sign."""
    message = build_host_challenge(
        nonce, result.host.boot_id, sha256_bytes(canonical_json(build_findings(result).to_json()))
    )
    signature = sign_with_host_key(
        connection, message, namespace=HOST_SIGNATURE_NAMESPACE, timeout_s=_HOST_SIGNATURE_TIMEOUT_S
    )
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


def run_workload_tests(connection: SshConnection, profile: Profile) -> SmokeReport:
    """Run the AI workload test, and the chat test if the profile has an inference server.

    Raises:
        ToolError: one cannot run on the target, or its output is invalid.
        UnreachableError: the connection broke.
    """
    smoke_result = run_smoke_test(
        connection, build_workload_settings(profile), timeout_s=_SMOKE_TIMEOUT_S
    )
    server = find_inference_server(profile)
    return (
        combine_results(smoke_result, run_chat_test(connection, server, timeout_s=_SMOKE_TIMEOUT_S))
        if server
        else smoke_result
    )


def _attempt_workload_tests(
    connection: SshConnection, profile: Profile, attempts: _PartialFailures
) -> SmokeReport:
    """Run the workload tests; each may fail without the other."""
    smoke_result = attempts.run_part(
        "smoke",
        lambda: run_smoke_test(
            connection, build_workload_settings(profile), timeout_s=_SMOKE_TIMEOUT_S
        ),
        smoke_test.failed_result,
    )
    server = find_inference_server(profile)
    if server is None:
        return smoke_result
    chat_result = attempts.run_part(
        "chat",
        lambda: run_chat_test(connection, server, timeout_s=_SMOKE_TIMEOUT_S),
        lambda reason: chat_test.failed_result(server, reason),
    )
    return combine_results(smoke_result, chat_result)


def find_inference_server(profile: Profile) -> InferenceServer | None:
    """Return the profile's inference server; None without the layer ``ai_service``."""
    section = profile.ai_service
    if section is None or "ai_service" not in profile.layers:
        return None
    certificate = section.certificate
    is_vllm = section.server.engine == "vllm"
    return InferenceServer(
        engine=section.server.engine,
        backend=_VLLM_BACKENDS[profile.hardware.accelerator] if is_vllm else "cpu",
        model=section.server.model,
        model_file=section.server.weights,
        cafile=certificate.certificate_file if certificate else "/etc/pki/hardpan/tls.crt",
        host=section.host_name if certificate else "localhost",
    )


def build_workload_settings(profile: Profile) -> WorkloadSettings:
    """Return the sizes of the smoke test from the profile."""
    settings = profile.smoke
    return WorkloadSettings(
        matrix_size=settings.matrix_size,
        matrix_rounds=settings.matrix_rounds,
        batch=settings.batch,
        batch_rounds=settings.batch_rounds,
        python=profile.ai_python or "/usr/bin/python3",
    )


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


def build_expected_state(profile: Profile) -> ExpectedState:
    """Return the state of a running system that the profile requires."""
    user = next(u for u in profile.users if u.name == profile.build_user)
    mounts = {p.mount: p.options for p in profile.storage.partitions if p.mount.startswith("/")}
    state = ExpectedState(
        mounts={
            **{m: tuple(o for o in options if "=" not in o) for m, options in mounts.items()},
            "/dev/shm": ("nodev", "nosuid", "noexec"),  # noqa: S108
        },
        kernel_arguments=profile.kernel_arguments,
        fips=profile.fips,
        boot_superuser=profile.boot.superuser,
        build_user=profile.build_user,
        sudo_nopasswd=user.sudo == "nopasswd",
        enabled=profile.services.enabled,
        disabled=profile.services.disabled,
        packages=tuple(p for p in profile.install_packages if not p.startswith("@")),
        absent_packages=profile.packages.remove,
        time_servers=profile.system.ntp_servers,
        ai_python=profile.ai_python,
    )
    return add_layer_expectations(state, profile)


def _collect_host(connection: SshConnection, emit: Emit) -> CollectedEvidence:
    return create_collector("host").collect(
        connection, CollectTask(), timeout_s=_FACTS_TIMEOUT_S, emit=emit
    )


def _evaluate(
    connection: SshConnection, prepared: PreparedContent, host: ScannedHost, emit: Emit
) -> tuple[Evaluation, CollectedEvidence]:
    task = CollectTask(prepared=prepared)
    with events.run_stage(emit, "openscap"):
        evidence = create_collector("openscap").collect(
            connection, task, timeout_s=_OSCAP_TIMEOUT_S, emit=emit
        )
    merged_evaluation = merge_results(
        prepared,
        evidence.arfs,
        engine=evidence.engine,
        os_name=host.os_name,
        os_cpe=host.cpe,
        fallback_time=clock.format_rfc3339(clock.now()),
    )
    return merged_evaluation, evidence
