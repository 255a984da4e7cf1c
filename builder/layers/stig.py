"""The layer ``stig``: the fixes of the rules that a scan found failing."""

from dataclasses import replace
from pathlib import Path

from hardpan import clock
from hardpan.builder.layers import fixes
from hardpan.builder.layers.ansible import STAGE
from hardpan.builder.layers.task import Task
from hardpan.builder.receipts import LayerReceipt
from hardpan.events import Note
from hardpan.extracted_files import read_bytes
from hardpan.files import Sha256, sha256_bytes
from hardpan.profiles.model import Profile

MAX_OUTCOMES_BYTES = 16 << 20
"""Of what the guest says became of each rule; a thousand rules take some 300 KiB."""


def put(task: Task) -> LayerReceipt:
    """Mend what failed; what came of each rule is in the receipt."""
    profile, today = task.profile, clock.now().date()
    found = {r.rule_id: profile.stig.waiver(r.rule_id, today) for r in task.assessment.remedies}
    waived = {r: w.reason for r, w in found.items() if w and w.expires >= today}
    batch = fixes.batch(task.assessment.remedies, waived)
    archive, back = task.folder / "fixes.tar", task.folder / "outcomes.json"
    archive.write_bytes(batch.archive)
    made = task.run(variables(profile, archive, back, sha256_bytes(batch.archive)))
    # Fetched from the guest, so it may be anything that Ansible's fetch leaves.
    data = read_bytes(task.folder, back.name, max_bytes=MAX_OUTCOMES_BYTES)
    told = fixes.read_outcomes(data, batch)
    for trouble in told.troubles:
        task.emit(Note(stage=STAGE, text=f"stig: {trouble}"))
    return replace(made, outcomes=told.outcomes)


def variables(profile: Profile, archive: Path, back: Path, batch: Sha256) -> dict[str, object]:
    """What the role is given; ``batch`` is the digest of the archive."""
    user = next(u for u in profile.users if u.name == profile.build_user)
    return {
        "stig_archive": str(archive),
        "stig_outcomes": str(back),
        # Of the batch's own name: what an interrupted run left of another is not taken up.
        "stig_room": f"/root/.hardpan-stig-{batch[:12]}",
        "stig_user": user.name,
        "stig_sudo": user.sudo,
    }
