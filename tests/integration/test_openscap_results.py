"""What OpenSCAP says is what hardpan reports: the same content, evaluated both ways."""

import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardpan.core.events import Event, discard
from hardpan.core.files import sha256_bytes
from hardpan.core.process import find_program, run
from hardpan.scanners.collect.collection import Collection
from hardpan.scanners.collect.evaluation import (
    UNTOUCHED_ARF,
    attach_merged_arf,
    evaluate_content,
)
from hardpan.scanners.content import datastream
from hardpan.scanners.content.prepare import PreparedContent, prepare
from hardpan.scanners.content.resolve import ResolvedProfile, resolve
from hardpan.scanners.model.scan import Evaluation, Verdict
from hardpan.scanners.openscap.arf.results import Arf, UnreadableArf, parse_arf
from hardpan.scanners.openscap.evaluate import EvaluatedParts, merge_results
from hardpan.scanners.openscap.merged_arf import MERGED_ARF
from hardpan.ssh.client import connect
from hardpan.ssh.local_target import find_local_target
from hardpan.ssh.transports import open_connection
from tests.content_differential.stream import (
    OVAL_SYSTEM,
    SCE_SYSTEM,
    benchmark,
    data_stream,
    definition_id,
    file_oval,
    item_id,
    script,
    variable_id,
)
from tests.integration.local_sshd import local_sshd

pytestmark = pytest.mark.integration

PROFILE = item_id("profile", "p")


def _check(name: str, **attributes: str) -> str:
    more = "".join(f' {k.replace("_", "-")}="{v}"' for k, v in attributes.items())
    reference = f' name="{definition_id(name)}"' if name else ""
    href = "o" if name else "all"
    return (
        f'<check system="{OVAL_SYSTEM}"{more}><check-content-ref href="{href}"{reference}/></check>'
    )


def _rule(name: str, checks: str, *, severity: str = "medium", weight: str = "1.0") -> str:
    return (
        f'<Rule id="{item_id("rule", name)}" selected="true" severity="{severity}" '
        f'weight="{weight}"><title>{name}</title>{checks}</Rule>'
    )


def _complex(operator: str, *checks: str, negate: str = "false") -> str:
    content = "".join(checks)
    return f'<complex-check operator="{operator}" negate="{negate}">{content}</complex-check>'


_VALUE_CHECK = (
    f'<check system="{OVAL_SYSTEM}"><check-export value-id="{item_id("value", "v")}" '
    f'export-name="{variable_id("v")}"/>'
    f'<check-content-ref href="o" name="{definition_id("v")}"/></check>'
)
_SCRIPT_CHECK = f'<check system="{SCE_SYSTEM}"><check-content-ref href="s"/></check>'
_RULES = (
    _rule("passed", _check("root"), weight="3.0"),
    _rule("failed", _check("absent"), severity="unknown"),
    _rule("refined", _check("missing"), severity="low"),
    _rule("unscored", _check("absent")),
    _rule("unchecked", _check("absent")),
    _rule("negated", _check("absent", negate="true"), severity="info"),
    _rule("several", _check("", multi_check="true")),
    _rule("combined", _check("", multi_check="false")),
    _rule("and", _complex("AND", _check("usr"), _complex("OR", _check("missing"), _check("root")))),
    _rule("not", _complex("OR", _check("absent"), _check("usr"), negate="true")),
    _rule("script", _SCRIPT_CHECK),
    _rule("value", _VALUE_CHECK),
    _rule("manual", ""),
)


def _group(name: str, content: str, weight: str = "1.0") -> str:
    title = f"<title>{name}</title>"
    return f'<Group id="{item_id("group", name)}" weight="{weight}">{title}{content}</Group>'


_INNER_GROUP = _group("c", "".join(_RULES[9:]), "0.5")
_GROUPS = _group("a", "".join(_RULES[:5]), "4.0") + _group("b", "".join(_RULES[5:9]) + _INNER_GROUP)
_REFINED = (
    f'<refine-rule idref="{item_id("rule", "refined")}" severity="high" weight="7.5"/>'
    f'<refine-rule idref="{item_id("rule", "unscored")}" role="unscored"/>'
    f'<refine-rule idref="{item_id("rule", "unchecked")}" role="unchecked"/>'
)
_VALUE = (
    f'<Value id="{item_id("value", "v")}" type="string"><title>v</title><value>7</value>'
    '<value selector="other">8</value></Value>'
)
_SELECTED_VALUE = f'<refine-value idref="{item_id("value", "v")}" selector="other"/>'
STREAM = data_stream(
    benchmark(
        f'<Profile id="{PROFILE}"><title>p</title>{_SELECTED_VALUE}{_REFINED}</Profile>'
        f"{_VALUE}{_GROUPS}"
    ),
    {"o": file_oval(("root", "usr", "absent", "missing"), ("v",)), "all": file_oval(("missing",))},
    {"s": script(102)},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = tmp_path_factory.mktemp("results")
    (result / "c.xml").write_bytes(STREAM)
    return result


@pytest.fixture(scope="module")
def prepared(folder: Path) -> PreparedContent:
    content = prepare(datastream.from_file(folder / "c.xml"), PROFILE)
    assert len(content.parts) == 2
    return content


@pytest.fixture(scope="module")
def plain(folder: Path) -> Arf:
    """The ARF of plain oscap."""
    arf = folder / "plain.xml"
    argv = ["oscap", "xccdf", "eval", "--profile", PROFILE, "--results-arf", arf, "c.xml"]
    run(argv, timeout_s=60, ok=(2,), cwd=folder)
    return parse_arf([arf.read_bytes()])


@pytest.fixture(scope="module")
def findings(folder: Path) -> Any:
    """The findings of ``hardpan scan local:``; its evidence is ``e.evidence.zip``."""
    argv = [sys.executable, "-m", "hardpan", "scan", "local:", "--content", "c.xml"]
    argv += ["--profile", PROFILE, "--no-smoke", "-o", "e.evidence.zip", "--fail-on", "high"]
    environment = {"XDG_DATA_HOME": str(folder / "data")}
    run(argv, timeout_s=300, ok=(1, 4), cwd=folder, env=environment)
    with zipfile.ZipFile(folder / "e.evidence.zip") as archive:
        (folder / MERGED_ARF).write_bytes(archive.read(MERGED_ARF))
        return json.loads(archive.read("findings.json"))


def _by_rule(findings: Any, key: str) -> dict[str, Any]:
    return {rule["ruleId"]: rule[key] for rule in findings["rules"]}


def test_every_rule_has_the_result_of_plain_oscap(findings: Any, plain: Arf) -> None:
    expected = {r: (x.verdict, x.severity, x.role) for r, x in plain.rules.items()}

    actual = {r["ruleId"]: (r["verdict"], r["severity"], r["role"]) for r in findings["rules"]}
    assert actual == expected
    assert sum(verdict in ("pass", "fail") for verdict, _, _ in expected.values()) >= 9
    assert findings["differences"] == []


def test_evidence_of_every_check_is_that_of_plain_oscap(findings: Any, plain: Arf) -> None:
    expected = {r: list(x.evidence_lines) for r, x in plain.rules.items()}

    assert _by_rule(findings, "evidenceLines") == expected
    lines = expected[item_id("rule", "and")]
    assert lines[0] == "complex check: AND(check 1, OR(check 2, check 3))"
    assert f"value {item_id('value', 'v')} = 8" in expected[item_id("rule", "value")]


def test_scores_are_oscaps_and_follow_their_formulas(findings: Any, plain: Arf) -> None:
    verdicts = list(_by_rule(findings, "verdict").values())
    passed, failed = verdicts.count("pass"), verdicts.count("fail")
    undecided = verdicts.count("error") + verdicts.count("unknown")

    assert float(findings["score"]) == pytest.approx(plain.score, abs=0.006)
    ratio = 100 * passed / (passed + failed + undecided)
    assert float(findings["passRatio"]) == pytest.approx(ratio, abs=0.006)
    coverage = 100 * (passed + failed) / (len(verdicts) - verdicts.count("notapplicable"))
    assert float(findings["coverage"]) == pytest.approx(coverage, abs=0.006)


def test_merged_arf_is_valid_and_complete(findings: Any, folder: Path) -> None:
    merged = parse_arf([(folder / MERGED_ARF).read_bytes()])

    assert {r: x.verdict for r, x in merged.rules.items()} == _by_rule(findings, "verdict")
    assert {r: list(x.evidence_lines) for r, x in merged.rules.items()} == _by_rule(
        findings, "evidenceLines"
    )
    assert f"{merged.score:.2f}" == findings["score"]
    run(["oscap", "ds", "rds-validate", MERGED_ARF], timeout_s=60, cwd=folder)


def test_oscap_renders_a_report_of_the_merged_arf(findings: Any, folder: Path) -> None:
    argv = ["oscap", "xccdf", "generate", "report", MERGED_ARF]
    report = run(argv, timeout_s=60, cwd=folder).stdout

    missing = [r["ruleId"] for r in findings["rules"] if r["ruleId"] not in report]
    assert missing == []


@pytest.fixture
def collection() -> Iterator[tuple[Collection, list[Event]]]:
    events: list[Event] = []
    with open_connection(find_local_target(), timeout_s=30) as connection:
        yield Collection(connection, events.append), events


def _evaluate(content: PreparedContent, collection: Collection) -> tuple[Evaluation, Any]:
    evidence = evaluate_content(collection, content)
    parts = EvaluatedParts(arfs=evidence.arfs, untouched_arf=evidence.untouched_arf)
    evaluation = merge_results(content, parts, engine="", os_name="", os_cpe="")
    return evaluation, attach_merged_arf(evidence, evaluation, content, discard)


def _change_part(content: PreparedContent, original: str, changed: str) -> PreparedContent:
    """Return content of which a part lacks something."""
    parts = tuple(
        replace(p, data=data, sha256=sha256_bytes(data))
        for p in content.parts
        for data in [p.data.replace(original.encode(), changed.encode())]
    )
    assert parts != content.parts
    return replace(content, parts=parts)


_DESELECTED = f'<title>p</title><select idref="{item_id("rule", "passed")}" selected="0"/>'


@pytest.mark.parametrize(
    ("original", "changed", "difference"),
    [
        ('weight="7.5"', 'weight="7.6"', "weight of rule 'xccdf_org.example_rule_refined'"),
        ('role="unscored"', 'role="full"', "role of rule 'xccdf_org.example_rule_unscored'"),
        ('severity="high"', 'severity="low"', "severity of rule"),
        ('selector="other"/>', 'selector="none"/>', "value 'xccdf_org.example_value_v'"),
        ("<title>p</title>", _DESELECTED, "expected 'selected', got 'not selected'"),
        ("<Benchmark ", "<Benchmar ", "oscap failed: "),
    ],
)
def test_difference_evaluates_the_untouched_content(
    prepared: PreparedContent,
    plain: Arf,
    collection: tuple[Collection, list[Event]],
    original: str,
    changed: str,
    difference: str,
) -> None:
    collector, events = collection

    evaluation, evidence = _evaluate(_change_part(prepared, original, changed), collector)

    assert any(difference in line for line in evaluation.differences)
    assert evaluation.used_untouched
    assert {r.rule_id: r.verdict for r in evaluation.results} == {
        rule_id: result.verdict for rule_id, result in plain.rules.items()
    }
    assert any("evaluating the untouched content" in str(e) for e in events)
    assert {UNTOUCHED_ARF, MERGED_ARF} <= set(evidence.files)


def _lose_rule(bench: Any, profile_id: str, name: str) -> ResolvedProfile:
    resolved = resolve(bench, profile_id, name)
    lost_ids = [item_id("rule", "passed"), item_id("rule", "combined")]
    rules = tuple(r for r in resolved.rules if r.item.item_id not in lost_ids)
    return replace(resolved, rules=rules)


def test_rules_that_hardpan_deselects_wrongly_are_noticed(
    folder: Path,
    plain: Arf,
    collection: tuple[Collection, list[Event]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hardpan.scanners.content.benchmark.resolve", _lose_rule)

    content = prepare(datastream.from_file(folder / "c.xml"), PROFILE)
    evaluation, evidence = _evaluate(content, collection[0])

    assert len(content.benchmark.rules) == len(plain.rules) - 2
    assert "rule 'xccdf_org.example_rule_passed': expected 'not selected', got 'selected'" in (
        evaluation.differences
    )
    assert evaluation.used_untouched
    assert {r.rule_id: r.verdict for r in evaluation.results} == {
        rule_id: result.verdict for rule_id, result in plain.rules.items()
    }
    assert evaluation.score == pytest.approx(plain.score, abs=1e-4)
    assert MERGED_ARF in evidence.files


def test_part_that_oscap_refuses_keeps_the_others(
    prepared: PreparedContent, collection: tuple[Collection, list[Event]]
) -> None:
    """The untouched content is damaged, too."""
    damaged = _change_part(prepared, '"xccdf_org.example_rule_value"', '"x"')
    untouched = replace(damaged.untouched, data=b"<x/>", sha256=sha256_bytes(b"<x/>"))

    evaluation, evidence = _evaluate(replace(damaged, untouched=untouched), collection[0])

    verdicts = {r.verdict.value for r in evaluation.results}
    assert not evaluation.used_untouched
    assert "error" in verdicts
    assert verdicts & {"pass", "fail"}
    assert isinstance(evidence.untouched_arf, UnreadableArf)
    assert evidence.untouched_arf.reason.startswith("oscap failed: ")


_FAULTY_OSCAP = """#!/bin/sh
case " $* " in *" part1.xml "*) {fault};; esac
exec {oscap} "$@"
"""


@pytest.mark.parametrize(
    ("fault", "reason", "used_untouched"),
    [
        ("echo 'OpenSCAP Error: bad' >&2; exit 1", "oscap failed: OpenSCAP Error: bad", True),
        ("kill -SEGV $$", "oscap crashed with SIGSEGV", True),
        ("kill -KILL $$", "oscap was killed with SIGKILL", False),
        ("exit 9", "oscap ended with the unknown exit status 9", False),
        ("exit 2", "oscap left no arf-1.xml", False),
        ('{oscap} "$@"; truncate -s 9000 arf1.xml; exit 2', "is cut short or is not XML", False),
    ],
)
def test_failure_of_oscap_leaves_the_results_of_the_other_part(
    prepared: PreparedContent, tmp_path: Path, fault: str, reason: str, used_untouched: bool
) -> None:
    original, faulty = tmp_path / "original-oscap", tmp_path / "faulty-oscap"
    shutil.copy2(str(find_program("oscap")), original)
    command = fault.replace("{oscap}", str(original))
    faulty.write_text(_FAULTY_OSCAP.format(fault=command, oscap=original))
    faulty.chmod(0o755)
    with (
        local_sshd(tmp_path, replacement=("oscap", faulty)) as target,
        connect(target, timeout_s=20) as connection,
    ):
        evaluation, evidence = _evaluate(prepared, Collection(connection, discard))

    failed = evidence.arfs[1]
    assert isinstance(evidence.arfs[0], Arf)
    assert isinstance(failed, UnreadableArf)
    assert reason in failed.reason
    assert evaluation.used_untouched is used_untouched
    rules_in_error = {r.rule_id for r in evaluation.results if r.verdict is Verdict.ERROR}
    assert rules_in_error == (set() if used_untouched else set(prepared.parts[1].rule_ids))
    assert bool(evidence.checks) is not used_untouched
