"""Render the decisions of a profile as ``exceptions.md``."""

from collections import Counter
from collections.abc import Sequence

from hardpan.builder.stig_decisions.decide import DecidedRule
from hardpan.builder.stig_decisions.table import DecidedBy
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.rule_names import shorten_id

_DECISIONS = {
    DecidedBy.KICKSTART: "met by the install",
    DecidedBy.LAYER: "met by a layer",
    DecidedBy.PACKAGES: "met by the packages",
    DecidedBy.SITE: "left to the site",
    DecidedBy.NOT_APPLICABLE: "not applicable",
    DecidedBy.WAIVER: "waived",
    DecidedBy.UNDECIDED: "undecided",
}
_VERDICTS = {"notchecked": "notchecked: manual", None: "unknown"}
_HEADER = "| rule | STIG | title | severity | decision | by whom | expected result | reason |"


def render_exceptions(profile: Profile, decided: Sequence[DecidedRule], content: str) -> str:
    """Return the Markdown text; ``content`` names the SCAP content and its version."""
    counts = Counter(rule.by for rule in decided)
    summary = ", ".join(f"{counts[by]} {_DECISIONS[by]}" for by in DecidedBy if counts[by])
    rows = [_render_row(profile, rule) for rule in decided]
    head = (
        f"# Rules without remediation: {profile.name}",
        "",
        f"{content}, profile `{shorten_id(profile.stig.profile_id)}`: {len(rows)} rules have no",
        "fix in bash, so the layer `stig` cannot remediate them. What is decided about them:",
        f"{summary or 'nothing'}.",
        "",
        "*expected result* is what a scan of the finished image reports. A rule that is",
        "`notchecked` has no automatic check: a person decides it. A rule that is `fail` and",
        "not waived is an open finding until the site meets or waives it.",
        "",
    )
    table = (_HEADER, "| --- " * 8 + "|", *rows, "") if rows else ()
    return "\n".join((*head, *table))


def _render_row(profile: Profile, decided: DecidedRule) -> str:
    rule = decided.rule
    cells = (
        f"`{shorten_id(rule.rule_id)}`",
        ", ".join(rule.stig_ids),
        rule.title,
        rule.severity,
        _DECISIONS[decided.by],
        _name_actor(profile, decided),
        _VERDICTS.get(decided.verdict) or str(decided.verdict),
        decided.reason,
    )
    return f"| {' | '.join(map(_escape_cell, cells))} |"


def _name_actor(profile: Profile, decided: DecidedRule) -> str:
    if decided.by is DecidedBy.WAIVER:
        return f"{decided.owner}, until {decided.expires}"
    if decided.by in (DecidedBy.SITE, DecidedBy.UNDECIDED):
        return "the site"
    if decided.by is DecidedBy.KICKSTART:
        return f"profile {profile.name}"
    return {DecidedBy.LAYER: "layer stig", DecidedBy.PACKAGES: "the distribution"}.get(
        decided.by, ""
    )


def _escape_cell(text: str) -> str:
    """Return ``text`` on one line that does not end the cell."""
    return " ".join(text.split()).replace("|", "\\|")
