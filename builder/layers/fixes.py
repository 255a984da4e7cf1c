"""The content's own fixes as one batch for the guest, and what came of each.

What is done otherwise than the content does it, and why, is data:
``ansible/roles/stig/vars/rules.yml``.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from hardpan.builder.layers.ansible import PLAYBOOKS
from hardpan.builder.layers.batched import audit_file, audit_lines, sysctl_setting
from hardpan.builder.receipts import Remedy, RuleOutcome
from hardpan.errors import ToolError
from hardpan.profiles.upstream import RULE_PREFIX

_ROLE = PLAYBOOKS / "roles" / "stig"
_NO_FIX = "the content has no fix: right at install or never"
_DETAIL_MOST = 600
_MOST_BYTES = 16 << 20
AUDIT_FILE = "/etc/audit/rules.d/50-hardpan-stig.rules"
SYSCTL_FILE = "/etc/sysctl.d/99-hardpan-stig.conf"
_PACKAGE_RULE = re.compile(r"package_.+_(installed|removed)|xwindows_remove_packages")
_DNF = re.compile(
    r"^\s*(?:dnf|yum) (install|remove) -y (?:--noautoremove )?\"([\w.+-]+)\"\s*$", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What hardpan does otherwise than the content's own fixes."""

    never: Mapping[str, str]
    """Rule (a ``*`` at its end stands for any ending) -> why it is not mended on a build."""

    ours: Mapping[str, str]
    """Rule -> why our own script takes the place of the content's."""

    last: tuple[str, ...]
    """Beginnings of the names of rules that are mended after all others."""

    def why_never(self, rule: str) -> str:
        """Why ``rule`` is not mended; empty when it is."""
        for name, why in self.never.items():
            if rule == name or (name.endswith("*") and rule.startswith(name[:-1])):
                return why
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What goes to the guest."""

    archive: bytes
    """tar: ``manifest.json``, ``fixes/NNN.sh``, ``prelude.sh``, ``guard.sh``, ``mend.py``."""

    sent: tuple[str, ...]
    """Rule ids that have a script in it, in the order they run."""

    written: Mapping[str, str]
    """Rule id -> the file on the guest that what its fix would write goes into."""

    settled: tuple[RuleOutcome, ...]
    """Outcomes that are known without running anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came back from the guest."""

    outcomes: tuple[RuleOutcome, ...]
    troubles: tuple[str, ...]
    """One line for each step beside the fixes that went wrong."""


def rules() -> Rules:
    """The table that the role carries."""
    data = yaml.safe_load((_ROLE / "vars" / "rules.yml").read_text("utf-8"))
    return Rules(
        never=data["stig_never"], ours=data["stig_ours"], last=tuple(map(str, data["stig_last"]))
    )


def batch(remedies: Sequence[Remedy], waived: Mapping[str, str]) -> Batch:
    """The fixes of the failing rules; waivers and those not for a build are settled.

    The same remedies give the same bytes.
    """
    table = rules()
    settled: list[RuleOutcome] = []
    todo: list[tuple[str, str]] = []
    for r in remedies:
        name = r.rule_id.removeprefix(RULE_PREFIX)
        never = table.why_never(name)
        if r.rule_id in waived:
            settled.append(_settled(r, "waived", waived[r.rule_id]))
        elif never:
            settled.append(_settled(r, "no_fix", never))
        elif name in table.ours:
            todo.append((r.rule_id, (_ROLE / "files" / "ours" / f"{name}.sh").read_text("utf-8")))
        elif not r.script.strip():
            settled.append(_settled(r, "no_fix", _NO_FIX))
        else:
            todo.append((r.rule_id, r.script))
    todo.sort(key=lambda item: item[0].removeprefix(RULE_PREFIX).startswith(table.last))
    files, written = _gathered(todo)
    todo = [item for item in todo if item[0] not in written]
    return Batch(
        archive=_tar(dict(_members(todo, files))),
        sent=tuple(rule for rule, _ in todo),
        written=written,
        settled=tuple(settled),
    )


def read_outcomes(data: bytes, sent: Batch) -> Told:
    """What the guest says came of the batch; it is not believed further than its form.

    Raises:
        ToolError: no JSON of the expected form, or a rule is missing.
    """
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError("too long")
        told = json.loads(data)
        by_rule = {str(x["rule"]): _ended(x) for x in told["rules"]}
        late = [(str(x["name"]), *_ended(x)) for x in told["late"]]
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise ToolError(["mend.py"], "gave no outcomes that can be read") from e
    missing = [r for r in sent.sent if r not in by_rule]
    if missing:
        raise ToolError(["mend.py"], f"told nothing about {len(missing)} rules, e.g. {missing[0]}")
    ran = tuple(
        RuleOutcome(
            rule_id=rule,
            outcome="error" if by_rule[rule][0] else "applied",
            detail=by_rule[rule][1],
        )
        for rule in sent.sent
    )
    wrote = tuple(
        RuleOutcome(rule_id=rule, outcome="applied", detail=f"written to {file}")
        for rule, file in sent.written.items()
    )
    troubles = tuple(f"{name} ended with {rc}: {said}" for name, rc, said in late if rc)
    return Told(outcomes=(*sent.settled, *wrote, *ran), troubles=troubles)


def _gathered(todo: Sequence[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Files that stand for many fixes, and which rule's part went into which."""
    lines: list[str] = []
    settings: dict[str, str] = {}
    written: dict[str, str] = {}
    for rule, script in todo:
        if found := audit_lines(script):
            lines += found
            written[rule] = AUDIT_FILE
        elif setting := sysctl_setting(script):
            settings[setting[0]] = setting[1]
            written[rule] = SYSCTL_FILE
    files = {}
    if lines:
        files[AUDIT_FILE] = audit_file(lines)
    if settings:
        files[SYSCTL_FILE] = "".join(f"{name} = {settings[name]}\n" for name in settings)
    return files, written


def _members(
    todo: Sequence[tuple[str, str]], files: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    asked: dict[str, set[str]] = {"install": set(), "remove": set()}
    for rule, script in todo:
        if _PACKAGE_RULE.fullmatch(rule.removeprefix(RULE_PREFIX)):
            for verb, package in _DNF.findall(script):
                asked[verb].add(package)
    manifest = {
        "rules": [rule for rule, _ in todo],
        "install": sorted(asked["install"]),
        "remove": sorted(asked["remove"]),
        "files": files,
    }
    yield "manifest.json", json.dumps(manifest).encode()
    for n, (_, script) in enumerate(todo):
        yield f"fixes/{n:03}.sh", script.encode()
    # mend.py last: where it lies, everything lies.
    for name in ("prelude.sh", "guard.sh", "mend.py"):
        yield name, (_ROLE / "files" / name).read_bytes()


def _ended(told: Mapping[str, object]) -> tuple[int, str]:
    rc, said = told["rc"], told["said"]
    if type(rc) is not int or not isinstance(said, str):
        raise TypeError("expected an exit code and a text")
    return rc, said.strip()[-_DETAIL_MOST:]


def _settled(remedy: Remedy, outcome: str, detail: str) -> RuleOutcome:
    return RuleOutcome(rule_id=remedy.rule_id, outcome=outcome, detail=detail)


def _tar(files: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()
