"""The content's own fixes as one batch for the guest, and what came of each."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.receipts import Remedy, RuleOutcome
from hardpan.errors import ToolError

_RUNNER = Path(__file__).parent / "ansible" / "roles" / "stig" / "files" / "mend.py"
_PREFIX = "xccdf_org.ssgproject.content_rule_"
_LAST = ("fapolicy", "usbguard", "sudo", "audit_rules_immutable")
"""Fixes that shut doors which other fixes still have to go through."""

NEVER = {
    "aide_build_database": "the database is built at the machine's own first start: in the image "
    "it would hold digests of what every machine makes anew",
    "enable_authselect": "it replaces the PAM stacks as a whole and locks out who is not in its "
    "profile; the rules about PAM are mended one by one",
}
"""Rules whose fix is not run on a build, and why. They stay failing and are told as such."""

_NO_FIX = "the content has no fix: right at install or never"
_DETAIL_MOST = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What goes to the guest."""

    archive: bytes
    """tar: ``mend.py``, ``manifest.json``, ``fixes/NNN.sh``."""

    sent: tuple[str, ...]
    """Rule ids that have a script in it, in the order they run."""

    settled: tuple[RuleOutcome, ...]
    """Outcomes that are known without running anything."""


def batch(remedies: Sequence[Remedy], excepted: Mapping[str, str], build_user: str) -> Batch:
    """The fixes of the failing rules, exceptions and unsafe ones aside."""
    settled: list[RuleOutcome] = []
    todo: list[Remedy] = []
    for r in remedies:
        never = NEVER.get(r.rule_id.removeprefix(_PREFIX))
        if r.rule_id in excepted:
            settled.append(_outcome(r, "excepted", excepted[r.rule_id]))
        elif not r.script.strip():
            settled.append(
                _outcome(r, "no_fix", "the content has no fix: right at install or never")
            )
        elif never is not None:
            settled.append(_outcome(r, "no_fix", never))
        else:
            todo.append(r)
    todo.sort(key=lambda r: r.rule_id.removeprefix(_PREFIX).startswith(_LAST))
    files = {"mend.py": _RUNNER.read_bytes()}
    manifest = {"user": build_user, "rules": [r.rule_id for r in todo]}
    files["manifest.json"] = json.dumps(manifest).encode()
    files |= {f"fixes/{n:03}.sh": r.script.encode() for n, r in enumerate(todo)}
    return Batch(archive=_tar(files), sent=tuple(r.rule_id for r in todo), settled=tuple(settled))


def read_outcomes(data: bytes, sent: Batch) -> tuple[RuleOutcome, ...]:
    """What the guest says came of the batch; it is not believed further than its form.

    Raises:
        ToolError: no JSON of the expected form, or a rule is missing.
    """
    try:
        told = json.loads(data)
        by_rule = {str(x["rule"]): (int(x["rc"]), str(x["said"])) for x in told}
    except (ValueError, KeyError, TypeError) as e:
        raise ToolError(["mend.py"], "gave no outcomes that can be read") from e
    missing = [r for r in sent.sent if r not in by_rule]
    if missing:
        raise ToolError(["mend.py"], f"told nothing about {len(missing)} rules, e.g. {missing[0]}")
    ran = [
        RuleOutcome(
            rule_id=rule,
            outcome="applied" if by_rule[rule][0] == 0 else "error",
            detail=by_rule[rule][1][-_DETAIL_MOST:],
        )
        for rule in sent.sent
    ]
    return (*sent.settled, *ran)


def _outcome(remedy: Remedy, outcome: str, detail: str) -> RuleOutcome:
    return RuleOutcome(rule_id=remedy.rule_id, outcome=outcome, detail=detail)


def _tar(files: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()
