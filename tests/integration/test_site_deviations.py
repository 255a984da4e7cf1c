"""``hardpan scan`` with the waivers and the tailoring of a site, compared with plain oscap."""

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hardpan.core.process import CompletedProcess, run
from hardpan.scanners.content.datastream import from_file
from hardpan.scanners.deviations.tailoring import bind_tailoring
from hardpan.scanners.deviations.tailoring_file import load_tailoring
from tests.content_differential.oscap_run import evaluate
from tests.content_differential.stream import (
    OVAL_SYSTEM,
    benchmark,
    data_stream,
    definition_id,
    file_oval,
    item_id,
    variable_id,
)

pytestmark = pytest.mark.integration

PROFILE = item_id("profile", "p")
TAILORED = PROFILE + "_tailored"
LIMIT = item_id("value", "limit")
SELECTED = ("root", "absent", "gone", "limit")
XCCDF = "http://checklists.nist.gov/xccdf/1.2"

WAIVERS = """\
waivers:
  - {rule: absent, reason: The appliance has none., owner: web team, expires: 2099-01-31}
  - {rule: root, reason: Was needed., owner: web team, expires: 2099-01-31}
  - {rules: ["*limit"], reason: Ended., owner: web team, expires: 2020-01-31}
  - {rule: RHEL-09-000000, reason: Other hosts., owner: web team, expires: 2099-01-31}
"""
YAML = f"""\
author: site security officer
extends: {PROFILE}
unselect:
  gone: The appliance has none.
select:
  spare: The vendor recommends it.
set:
  limit: {{value: 8, reason: Site rule 4.}}
severity:
  absent: {{severity: high, reason: Exposed.}}
"""
XML = f"""\
<Tailoring xmlns="{XCCDF}" id="xccdf_org.example_tailoring_t">
<version time="2026-11-30T00:00:00">1</version>
<Profile id="{TAILORED}" extends="{PROFILE}"><title>t</title>
<select idref="{item_id("rule", "gone")}" selected="false"><remark>None here.</remark></select>
<select idref="{item_id("rule", "spare")}" selected="true"/>
<set-value idref="{LIMIT}">8</set-value>
<refine-rule idref="{item_id("rule", "absent")}" severity="high"/>
</Profile>
</Tailoring>
"""
EXPECTED = {
    "root": ("pass", "low"),
    "absent": ("fail", "high"),
    "spare": ("fail", "low"),
    "limit": ("pass", "low"),
}
"""Rule -> verdict and severity of the tailored profile."""

Hardpan = Callable[..., CompletedProcess]


def _rule(name: str, definition: str, export: str = "") -> str:
    selected = "true" if name in SELECTED else "false"
    return (
        f'<Rule id="{item_id("rule", name)}" selected="{selected}" severity="low">'
        f'<title>{name}</title><check system="{OVAL_SYSTEM}">{export}'
        f'<check-content-ref href="o" name="{definition_id(definition)}"/></check></Rule>'
    )


def _build_content() -> bytes:
    profile = f'<Profile id="{PROFILE}"><title>p</title></Profile>'
    value = f'<Value id="{LIMIT}" type="string"><title>v</title><value>3</value></Value>'
    export = f'<check-export export-name="{variable_id("limit")}" value-id="{LIMIT}"/>'
    files = [("root", "root"), ("absent", "absent"), ("gone", "absent"), ("spare", "absent")]
    rules = "".join(_rule(*pair) for pair in files) + _rule("limit", "limit", export)
    oval = file_oval(("root", "absent"), ("limit",))
    return data_stream(benchmark(profile + value + rules), {"o": oval}, {})


@pytest.fixture
def hardpan(tmp_path: Path) -> Hardpan:
    """Run hardpan in a folder with a data stream, a waiver file and tailoring files."""
    (tmp_path / "c.xml").write_bytes(_build_content())
    for name, text in (("w.yaml", WAIVERS), ("t.yaml", YAML), ("t.xml", XML)):
        (tmp_path / name).write_text(text)

    def run_hardpan(*argv: object) -> CompletedProcess:
        return run(
            [sys.executable, "-m", "hardpan", *map(str, argv)],
            timeout_s=300,
            ok=(0, 1, 3, 6),
            cwd=tmp_path,
            env={"XDG_DATA_HOME": str(tmp_path / "data")},
        )

    return run_hardpan


def _read(evidence: Path, name: str) -> Any:
    with zipfile.ZipFile(evidence) as archive:
        return json.loads(archive.read(name))


def _short(rule_id: str) -> str:
    return rule_id.rpartition("_")[2]


def test_scan_with_waivers_records_each_of_them(hardpan: Hardpan, tmp_path: Path) -> None:
    answer = hardpan(
        *("scan", "local:", "--content", "c.xml", "--profile", PROFILE, "--waivers", "w.yaml"),
        *("--no-smoke", "--fail-on", "low", "-o", "e.evidence.zip"),
    )

    findings = _read(tmp_path / "e.evidence.zip", "findings.json")
    waivers = {w["selector"]: (w["source"], w["status"]) for w in findings["waivers"]}
    assert answer.returncode == 1  # rule gone has no waiver, that of limit has ended
    assert waivers == {
        "absent": ("w.yaml", "active"),
        "root": ("w.yaml", "stale"),
        "*limit": ("w.yaml", "expired"),
        "RHEL-09-000000": ("w.yaml", "unmatched"),
    }
    assert {_short(r["ruleId"]) for r in findings["rules"] if r["waiver"]} == {
        "absent",
        "root",
        "limit",
    }
    verdicts = {_short(r["ruleId"]): r["verdict"] for r in findings["rules"]}
    assert verdicts["absent"] == "fail"
    assert "warning: RHEL-09-000000 (w.yaml): matches no rule of this scan" in answer.stdout
    policy = tmp_path / "data" / "hardpan" / "keys" / "scan-trust.yaml"
    assert hardpan("verify", "e.evidence.zip", "--policy", policy).returncode == 0


def test_second_waiver_for_a_rule_ends_the_scan(hardpan: Hardpan, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(WAIVERS + WAIVERS.partition("\n")[2])

    answer = hardpan(
        *("scan", "local:", "--content", "c.xml", "--profile", PROFILE, "--waivers", "w.yaml"),
    )

    assert answer.returncode == 3
    assert "w.yaml:6:12: expected one waiver for each rule, got a second for absent" in (
        answer.stderr
    )
    assert "the first is at w.yaml:2:12" in answer.stderr


@pytest.mark.parametrize("file", ["t.yaml", "t.xml"])
def test_tailored_scan_gives_the_verdicts_of_oscap(
    hardpan: Hardpan, tmp_path: Path, file: str
) -> None:
    tailoring = load_tailoring(tmp_path / file)
    source = from_file(tmp_path / "c.xml")
    element = bind_tailoring(tailoring, source, "", PROFILE).element
    plain = evaluate(
        source.data,
        TAILORED,
        tmp_path,
        tailoring=etree.tostring(element, xml_declaration=True, encoding="utf-8"),
        validates=True,
    )

    answer = hardpan(
        *("scan", "local:", "--content", "c.xml", "--tailoring", file, "--no-smoke"),
        *("--fail-on", "none", "--waivers", "w.yaml", "--json", "-o", "e.evidence.zip"),
    )

    findings = _read(tmp_path / "e.evidence.zip", "findings.json")
    results = {_short(r["ruleId"]): (r["verdict"], r["severity"]) for r in findings["rules"]}
    reported = {_short(i): outcome[:2] for i, (outcome,) in plain.rules.items()}
    assert results == reported == EXPECTED
    assert plain.values == {LIMIT: "8"}
    summary = json.loads(answer.stdout)
    assert "1 rule not evaluated, 1 rule added, 2 settings changed" in summary["tailoring"]
    assert "RHEL-09-000000 (w.yaml): matches no rule of this scan" in summary["waiverWarnings"]
    recorded = findings["content"]["tailoring"]
    assert [_short(r["ruleId"]) for r in recorded["unselected"]] == ["gone"]
    assert [_short(r["ruleId"]) for r in recorded["selected"]] == ["spare"]
    assert [(_short(s["name"]), s["base"], s["value"]) for s in recorded["settings"]] == [
        ("limit", "3", "8"),
        ("severity", "low", "high"),
    ]
    attached = "tailoring" + Path(file).suffix
    with zipfile.ZipFile(tmp_path / "e.evidence.zip") as archive:
        assert archive.read(attached) == (tmp_path / file).read_bytes()
    if file == "t.yaml":
        _check_policies(hardpan, tmp_path, recorded["sha256"])


def _check_policies(hardpan: Hardpan, folder: Path, digest: str) -> None:
    """A policy refuses tailored evidence, or allows this tailoring."""
    policy = folder / "data" / "hardpan" / "keys" / "scan-trust.yaml"
    text = policy.read_text()
    for settings, code in (
        ("{require_untailored: true}", 6),
        (f"{{tailoring_sha256: ['{'0' * 64}']}}", 6),
        (f"{{tailoring_sha256: ['{digest}']}}", 0),
    ):
        policy.write_text(f"{text}content: {settings}\n")
        assert hardpan("verify", "e.evidence.zip", "--policy", policy).returncode == code, settings
    policy.write_text(text)


def test_tailoring_with_a_missing_rule_ends_the_scan(hardpan: Hardpan, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(YAML.replace("gone:", "gnoe:"))

    answer = hardpan("scan", "local:", "--content", "c.xml", "--tailoring", "t.yaml")

    assert answer.returncode == 3
    assert "t.yaml:4:9: unselect.gnoe: no such rule or group; did you mean gone?" in answer.stderr
