"""The comment at the start of a playbook or script: what it is for, and what it leaves out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

from hardpan.core.sanitize import sanitize_line
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content.fixes import FixKind
from hardpan.scanners.remediation.plan import Omission, OmittedRule, Plan
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.sections import RulePart

_TITLES = {
    Omission.NO_FIX: "Failed, and not remediated here because there is no fix",
    Omission.DISRUPTIVE: "Failed, and left out because the fix is disruptive",
    Omission.INVALID_FIX: "Failed, and left out because the fix cannot be used",
    Omission.COLLECTION: "Failed, and left out because the fix needs a collection",
    Omission.WAIVED: "Failed, and waived",
    Omission.NOT_EVALUATED: "Not evaluated",
    Omission.NOT_FAILED: "Requested, and not failed",
}
_MAX_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationSource:
    """The evidence and the content of a remediation."""

    findings: Findings
    evidence_sha256: str
    statement_sha256: str
    status: str
    """``verified: …`` or ``NOT VERIFIED: …``."""

    content_location: str
    """Where the content was found."""


def describe_rule(rule: RulePart) -> str:
    """Return ids, severity and title of a rule on one line."""
    ids = " ".join((*rule.stig_ids, shorten_id(rule.rule_id)))
    return clean(f"{ids} ({rule.severity}): {rule.title}")


def clean(text: str) -> str:
    """Return a text as one line of a comment, shortened."""
    line = sanitize_line(text).encode("ascii", "backslashreplace").decode()
    return line if len(line) <= _MAX_CHARACTERS else line[: _MAX_CHARACTERS - 3] + "..."


def format_header(
    source: RemediationSource, plan: Plan, *, usage: Iterable[str], collections: Iterable[str]
) -> Iterator[str]:
    """Yield the lines of the comment, each with ``#``."""
    for line in _list_lines(source, plan, usage, collections):
        yield f"# {line}".rstrip()


def _list_lines(
    source: RemediationSource, plan: Plan, usage: Iterable[str], collections: Iterable[str]
) -> Iterator[str]:
    findings = source.findings
    host, content = findings.host, findings.content
    rules = f"{len(plan.fixes)} failed rule{'' if len(plan.fixes) == 1 else 's'}"
    yield f"Remediation of {rules}, written by hardpan {version('hardpan')}."
    yield "It runs as root with the fixes of the SCAP content: read it first."
    yield ""
    tailoring = "none" if content.tailoring is None else content.tailoring.describe()
    rows = (
        ("evidence", f"sha256 {source.evidence_sha256}"),
        ("statement", f"sha256 {source.statement_sha256}"),
        ("signature", source.status),
        ("host", f"{host.hostname}, {host.describe_identity()}"),
        ("system", host.os_name),
        ("scanned", findings.finished),
        ("content", f"{content.name} {content.version}, sha256 {content.source_sha256}"),
        ("fixes from", source.content_location),
        ("profile", content.profile_id),
        ("tailoring", tailoring),
        *([("collections", ", ".join(collections))] if plan.kind is FixKind.ANSIBLE else []),
    )
    for name, text in rows:
        yield clean(f"{name:<12} {text or 'none'}")
    yield ""
    yield from usage
    for reason, title in _TITLES.items():
        omitted = [o for o in plan.omitted if o.reason is reason]
        if omitted:
            yield ""
            yield f"{title} ({len(omitted)}):"
            yield from (f"  {clean(_describe_omission(o))}" for o in omitted)


def _describe_omission(omitted: OmittedRule) -> str:
    return f"{describe_rule(omitted.rule)}: {omitted.message}"
