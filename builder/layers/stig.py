"""Layer ``stig``: remediate the rules that failed in the scan."""

from dataclasses import replace
from pathlib import Path

from hardpan.builder.artifacts import Assessment, LayerResult
from hardpan.builder.layers.base import (
    PLACEHOLDER_DIGEST,
    PLACEHOLDER_PATH,
    STAGE,
    Layer,
    LayerPreparation,
    LayerTask,
    PreparedLayer,
)
from hardpan.builder.remediation import batch
from hardpan.core import clock
from hardpan.core.events import StageMessage
from hardpan.core.extracted_files import read_bytes
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.core.limits import MAX_RULE_OUTCOMES_BYTES
from hardpan.profiles.schema.profile import Profile

_ARCHIVE_NAME = "fixes.tar"
_OUTCOMES_NAME = "outcomes.json"


def prepare(preparation: LayerPreparation) -> PreparedLayer:
    """Write the archive of the fixes."""
    fix_batch = _build_batch(preparation.profile, preparation.assessment)
    (preparation.folder / _ARCHIVE_NAME).write_bytes(fix_batch.archive)
    return PreparedLayer(
        variables=role_variables(
            preparation.profile,
            preparation.runtime_path(_ARCHIVE_NAME),
            preparation.runtime_path(_OUTCOMES_NAME),
            sha256_bytes(fix_batch.archive),
        )
    )


def run(task: LayerTask, prepared: PreparedLayer) -> LayerResult:
    """Remediate the failing rules; the result contains the outcome of each rule."""
    outcomes_path = task.workdir / _OUTCOMES_NAME
    result = task.run({**prepared.variables, "stig_outcomes": str(outcomes_path)})
    # Untrusted: the file comes from the guest.
    data = read_bytes(task.workdir, outcomes_path.name, max_bytes=MAX_RULE_OUTCOMES_BYTES)
    batch_result = batch.parse_outcomes(data, _build_batch(task.profile, task.assessment))
    for warning in batch_result.warnings:
        task.emit(StageMessage(stage=STAGE, text=f"stig: {warning}"))
    return replace(result, outcomes=batch_result.outcomes)


def _build_batch(profile: Profile, assessment: Assessment) -> batch.FixBatch:
    """Return the fixes of the assessment; the same assessment gives the same bytes."""
    today = clock.now().date()
    waiver_by_rule = {fix.rule_id: profile.stig.waiver_for(fix, today) for fix in assessment.fixes}
    waived = {r: w.reason for r, w in waiver_by_rule.items() if w and not w.has_expired(today)}
    return batch.build_batch(assessment.fixes, waived)


def role_variables(
    profile: Profile, archive_path: Path, outcomes_path: Path, batch_sha256: Sha256
) -> dict[str, object]:
    """Return the role's variables; ``batch_sha256`` is the digest of the archive."""
    user = next(u for u in profile.users if u.name == profile.build_user)
    return {
        "stig_archive": str(archive_path),
        "stig_outcomes": str(outcomes_path),
        # Named after the batch, so that leftovers of an interrupted run are not reused.
        "stig_workdir": f"/root/.hardpan-stig-{batch_sha256[:12]}",
        "stig_user": user.name,
        "stig_sudo": user.sudo,
    }


def planned_variables(profile: Profile) -> dict[str, object]:
    """Return the role's variables with placeholders for the batch."""
    return role_variables(profile, PLACEHOLDER_PATH, PLACEHOLDER_PATH, PLACEHOLDER_DIGEST)


STIG = Layer(
    name="stig",
    section="stig",
    uses_assessment=True,
    summary="remediates failing, not waived rules with the fixes of the scanned data stream",
    prepare=prepare,
    run=run,
    planned_variables=planned_variables,
)
