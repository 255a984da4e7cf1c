"""The shipped content, checked with the real oscap; newer content from Debian's archive."""

import json
import os
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.core.files import sha256_bytes
from hardpan.core.process import CompletedProcess, find_program, run
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.scanners.content import benchmark, datastream, scap_xml, store
from hardpan.scanners.content.datastream import ContentSource
from hardpan.scanners.content.prepare import (
    PreparedContent,
    find_long_rules_without_fix,
    load_fixes,
    prepare,
)
from hardpan.scanners.model.scan import ContentOrigin

pytestmark = pytest.mark.integration

_PLATFORM = re.compile(rb'<xccdf-1.2:platform idref="[^"]*"/>')
STIG = benchmark.expand_profile_id("stig")
BEGIN = re.compile(
    r"# BEGIN fix \(\d+ / \d+\) for '([^']+)'\n#+\n(.*?)\n# END fix for '\1'", re.DOTALL
)


@pytest.fixture(scope="module", params=["rhel9", "rhel10"])
def source(request: pytest.FixtureRequest) -> ContentSource:
    return datastream.find(request.param, ContentOrigin.SHIPPED)


@pytest.fixture(scope="module")
def prepared(source: ContentSource) -> PreparedContent:
    return prepare(source, "stig", part_count=2)


def run_content_command(home: Path, *argv: str | Path, path: str = "") -> CompletedProcess:
    """Run ``hardpan content`` as a user with an empty home."""
    homes = {f"XDG_{n}_HOME": str(home / n.lower()) for n in ("CACHE", "DATA", "STATE")}
    return run(
        [sys.executable, "-m", "hardpan", "content", *argv],
        timeout_s=900,
        ok=range(256),
        env={**homes, "PATH": path or os.environ["PATH"]},
    )


def test_oscap_reads_the_shipped_content(source: ContentSource, tmp_path: Path) -> None:
    path = tmp_path / source.name
    path.write_bytes(source.data)

    output = run(["oscap", "info", path], timeout_s=60).stdout

    assert "Document type: Source Data Stream" in output
    assert f"Id: {STIG}" in output


def test_long_rules_without_fix_can_be_omitted(
    source: ContentSource, prepared: PreparedContent
) -> None:
    omitted = find_long_rules_without_fix(source, "stig")
    reduced = prepare(source, "stig", omitted_rules=omitted)

    names = {shorten_id(rule_id) for rule_id in omitted}
    assert {"file_permissions_ungroupowned", "no_files_unowned_by_user"} <= names
    assert "dir_perms_world_writable_sticky_bits" not in names
    assert reduced.benchmark == prepared.benchmark
    rule_ids = {rule_id for part in reduced.parts for rule_id in part.rule_ids}
    assert rule_ids == {r.rule_id for r in prepared.benchmark.rules} - set(omitted)


def test_newest_archive_content_is_stored_completely(tmp_path: Path) -> None:
    into = tmp_path / "content"

    done = run_content_command(tmp_path, "update", "--json", "--into", into, "rhel9", "debian12")

    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    assert output["stored"] == str(into)
    versions = {p["name"]: p["version"] for p in output["packages"]}
    assert set(versions) == {"ssg-nondebian", "ssg-debian"}
    assert {p["suite"] for p in output["packages"]} <= {"sid", "trixie"}
    assert re.search(r"content: \d+/100 % of ssg-nondebian", done.stderr)
    manifest, shipped = (store.read_manifest(f) for f in (into, store.shipped_folder()))
    assert manifest is not None
    assert shipped is not None
    assert list(manifest.streams) == ["debian12", "rhel9"]
    for product, record in manifest.streams.items():
        data = store.read_stream(into, product, record)
        assert sha256_bytes(data) == record.sha256
        assert record.package.version == versions[record.package.name]
        assert record.package.source == "scap-security-guide"
        assert max(p.rule_count for p in record.benchmarks[0].profiles) > 400
        shipped_record = shipped.streams[product]
        assert not shipped_record.is_newer_than(record.version, record.date.isoformat())
    again = run_content_command(tmp_path, "update", "--into", into)
    assert "is the archive's newest and is here already" in again.stdout
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == ["content"]
    assert [p.name for p in (tmp_path / "cache/hardpan").iterdir()] == ["content-apt"]


def test_unreachable_archive_exits_4_and_content_stays_usable(tmp_path: Path) -> None:
    # The real apt-get, sent to a proxy that refuses every connection.
    apt = tmp_path / "bin/apt-get"
    apt.parent.mkdir()
    apt.write_text(
        f'#!/bin/sh\nexec {find_program("apt-get")} "$@" -o Acquire::Retries=0'
        " -o Acquire::http::Proxy=http://127.0.0.1:9 -o Acquire::https::Proxy=http://127.0.0.1:9\n"
    )
    apt.chmod(0o755)

    done = run_content_command(tmp_path, "update", path=f"{apt.parent}:{os.environ['PATH']}")

    assert done.returncode == 4
    assert "error: apt-get cannot read Debian's archive" in done.stderr
    assert "hint: scans work without it" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "data").exists()
    rows = json.loads(run_content_command(tmp_path, "list", "--json").stdout)["content"]
    assert {r["product"] for r in rows if r["default"]} >= {"rhel9", "rhel10", "debian12"}
    assert {r["origin"] for r in rows if r["default"]} == {"shipped"}


def test_oscap_accepts_every_part(prepared: PreparedContent, tmp_path: Path) -> None:
    assert len(prepared.parts) == 2
    for number, part in enumerate(prepared.parts):
        path = tmp_path / f"part{number}.xml"
        path.write_bytes(part.data)
        # The schematron takes minutes, and finds in a part what it finds upstream.
        run(["oscap", "xccdf", "validate", "--skip-schematron", path], timeout_s=120)
        assert STIG in run(["oscap", "info", path], timeout_s=60).stdout


def test_parts_give_the_same_verdicts_as_complete_content(
    source: ContentSource, tmp_path: Path
) -> None:
    # Neither product nor platforms: this machine is no RHEL, and every rule shall be judged.
    everywhere = replace(source, data=_PLATFORM.sub(b"", source.data))
    root = _write_host_files(tmp_path / "root")

    complete_verdicts = _run_oscap(everywhere.data, tmp_path, root)
    part_verdicts: dict[str, str] = {}
    for part in prepare(everywhere, "stig", part_count=2).parts:
        part_verdicts |= _run_oscap(part.data, tmp_path, root)

    counts = Counter(complete_verdicts.values())
    assert counts["pass"] > 100
    assert counts["fail"] > 200
    assert part_verdicts == complete_verdicts


def test_fixes_match_oscap_generate_fix(source: ContentSource, tmp_path: Path) -> None:
    path = tmp_path / source.name
    path.write_bytes(source.data)
    argv = ["oscap", "xccdf", "generate", "fix", "--fix-type", "bash", "--profile", STIG]
    all_fixes = BEGIN.findall(run([*argv, path], timeout_s=120).stdout)
    root = scap_xml.parse_data_stream(source.data, source.name)
    bench = benchmark.read_benchmark(root, STIG, source.name)
    evaluated = {r.rule_id for r in bench.rules}

    extracted_fixes = load_fixes(source, "stig", evaluated)

    # 'generate fix' has fixes for rules too that an evaluation leaves out because of a conflict.
    rules = root.iter(scap_xml.XCCDF + "Rule")
    conflicting = {r.get("id") for r in rules if r.find(scap_xml.XCCDF + "conflicts") is not None}
    assert {rule_id for rule_id, _ in all_fixes} - evaluated <= conflicting
    oscap_fixes = [fix for fix in all_fixes if fix[0] in evaluated]
    assert [f.rule_id for f in extracted_fixes] == [rule_id for rule_id, _ in oscap_fixes]
    for fix, (rule_id, text) in zip(extracted_fixes, oscap_fixes, strict=True):
        body = re.sub(r'^\(>&2 echo "Remediating rule.*\n', "", text)
        body = "" if "FIX FOR THIS RULE" in body else body
        assert fix.script.strip() == body.strip(), rule_id


def _write_host_files(root: Path) -> Path:
    """The files of a small host; of some rules they hold what is wanted, of others they do not."""
    for name, mode, text in (
        ("etc/passwd", 0o644, "root:x:0:0::/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/sh\n"),
        ("etc/group", 0o666, "root:x:0:\nada:x:1000:\n"),
        ("etc/shadow", 0o000, "root:!::0:99999:7:::\nada:$6$x$y:19000:0:99999:7:::\n"),
        ("etc/ssh/sshd_config", 0o600, "PermitRootLogin no\nPermitEmptyPasswords yes\n"),
        ("etc/login.defs", 0o644, "PASS_MAX_DAYS 60\nUMASK 022\n"),
        ("proc/cmdline", 0o444, "ro audit=1\n"),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    return root


def _run_oscap(data: bytes, folder: Path, root: Path) -> dict[str, str]:
    (folder / "ds.xml").write_bytes(data)
    argv = ["oscap", "xccdf", "eval", "--skip-validation", "--profile", STIG]
    argv += ["--results", str(folder / "results.xml"), str(folder / "ds.xml")]
    run(argv, timeout_s=300, ok=(0, 2), env={"OSCAP_PROBE_ROOT": str(root)})
    text = (folder / "results.xml").read_text("utf-8")
    pattern = r'<rule-result idref="([^"]+)".*?<result>([a-z]+)</result>'
    verdicts = dict(re.findall(pattern, text, re.DOTALL))
    return {k: v for k, v in verdicts.items() if v != "notselected"}
