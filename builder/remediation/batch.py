"""Build the remediation batch of the failing rules and parse its outcomes.

Exclusions and overrides of the content's fixes are data: ``ansible/roles/stig/vars/rules.yml``.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hardpan.builder.ansible.paths import PLAYBOOKS
from hardpan.builder.artifacts import RuleOutcome
from hardpan.builder.remediation.templated_fixes import (
    parse_audit_rules,
    parse_sysctl,
    render_audit_file,
)
from hardpan.core import validation_errors
from hardpan.core.errors import InputError, ToolError
from hardpan.core.limits import MAX_RULE_OUTCOMES_BYTES
from hardpan.core.yaml_source import read_yaml
from hardpan.profiles.schema.ssg import RULE_PREFIX, Fix

_ROLE = PLAYBOOKS / "roles" / "stig"
_RULES_FILE = _ROLE / "vars" / "rules.yml"
_NO_FIX_REASON = "the content has no fix; the rule can only be satisfied at install"
_MAX_DETAIL_CHARS = 600
AUDIT_FILE = "/etc/audit/rules.d/50-hardpan-stig.rules"
SYSCTL_FILE = "/etc/sysctl.d/99-hardpan-stig.conf"
_PACKAGE_RULE = re.compile(r"package_.+_(installed|removed)|xwindows_remove_packages")
_DNF_COMMAND = re.compile(
    r"^\s*(?:dnf|yum) (install|remove) -y (?:--noautoremove )?\"([\w.+-]+)\"\s*$", re.MULTILINE
)


class RemediationRules(BaseModel):
    """Deviations from the content's own fixes, as ``rules.yml`` lists them for the role."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    excluded: dict[str, str] = Field(alias="stig_excluded_rules")
    """Rule (a ``*`` at its end matches any suffix) -> why it is not remediated in a build."""

    overrides: dict[str, str] = Field(alias="stig_overrides")
    """Rule -> why hardpan's own script replaces the content's."""

    run_last: tuple[str, ...] = Field(alias="stig_run_last")
    """Prefixes of the rules that are remediated after all others."""

    def exclusion_reason(self, rule: str) -> str:
        """Return why ``rule`` is not remediated; empty if it is."""
        for name, reason in self.excluded.items():
            if rule == name or (name.endswith("*") and rule.startswith(name[:-1])):
                return reason
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixBatch:
    """The scripts sent to the guest and the outcomes that need no script."""

    archive: bytes
    """tar: ``manifest.json``, ``fixes/NNN.sh``, ``prelude.sh``, ``guard.sh``, ``remediate.py``."""

    scripts: tuple[str, ...]
    """Ids of the rules with a script, in execution order."""

    consolidated: Mapping[str, str]
    """Rule id -> the consolidated file on the guest that replaces its fix."""

    resolved: tuple[RuleOutcome, ...]
    """Outcomes of rules without a script: waived, excluded or without a fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """The outcome of every rule in a batch."""

    outcomes: tuple[RuleOutcome, ...]
    warnings: tuple[str, ...]
    """One line for each failed package transaction or deferred command."""


def load_rules() -> RemediationRules:
    """Load the deviations table of the role.

    Raises:
        InputError: the file was changed and has problems; each is reported on a line.
    """
    tree = read_yaml(_RULES_FILE.read_bytes(), str(_RULES_FILE))
    try:
        return RemediationRules.model_validate(tree.to_plain())
    except ValidationError as e:
        problems = validation_errors.locate_errors(tree, e)
        raise InputError(validation_errors.format_problems(problems)) from e


def build_batch(fixes: Sequence[Fix], waived: Mapping[str, str]) -> FixBatch:
    """Build the batch for ``fixes``; waived and excluded rules are resolved without a script.

    The same fixes give the same bytes.
    """
    table = load_rules()
    resolved: list[RuleOutcome] = []
    scripts: list[tuple[str, str]] = []
    for fix in fixes:
        name = fix.rule_id.removeprefix(RULE_PREFIX)
        exclusion = table.exclusion_reason(name)
        if fix.rule_id in waived:
            resolved.append(_outcome(fix, "waived", waived[fix.rule_id]))
        elif exclusion:
            resolved.append(_outcome(fix, "no_fix", exclusion))
        elif name in table.overrides:
            scripts.append(
                (fix.rule_id, (_ROLE / "files" / "overrides" / f"{name}.sh").read_text("utf-8"))
            )
        elif not fix.script.strip():
            resolved.append(_outcome(fix, "no_fix", _NO_FIX_REASON))
        else:
            scripts.append((fix.rule_id, fix.script))
    scripts.sort(key=lambda item: item[0].removeprefix(RULE_PREFIX).startswith(table.run_last))
    files, consolidated = _consolidate(scripts)
    scripts = [item for item in scripts if item[0] not in consolidated]
    return FixBatch(
        archive=_write_tar(dict(_archive_members(scripts, files))),
        scripts=tuple(rule for rule, _ in scripts),
        consolidated=consolidated,
        resolved=tuple(resolved),
    )


def parse_outcomes(data: bytes, batch: FixBatch) -> BatchResult:
    """Parse the outcomes reported by the guest; only their structure is validated.

    Raises:
        ToolError: malformed JSON, or the outcome of a rule is missing.
    """
    try:
        if len(data) > MAX_RULE_OUTCOMES_BYTES:
            raise ValueError("too long")
        outcomes = json.loads(data)
        result_by_rule = {str(x["rule"]): _parse_result(x) for x in outcomes["rules"]}
        deferred = [(str(x["name"]), *_parse_result(x)) for x in outcomes["deferred"]]
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise ToolError(["remediate.py"], "wrote malformed outcomes") from e
    missing = [r for r in batch.scripts if r not in result_by_rule]
    if missing:
        raise ToolError(["remediate.py"], f"no outcome for {len(missing)} rules, e.g. {missing[0]}")
    executed = tuple(
        RuleOutcome(
            rule_id=rule,
            outcome="error" if result_by_rule[rule][0] else "applied",
            detail=result_by_rule[rule][1],
        )
        for rule in batch.scripts
    )
    written = tuple(
        RuleOutcome(rule_id=rule, outcome="applied", detail=f"written to {file}")
        for rule, file in batch.consolidated.items()
    )
    warnings = tuple(
        f"{name} exited with {exit_status}: {output}"
        for name, exit_status, output in deferred
        if exit_status
    )
    return BatchResult(outcomes=(*batch.resolved, *written, *executed), warnings=warnings)


def _consolidate(scripts: Sequence[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Merge templated fixes into files; return file -> text and rule id -> file."""
    lines: list[str] = []
    settings: dict[str, str] = {}
    consolidated: dict[str, str] = {}
    for rule, script in scripts:
        if rules := parse_audit_rules(script):
            lines += rules
            consolidated[rule] = AUDIT_FILE
        elif setting := parse_sysctl(script):
            settings[setting[0]] = setting[1]
            consolidated[rule] = SYSCTL_FILE
    files = {}
    if lines:
        files[AUDIT_FILE] = render_audit_file(lines)
    if settings:
        files[SYSCTL_FILE] = "".join(f"{name} = {settings[name]}\n" for name in settings)
    return files, consolidated


def _archive_members(
    scripts: Sequence[tuple[str, str]], files: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    packages_by_action: dict[str, set[str]] = {"install": set(), "remove": set()}
    for rule, script in scripts:
        if _PACKAGE_RULE.fullmatch(rule.removeprefix(RULE_PREFIX)):
            for action, package in _DNF_COMMAND.findall(script):
                packages_by_action[action].add(package)
    manifest = {
        "rules": [rule for rule, _ in scripts],
        "install": sorted(packages_by_action["install"]),
        "remove": sorted(packages_by_action["remove"]),
        "files": files,
    }
    yield "manifest.json", json.dumps(manifest).encode()
    for n, (_, script) in enumerate(scripts):
        yield f"fixes/{n:03}.sh", script.encode()
    # remediate.py is the last member: if it exists, the archive is unpacked completely.
    for name in ("prelude.sh", "guard.sh", "remediate.py"):
        yield name, (_ROLE / "files" / name).read_bytes()


def _parse_result(result: Mapping[str, object]) -> tuple[int, str]:
    exit_status, output = result["exit_status"], result["output"]
    if type(exit_status) is not int or not isinstance(output, str):
        raise TypeError("expected an exit status and a text")
    return exit_status, output.strip()[-_MAX_DETAIL_CHARS:]


def _outcome(fix: Fix, outcome: str, detail: str) -> RuleOutcome:
    return RuleOutcome(rule_id=fix.rule_id, outcome=outcome, detail=detail)


def _write_tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
