"""``hardpan remediate``: write a playbook or a script for the failed rules of evidence."""

from collections import Counter
from pathlib import Path
from typing import cast

import click

from hardpan.core.console import print_document, print_json, print_message, stderr
from hardpan.core.errors import UsageError
from hardpan.core.files import write_atomic
from hardpan.profiles.schema import ssg
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content.fixes import FixKind
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.scanners.ledger.verification import load_evidence
from hardpan.scanners.remediation.plan import MinSeverity, Omission, RuleSelection
from hardpan.scanners.remediation.remediation import Remediation, build_remediation


@click.command()
@click.argument("evidence", type=click.Path(path_type=Path))
@click.option("--policy", type=click.Path(path_type=Path), help="Verify against this trust policy.")
@click.option(
    "--allow-unverified",
    is_flag=True,
    help="Accept evidence whose signatures are not verified; the output runs as root.",
)
@click.option(
    "--as",
    "kind",
    type=click.Choice([k.value for k in FixKind]),
    default=FixKind.ANSIBLE.value,
    show_default=True,
    help="An Ansible playbook or a bash script.",
)
@click.option(
    "--rule",
    "selectors",
    multiple=True,
    metavar="RULE",
    help="Only this rule: XCCDF id, STIG id, SV id, V id, CCE or a pattern (repeatable).",
)
@click.option(
    "--severity",
    type=click.Choice(ssg.SEVERITIES),
    help="Only rules of this severity or higher, counted as by --fail-on.",
)
@click.option(
    "--disruptive",
    is_flag=True,
    help="Include fixes with a high disruption, for the next boot, or that can lock out the user.",
)
@click.option(
    "--no-collections",
    is_flag=True,
    help="Leave out Ansible fixes that need collections in addition to ansible-core.",
)
@click.option(
    "--content",
    "content_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The scanned data stream, if the evidence does not contain it.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to this file instead of stdout."
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def remediate(
    evidence: Path,
    policy: Path | None,
    allow_unverified: bool,
    kind: str,
    selectors: tuple[str, ...],
    severity: str | None,
    disruptive: bool,
    no_collections: bool,
    content_file: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Write the fixes for exactly the failed, not waived rules of EVIDENCE.

    The fixes are those of the content that was scanned, with the values of the scanned profile.
    With --json, the document is only written to the file of -o.
    """
    if policy is None and not allow_unverified:
        raise UsageError(
            f"{evidence}: expected --policy, or --allow-unverified",
            hint="the output runs as root: only verified evidence should decide what it contains",
        )
    trust = None if policy is None else load_trust_policy(policy)
    loaded = load_evidence(evidence, trust)
    selection = RuleSelection(
        selectors=selectors,
        min_severity=cast(MinSeverity | None, severity),
        include_disruptive=disruptive,
        allow_collections=not no_collections,
    )
    remediation = build_remediation(
        evidence,
        loaded.evidence,
        loaded.status,
        FixKind(kind),
        selection,
        content_file=content_file,
    )
    if output is not None:
        write_atomic(output, remediation.document)
    elif not as_json:
        print_document(remediation.document)
    _print_summary(remediation, output)
    if as_json:
        print_json(remediation.to_json())


def _print_summary(remediation: Remediation, output: Path | None) -> None:
    """Print to stderr what was written, and what still fails afterwards."""
    plan = remediation.plan
    for omitted in plan.omitted:
        if omitted.reason not in (Omission.WAIVED, Omission.DISRUPTIVE, Omission.NOT_EVALUATED):
            name = shorten_id(omitted.rule.rule_id)
            print_message(stderr, f"left out: {name}: {omitted.message}")
    counts = Counter(omitted.reason for omitted in plan.omitted)
    for reason, text in (
        (Omission.DISRUPTIVE, "with a disruptive fix; --disruptive includes them"),
        (Omission.NOT_EVALUATED, "without a result: error, unknown or notchecked"),
        (Omission.WAIVED, "with an active waiver"),
    ):
        if counts[reason]:
            print_message(stderr, f"left out: {_count_rules(counts[reason])} {text}")
    start = "" if output is None else f"wrote {output}: "
    print_message(stderr, f"{start}remediates {_count_rules(len(plan.fixes), 'failed ')}")
    if any(planned.installs_package for planned in plan.fixes):
        text = "packages make more rules applicable: scan again, and remediate what fails then"
        print_message(stderr, f"note: {text}")


def _count_rules(count: int, kind: str = "") -> str:
    return f"{count} {kind}rule{'' if count == 1 else 's'}"
