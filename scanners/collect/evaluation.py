"""Evaluate content on a target, and the untouched content if the parts gave something else."""

from dataclasses import replace

from hardpan.core.errors import ResourceError, ToolError
from hardpan.core.events import StageMessage
from hardpan.scanners.collect.base import CollectedEvidence, CollectTask, build_failed_check
from hardpan.scanners.collect.collection import Collection
from hardpan.scanners.collect.openscap import STAGE
from hardpan.scanners.content.prepare import PreparedContent
from hardpan.scanners.model.results import HostCheck
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf
from hardpan.scanners.openscap.evaluate import find_differences

UNTOUCHED_ARF = "arf-untouched.xml"
"""Name of the ARF of the untouched content in the evidence."""


def evaluate_content(collection: Collection, content: PreparedContent) -> CollectedEvidence:
    """Evaluate the parts of the content.

    If OpenSCAP evaluated something else than expected, the untouched content is evaluated, too:
    its ARF is ``untouched_arf`` of the result, and the ARFs of the parts remain attached.

    Raises:
        ToolError, UnreachableError, ResourceError: as the collector ``openscap`` does.
    """
    evidence = collection.collect("openscap", CollectTask(prepared=content))
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


def _add_untouched(
    collection: Collection, content: PreparedContent, evidence: CollectedEvidence
) -> CollectedEvidence:
    task_content = replace(content, parts=(content.untouched,))
    try:
        untouched = collection.collect("openscap", CollectTask(prepared=task_content))
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
            build_failed_check(UNTOUCHED_ARF, ToolError(["the untouched content:"], arf.reason)),
        )
    files = dict(evidence.files)
    for file in untouched.files.values():
        files[UNTOUCHED_ARF] = file
    return replace(evidence, untouched_arf=arf, checks=checks, files=files)
