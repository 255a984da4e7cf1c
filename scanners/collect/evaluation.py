"""Evaluate content on a target, and the untouched content if the parts gave something else."""

from collections.abc import Sequence
from dataclasses import replace

from hardpan.core.compression import CompressedBlob, compress
from hardpan.core.errors import ResourceError, ToolError
from hardpan.core.events import Emit, StageMessage
from hardpan.scanners.collect.base import (
    CollectedEvidence,
    CollectTask,
    build_failed_check,
    build_unreadable_check,
    describe_failure,
)
from hardpan.scanners.collect.collection import Collection
from hardpan.scanners.collect.openscap import STAGE, MissingOpenScapError
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.model.results import HostCheck
from hardpan.scanners.model.scan import Evaluation, RuleResult, Verdict
from hardpan.scanners.openscap.arf.process import read_arf
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf
from hardpan.scanners.openscap.evaluate import find_differences
from hardpan.scanners.openscap.merged_arf import (
    MERGED_ARF,
    PartArf,
    merge_arfs,
    require_equal,
)

_MERGE_CHECK = "openscap::merged_arf"
UNTOUCHED_ARF = "arf-untouched.xml"
"""Name of the ARF of the untouched content in the evidence."""


def evaluate_content(collection: Collection, content: PreparedContent) -> CollectedEvidence:
    """Evaluate the parts of the content.

    If OpenSCAP evaluated something else than expected, the untouched content is evaluated, too:
    its ARF is ``untouched_arf`` of the result, and the ARFs of the parts remain attached.

    Raises:
        ToolError, UnreachableError, ResourceError: as the collector ``openscap`` does.
    """
    evidence = collection.collect("openscap", _build_task(collection, content))
    differences = find_differences(content, evidence.arfs)
    if not differences:
        return evidence
    more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
    text = f"OpenSCAP evaluated something else than expected: {differences[0]}{more}"
    if content.parts == (content.untouched,):
        collection.emit(StageMessage(stage=STAGE, text=f"{text}; its answer counts"))
        return evidence
    collection.emit(StageMessage(stage=STAGE, text=f"{text}; evaluating the untouched content"))
    return _add_untouched(collection, content, evidence)


def attempt_evaluation(collection: Collection, content: PreparedContent) -> CollectedEvidence:
    """Evaluate the parts of the content; if OpenSCAP cannot, every rule is an error.

    The other collectors may have results, which are worth a signature. The part ``openscap`` is
    an ``error`` also where a precondition is missing: a scan without verdicts is not complete.

    Raises:
        MissingOpenScapError: an installation is the remedy, and the next scan has everything.
        UnreachableError: the connection broke; no other collector can have results.
        ResourceError: this machine cannot do it.
    """
    try:
        return evaluate_content(collection, content)
    except (MissingOpenScapError, ResourceError):
        raise
    except ToolError as e:
        check = replace(build_failed_check("openscap", e), outcome="error")
        collection.emit(StageMessage(stage=STAGE, text=f"error: {check.message}"))
        arf = UnreadableArf(reason=describe_failure(e))
        return CollectedEvidence(arfs=(arf,) * len(content.parts), checks=(check,))


def _add_untouched(
    collection: Collection, content: PreparedContent, evidence: CollectedEvidence
) -> CollectedEvidence:
    task_content = replace(content, parts=(content.untouched,))
    try:
        untouched = collection.collect("openscap", _build_task(collection, task_content))
    except ResourceError:
        raise  # this machine's fault
    except ToolError as e:
        untouched = CollectedEvidence(arfs=(UnreadableArf(reason=str(e)),))
    arf = untouched.arfs[0]
    if isinstance(arf, Arf):
        checks: tuple[HostCheck, ...] = ()  # the parts are not needed
    else:
        checks = (
            *evidence.checks,
            build_unreadable_check(UNTOUCHED_ARF, f"the untouched content: {arf.reason}"),
        )
    files = dict(evidence.files)
    for file in untouched.files.values():
        files[UNTOUCHED_ARF] = file
    return replace(evidence, untouched_arf=arf, checks=checks, files=files)


def attach_merged_arf(
    evidence: CollectedEvidence, evaluation: Evaluation, content: PreparedContent, emit: Emit
) -> CollectedEvidence:
    """Return the evidence with one ARF of all parts, or with a check that says why there is none.

    Nothing is added if no ARF was read; other checks say so.

    Raises:
        ResourceError: this machine cannot start the process that reads it again.
    """
    parts = _select_parts(evidence, evaluation)
    if not parts:
        return evidence
    try:
        merged = _merge_arfs(parts, evaluation, content)
    except ResourceError:
        raise
    except ToolError as e:
        text = f"the ARFs of the parts are not merged: {e}"
        emit(StageMessage(stage=STAGE, text=text))
        check = HostCheck(name=_MERGE_CHECK, outcome="error", message=text, duration_s=0)
        return replace(evidence, checks=(*evidence.checks, check))
    return replace(evidence, files={**evidence.files, MERGED_ARF: merged})


def add_omitted_rules(evaluation: Evaluation, content: PreparedContent) -> Evaluation:
    """Return the evaluation with all rules of the profile: what no part has is not checked."""
    evaluated_ids = {result.rule_id for result in evaluation.results}
    omitted = (r for r in content.benchmark.rules if r.rule_id not in evaluated_ids)
    not_checked = (
        RuleResult(
            rule_id=rule.rule_id,
            title=rule.title,
            severity=rule.severity,
            verdict=Verdict.NOT_CHECKED,
        )
        for rule in omitted
    )
    return replace(evaluation, results=(*evaluation.results, *not_checked))


def _merge_arfs(
    parts: Sequence[PartArf], evaluation: Evaluation, content: PreparedContent
) -> CompressedBlob:
    chunks = merge_arfs(parts, evaluation, content.untouched.data)
    arf, compressed = read_arf(chunks, name=MERGED_ARF)
    if isinstance(arf, UnreadableArf) or compressed is None:
        reason = arf.reason if isinstance(arf, UnreadableArf) else "it is empty"
        reason = reason.replace(f"the ARF {MERGED_ARF}", "it")
        raise ToolError([MERGED_ARF], f"cannot be read: {reason}")
    require_equal(arf, evaluation)
    return compressed


def _select_parts(evidence: CollectedEvidence, evaluation: Evaluation) -> list[PartArf]:
    """Return the ARFs whose results are in the evaluation."""
    if evaluation.used_untouched and evidence.untouched_arf is not None:
        names = [UNTOUCHED_ARF]
    else:
        arfs = enumerate(evidence.arfs)
        names = [f"arf-{n}.xml" for n, arf in arfs if isinstance(arf, Arf)]
    blobs = {name: evidence.files[name] for name in names if name in evidence.files}
    return [PartArf(name=name, open=compress(blob).iter_chunks) for name, blob in blobs.items()]


def _build_task(collection: Collection, content: PreparedContent) -> CollectTask:
    return CollectTask(prepared=content, openscap_packages=collection.openscap_packages)
