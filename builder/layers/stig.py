"""The layer ``stig``: the fixes of the rules that a scan found failing."""

from dataclasses import replace
from pathlib import Path

from hardpan.builder.ansible.runner import STAGE
from hardpan.builder.artifacts import LayerResult
from hardpan.builder.layers.base import LayerTask
from hardpan.builder.remediation import batch
from hardpan.core import clock
from hardpan.core.events import StageMessage
from hardpan.core.extracted_files import read_bytes
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.profiles.schema.profile import Profile

MAX_OUTCOMES_BYTES = 16 << 20
"""Of what the guest says became of each rule; a thousand rules take some 300 KiB."""


def apply(task: LayerTask) -> LayerResult:
    """Mend what failed; what came of each rule is in the receipt."""
    profile, today = task.profile, clock.now().date()
    waiver_by_rule = {
        r.rule_id: profile.stig.waiver_for(r.rule_id, today) for r in task.assessment.fixes
    }
    waived = {r: w.reason for r, w in waiver_by_rule.items() if w and w.expires >= today}
    fix_batch = batch.build_batch(task.assessment.fixes, waived)
    archive_path, outcomes_path = task.workdir / "fixes.tar", task.workdir / "outcomes.json"
    archive_path.write_bytes(fix_batch.archive)
    result = task.run(
        role_variables(profile, archive_path, outcomes_path, sha256_bytes(fix_batch.archive))
    )
    # Fetched from the guest, so it may be anything that Ansible's fetch leaves.
    data = read_bytes(task.workdir, outcomes_path.name, max_bytes=MAX_OUTCOMES_BYTES)
    batch_result = batch.parse_outcomes(data, fix_batch)
    for warning in batch_result.warnings:
        task.emit(StageMessage(stage=STAGE, text=f"stig: {warning}"))
    return replace(result, outcomes=batch_result.outcomes)


def role_variables(
    profile: Profile, archive_path: Path, outcomes_path: Path, batch_sha256: Sha256
) -> dict[str, object]:
    """What the role is given; ``batch`` is the digest of the archive."""
    user = next(u for u in profile.users if u.name == profile.build_user)
    return {
        "stig_archive": str(archive_path),
        "stig_outcomes": str(outcomes_path),
        # Of the batch's own name: what an interrupted run left of another is not taken up.
        "stig_room": f"/root/.hardpan-stig-{batch_sha256[:12]}",
        "stig_user": user.name,
        "stig_sudo": user.sudo,
    }
