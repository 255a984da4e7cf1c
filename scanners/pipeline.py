"""The scanner pipeline: identify the connected host, get its content, evaluate, collect.

Output of a target is hostile. A part without results is recorded with the reason, and the others
keep theirs, also if that part is the evaluation by oscap. Only the host's identity must be read,
and oscap must be installed.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hardpan.core import clock, events
from hardpan.core.background import start_call
from hardpan.core.errors import HardpanError, ToolError, TrustError
from hardpan.core.events import Emit
from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.profiles.schema.ssg import Fix
from hardpan.profiles.schema.waivers import LocatedWaiver
from hardpan.scanners.collect.base import (
    COLLECTORS,
    CollectedEvidence,
    CollectTask,
    HostChallenge,
    build_failed_check,
    create_collector,
)
from hardpan.scanners.collect.check_registry import load_registry
from hardpan.scanners.collect.collection import CollectedParts, Collection, HostIdentity
from hardpan.scanners.collect.evaluation import (
    add_omitted_rules,
    attach_merged_arf,
    attempt_evaluation,
    evaluate_content,
)
from hardpan.scanners.collect.plan import ScanPlan
from hardpan.scanners.collect.raw_answers import AnswerLog, render_raw_files
from hardpan.scanners.collect.sent_secrets import redact_secrets
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.prepare import (
    PreparedContent,
    find_long_rules_without_fix,
    prepare,
)
from hardpan.scanners.content.prepare import load_fixes as load_content_fixes
from hardpan.scanners.deviations.waivers import assign_waivers, require_unambiguous
from hardpan.scanners.evidence.file_names import HOST_SIGNATURE, list_tailoring_files
from hardpan.scanners.evidence.statement.predicate_extensions import (
    HOST_SIGNATURE_NAMESPACE,
    build_host_challenge,
)
from hardpan.scanners.fips.assess import assess_fips
from hardpan.scanners.fips.cmvp import load_table
from hardpan.scanners.fips.model import FipsAnswers
from hardpan.scanners.model.clock_difference import describe_clock_difference
from hardpan.scanners.model.results import VERDICT_BY_OUTCOME, HostCheck
from hardpan.scanners.model.scan import Evaluation, RuleResult, Scan, Verdict
from hardpan.scanners.openscap.arf.results import UnreadableArf
from hardpan.scanners.openscap.evaluate import EvaluatedParts, merge_results
from hardpan.scanners.report.model.build import build_findings
from hardpan.scanners.report.registry import import_renderers
from hardpan.scanners.scan_request import ScanRequest
from hardpan.signing import check_sshsig
from hardpan.ssh.connection import Connection


def assess(
    connection: Connection, plan: ScanPlan, source: ContentSource, emit: Emit
) -> tuple[Evaluation, tuple[Fix, ...]]:
    """Evaluate the connected target, and return the content's own fixes for its failing rules.

    Rules without a fix that search all file systems take half of the time, and change nothing of
    what is returned: they are not checked. The scan of the hardened system evaluates them.

    Raises:
        ToolError, UnreachableError, InputError: as the stages do.
    """
    collection = Collection(connection, emit)
    identity = collection.identify_host()
    content = prepare(
        source,
        plan.xccdf_profile,
        part_count=identity.job_count,
        file_count=identity.file_count,
        omitted_rules=find_long_rules_without_fix(source, plan.xccdf_profile),
    )
    with events.run_stage(emit, "openscap"):
        openscap_evidence = evaluate_content(collection, content)
    evaluation = add_omitted_rules(_evaluate(content, openscap_evidence, identity), content)
    for arf in openscap_evidence.arfs:
        if isinstance(arf, UnreadableArf) and not evaluation.used_untouched:
            raise ToolError(["oscap"], f"reported no verdicts: {arf.reason}")
    failed_rules = {
        r.rule_id: r for r in evaluation.results if r.verdict in (Verdict.FAIL, Verdict.ERROR)
    }
    fixes = load_content_fixes(source, plan.xccdf_profile, failed_rules)
    return evaluation, tuple(  # with the ids that a waiver may use for the rule
        replace(fix, stig_ids=rule.stig_ids, sv_ids=rule.sv_ids, cce=rule.cce)
        for fix, rule in ((fix, failed_rules[fix.rule_id]) for fix in fixes)
    )


def scan(request: ScanRequest, connection: Connection, emit: Emit) -> Scan:
    """Scan the connected target; only the host's own signature is missing in the result.

    Raises:
        ToolError: the host does not report its identity, or oscap is not installed there.
        UnreachableError: the connection broke before OpenSCAP had evaluated the content.
        InputError: there is no content for the target, its text contains a password, two
            waivers are for one rule, or the previous statement is about another host.
    """
    started = clock.format_rfc3339(clock.now())
    collection = Collection(
        connection, emit, required=request.required, openscap_packages=request.openscap_packages
    )
    collection.record_privileges()
    identity = collection.identify_host()
    if request.previous is not None:
        request.previous.require_host(identity.host.identity)
    if warning := describe_clock_difference(identity.host.clock_difference_s):
        emit(events.StageMessage(stage="host", text=f"warning: {warning}"))
    content = request.provide_content(identity, emit)
    require_unambiguous(
        request.plan.waivers, (*content.benchmark.rules, *load_registry().list_names())
    )
    # While the target evaluates. A daemon, so that it does not delay the end of a scan that fails.
    threading.Thread(target=_import_later_modules, daemon=True).start()
    with events.run_stage(emit, "openscap"):
        openscap_evidence = attempt_evaluation(collection, content)
    evaluation = _evaluate(content, openscap_evidence, identity)
    # The other collectors mostly wait for the target.
    merging = start_call(lambda: attach_merged_arf(openscap_evidence, evaluation, content, emit))
    parts = collection.collect_parts(
        request.plan.build_task(
            identity.release.distro,
            request.plan.list_required_checks(
                (rule.rule_id for rule in content.benchmark.rules), request.required
            ),
        ),
        run_compatibility=request.run_compatibility or request.plan.has_ai_workload,
        run_smoke=request.run_smoke,
        job_count=identity.job_count,
    )
    result = _build_scan(
        request, identity, merging.result(), evaluation, parts, collection.answer_logs
    )
    result = replace(result, transport=connection.transport)
    result = _finish_scan(result, started, request.plan.waivers)
    return redact_secrets(result, connection.secrets)


def let_host_sign(
    result: Scan,
    connection: Connection,
    emit: Emit,
    *,
    nonce: str = "",
    required: frozenset[str] = frozenset(),
) -> Scan:
    """Return the scan with the host's signature over its findings, or with why there is none.

    ``nonce`` is the auditor's challenge; ``required`` is that of the scan request.
    """
    collection = Collection(connection, emit, required=required)
    with events.run_stage(emit, "host signature") as note:
        return _add_host_signature(result, collection, nonce, note)


def _import_later_modules() -> None:
    """Import what the scan needs after the evaluation; an error occurs again where it is used."""
    with contextlib.suppress(ImportError, HardpanError):
        for name in COLLECTORS:
            create_collector(name)
        import_renderers()


def _evaluate(
    content: PreparedContent, openscap_evidence: CollectedEvidence, identity: HostIdentity
) -> Evaluation:
    return merge_results(
        content,
        EvaluatedParts(arfs=openscap_evidence.arfs, untouched_arf=openscap_evidence.untouched_arf),
        engine=openscap_evidence.engine,
        os_name=identity.host.os_name,
        os_cpe=identity.host.cpe,
        fallback_time=clock.format_rfc3339(clock.now()),
    )


def _build_scan(
    request: ScanRequest,
    identity: HostIdentity,
    openscap_evidence: CollectedEvidence,
    evaluation: Evaluation,
    parts: CollectedParts,
    answer_logs: Mapping[str, AnswerLog],
) -> Scan:
    """Build the scan from what was collected; the times are set when it is complete."""
    # The host's identity already includes its packages.
    packages = parts.packages.packages or identity.packages
    fips_answers = replace(
        parts.fips.fips or FipsAnswers(),
        packages=None if "packages" in parts.failed else packages,
    )
    baseline = request.baseline_counts
    return Scan(
        profile=request.plan.display_name(evaluation.profile_id),
        host=identity.host,
        evaluation=evaluation,
        baseline_counts=None if baseline is None else dict(baseline),
        checks=(
            *(_require_answer(c, request.required) for c in parts.platform.checks),
            *parts.host_facts.checks,
            *parts.packages.checks,
            *parts.fips.checks,
            *openscap_evidence.checks,
            *parts.failed.values(),
        ),
        smoke=parts.smoke,
        compatibility=parts.compatibility,
        packages=packages,
        raw={
            **openscap_evidence.files,
            **parts.host_facts.files,
            **parts.packages.files,
            **render_raw_files(answer_logs),
        },
        waivers={},
        image=request.image,
        fips=assess_fips(fips_answers, load_table(), clock.now().date()),
        invocation=request.invocation,
    )


def _finish_scan(result: Scan, started: str, waivers: Sequence[LocatedWaiver]) -> Scan:
    """Return ``result`` with its times, and with the waivers as of the day on which it ended."""
    finished = clock.now()
    results = (*result.evaluation.results, *map(_build_rule_result, result.checks))
    assignment = assign_waivers(waivers, [r for r in results if r is not None], finished.date())
    return replace(
        result,
        started=started,
        finished=clock.format_rfc3339(finished),
        raw={**result.raw, **list_tailoring_files(result.evaluation.content.tailoring)},
        waivers=assignment.waiver_by_rule,
        waiver_records=assignment.records,
    )


def _require_answer(check: HostCheck, required: frozenset[str]) -> HostCheck:
    """Return the check; as an error if ``--require`` names it and a precondition is missing."""
    if check.name in required and check.outcome == "not_checked":
        return replace(check, outcome="error")
    return check


def _build_rule_result(check: HostCheck) -> RuleResult | None:
    """Return a check as the rule that a waiver can name; None for a part without results."""
    if check.definition is None:
        return None
    return RuleResult(
        rule_id=check.name,
        title=check.definition.title,
        severity=check.definition.severity,
        verdict=Verdict(VERDICT_BY_OUTCOME[check.outcome]),
    )


def _add_host_signature(
    result: Scan, collection: Collection, nonce: str, note: Callable[[str], None]
) -> Scan:
    """Return ``result`` with the signature, or with the check that says why there is none."""
    message = build_host_challenge(
        nonce, result.host.boot_id, sha256_bytes(canonical_json(build_findings(result).to_json()))
    )
    challenge = HostChallenge(message=message, namespace=HOST_SIGNATURE_NAMESPACE)
    evidence = collection.attempt("host_signature", CollectTask(challenge=challenge))
    failure = collection.failed.get("host_signature")
    if failure is None:
        try:
            check_sshsig(
                evidence.host_signature,
                message,
                namespace=HOST_SIGNATURE_NAMESPACE,
                fingerprint=result.host.host_key_sha256,
            )
        except TrustError as e:
            failure = build_failed_check("host_signature", e)
            note(failure.message)
    if failure is None:
        return replace(result, raw={**result.raw, HOST_SIGNATURE: evidence.host_signature})
    return replace(result, checks=(*result.checks, failure))
