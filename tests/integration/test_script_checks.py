"""Rules that search all file systems have the same verdict by SCE as by OVAL, on an ext4 root."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from hardpan.core.events import Event, StageMessage
from hardpan.core.files import sha256_bytes
from hardpan.profiles.schema.ssg import RULE_PREFIX
from hardpan.scanners.collect.base import SCE_PLUGIN
from hardpan.scanners.collect.collection import Collection
from hardpan.scanners.collect.evaluation import attach_merged_arf, evaluate_content
from hardpan.scanners.collect.plan import ScanPlan
from hardpan.scanners.content import datastream
from hardpan.scanners.content.benchmark import expand_profile_id
from hardpan.scanners.content.components import find_check_hrefs, remove_unused_components
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.prepare import PreparedContent, prepare
from hardpan.scanners.content.scap_xml import (
    XCCDF,
    create_parser,
    find_benchmark,
    parse_data_stream,
    serialize,
)
from hardpan.scanners.content.script_checks import CheckEngine
from hardpan.scanners.content_provider import ContentProvider
from hardpan.scanners.model.scan import Evaluation
from hardpan.scanners.openscap.evaluate import EvaluatedParts, merge_results
from hardpan.scanners.openscap.merged_arf import MERGED_ARF
from hardpan.ssh.client import connect
from tests.benchmarks.full_arf import remove_platforms
from tests.integration.overlay_host import HostSpec, OverlayHost, overlay_host

pytestmark = pytest.mark.integration

_SCRIPT_RULES = (
    "dir_perms_world_writable_sticky_bits",
    "dir_perms_world_writable_system_owned",
    "file_permissions_unauthorized_world_writable",
    "file_permissions_ungroupowned",
    "no_files_unowned_by_user",
)
_RULES = tuple(RULE_PREFIX + name for name in (*_SCRIPT_RULES, "file_owner_etc_passwd"))
_FAULTS = {
    "dir_perms_world_writable_sticky_bits": "mkdir -m 777 /srv/d",
    "dir_perms_world_writable_system_owned": "mkdir -m 1777 /srv/d; chown 1000 /srv/d",
    "file_permissions_unauthorized_world_writable": "touch /srv/d; chmod 666 /srv/d",
    "file_permissions_ungroupowned": "touch /srv/d; chown 0:4343 /srv/d",
    "no_files_unowned_by_user": "touch /srv/d; chown 4242:0 /srv/d",
}
"""Rule -> a file or folder that it finds."""

_PLUGIN = "/usr/lib/*/libopenscap_sce.so*"


@pytest.fixture(scope="module")
def source() -> ContentSource:
    """The RHEL 9 content with a STIG profile of a few rules, for every platform."""
    shipped = datastream.find("rhel9")
    root = parse_data_stream(shipped.data, shipped.name)
    remove_platforms(root)
    bench = find_benchmark(root, shipped.name)
    original_hrefs = find_check_hrefs(bench)
    for rule in list(bench.iter(XCCDF + "Rule")):
        if rule.get("id") not in _RULES:
            parent = rule.getparent()
            assert parent is not None
            parent.remove(rule)
    (profile,) = (
        p for p in bench.findall(XCCDF + "Profile") if p.get("id") == expand_profile_id("stig")
    )
    for other in bench.findall(XCCDF + "Profile"):
        if other is not profile:
            bench.remove(other)
    for select in profile.findall(XCCDF + "select"):
        profile.remove(select)
    for rule_id in _RULES:
        element = etree.SubElement(profile, XCCDF + "select", idref=rule_id, selected="true")
        element.tail = "\n"
    remove_unused_components(root, bench, original_hrefs)
    data = serialize(root)
    return replace(shipped, data=data, sha256=sha256_bytes(data))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverlayHost]:
    spec = HostSpec(is_root_ext4=True, size_mib=128, setup="mkdir /srv")
    with overlay_host(tmp_path_factory.mktemp("script") / "host", spec) as started:
        yield started


def _evaluate_by_oscap(host: OverlayHost, source: ContentSource) -> dict[str, str]:
    folder = Path(f"/proc/{host.pid}/root/root")
    (folder / "ds.xml").write_bytes(source.data)
    host.run(
        f"cd /root && oscap xccdf eval --skip-validation --profile {expand_profile_id('stig')} "
        "--results results.xml ds.xml",
        ok=(0, 2),
    )
    root = etree.parse(folder / "results.xml", create_parser()).getroot()
    host.run("rm /root/ds.xml /root/results.xml")
    results = [r for r in root.iter(XCCDF + "rule-result") if r.get("idref") in _RULES]
    systems = {c.get("system") for r in results for c in r.findall(XCCDF + "check")}
    assert systems == {"http://oval.mitre.org/XMLSchema/oval-definitions-5"}
    return {
        r.get("idref", "").removeprefix(RULE_PREFIX): r.findtext(XCCDF + "result", "")
        for r in results
    }


def _evaluate_by_hardpan(
    host: OverlayHost, source: ContentSource, prepared: PreparedContent | None = None
) -> tuple[Evaluation, list[str]]:
    """Return the evaluation with ``--engine sce``, and the messages."""
    events: list[Event] = []
    provider = ContentProvider(
        plan=ScanPlan(xccdf_profile="stig"), content=source, jobs=2, engine=CheckEngine.SCE
    )
    with connect(host.target(), timeout_s=20) as connection:
        collection = Collection(connection, events.append)
        identity = collection.identify_host()
        content = prepared or provider.provide(identity, events.append)
        evidence = evaluate_content(collection, content)
        evaluation = merge_results(
            content,
            EvaluatedParts(arfs=evidence.arfs, untouched_arf=evidence.untouched_arf),
            engine=evidence.engine,
            os_name="x",
            os_cpe="",
        )
        evidence = attach_merged_arf(evidence, evaluation, content, events.append)
    assert MERGED_ARF in evidence.files
    return evaluation, [e.text for e in events if isinstance(e, StageMessage)]


def _list_verdicts(evaluation: Evaluation) -> dict[str, str]:
    return {r.rule_id.removeprefix(RULE_PREFIX): r.verdict.value for r in evaluation.results}


def _list_engines(evaluation: Evaluation) -> dict[str, str]:
    return {r.rule_id.removeprefix(RULE_PREFIX): r.engine for r in evaluation.results}


_ENGINES = {**dict.fromkeys(_SCRIPT_RULES, "SCE"), "file_owner_etc_passwd": "OVAL"}


def test_scripts_give_the_verdicts_of_oval_on_ext4(
    host: OverlayHost, source: ContentSource
) -> None:
    verdicts = []
    for script in (" ".join(_combine_faults()), "rm -rf /srv/*"):
        host.run(script)
        expected = _evaluate_by_oscap(host, source)
        evaluation, _ = _evaluate_by_hardpan(host, source)
        assert _list_verdicts(evaluation) == expected
        assert _list_engines(evaluation) == _ENGINES
        assert not evaluation.differences
        verdicts.append(expected)
    assert verdicts == [
        {**dict.fromkeys(_SCRIPT_RULES, "fail"), "file_owner_etc_passwd": "pass"},
        {**dict.fromkeys(_SCRIPT_RULES, "pass"), "file_owner_etc_passwd": "pass"},
    ]


def _combine_faults() -> Iterator[str]:
    for number, script in enumerate(_FAULTS.values()):
        yield script.replace("/srv/d", f"/srv/d{number}") + ";"


def test_missing_plugin_is_named_and_oval_is_used(host: OverlayHost, source: ContentSource) -> None:
    expected = prepare(source, "stig", engine=CheckEngine.SCE)
    host.run(f"mkdir /root/plugin; mv {_PLUGIN} /root/plugin/")
    try:
        evaluation, messages = _evaluate_by_hardpan(host, source)
        late_evaluation, late_messages = _evaluate_by_hardpan(host, source, expected)
    finally:
        host.run("mv /root/plugin/* $(dirname $(ls /usr/lib/*/libopenscap.so.25))/")
        host.run("rmdir /root/plugin")

    text = f"the target lacks {SCE_PLUGIN}; run on the target: apt install openscap-scanner"
    assert any(text in message for message in messages)
    assert text in evaluation.content.choice
    assert not evaluation.differences
    # A plugin that disappears after the host was identified: no verdict is lost.
    assert "engine of rule" in late_evaluation.differences[0]
    assert any("evaluating the untouched content" in message for message in late_messages)
    for result in (evaluation, late_evaluation):
        assert set(_list_engines(result).values()) == {"OVAL"}
        assert set(_list_verdicts(result).values()) == {"pass"}
