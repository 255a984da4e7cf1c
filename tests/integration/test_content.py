"""Content from Debian's archive, checked with the real oscap."""

import re
from pathlib import Path

import pytest

from hardpan.events import silent
from hardpan.process import run
from hardpan.scanners.content import benchmark, datastream, xml
from hardpan.scanners.content.datastream import Source
from hardpan.scanners.content.prepare import Prepared, prepare, remedies
from tests.integration.conftest import CACHE

pytestmark = pytest.mark.integration

STIG = benchmark.full_profile_id("stig")
BEGIN = re.compile(
    r"# BEGIN fix \(\d+ / \d+\) for '([^']+)'\n#+\n(.*?)\n# END fix for '\1'", re.DOTALL
)


@pytest.fixture(scope="module", params=["rhel9", "rhel10"])
def source(request: pytest.FixtureRequest) -> Source:
    return datastream.find(request.param, cache=CACHE, emit=silent)


@pytest.fixture(scope="module")
def ready(source: Source) -> Prepared:
    return prepare(source, "stig", parts=2)


def test_it_says_which_package_it_came_from(source: Source) -> None:
    assert re.match(r"Debian ssg-nondebian 0\.\d+\.\d+", source.origin)


def test_once_fetched_it_works_without_a_network(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardpan.scanners.content.apt.usable", lambda: False)
    product = source.path.name.removeprefix("ssg-").removesuffix("-ds.xml")

    again = datastream.find(product, cache=CACHE, emit=silent)

    assert again.sha256 == source.sha256


def test_oscap_accepts_every_part(ready: Prepared, tmp_path: Path) -> None:
    for number, part in enumerate(ready.parts):
        path = tmp_path / f"part{number}.xml"
        path.write_bytes(part.data)
        # The schematron takes minutes, and finds in a part what it finds upstream.
        run(["oscap", "xccdf", "validate", "--skip-schematron", path], timeout_s=120)
        assert STIG in run(["oscap", "info", path], timeout_s=60).stdout


def test_the_parts_judge_the_same_rules_as_the_whole(
    ready: Prepared, source: Source, tmp_path: Path
) -> None:
    whole = _verdicts(source.data, tmp_path)
    parts: dict[str, str] = {}
    for part in ready.parts:
        parts |= _verdicts(part.data, tmp_path)

    assert len(parts) > 400
    assert parts == whole


def test_every_fix_is_the_one_that_oscap_would_write(source: Source) -> None:
    argv = ["oscap", "xccdf", "generate", "fix", "--fix-type", "bash", "--profile", STIG]
    theirs = BEGIN.findall(run([*argv, source.path], timeout_s=120).stdout)
    bench = benchmark.read(xml.load(source.data, source.path.name), STIG, source.path.name)

    ours = remedies(source, "stig", [r.rule_id for r in bench.rules])

    assert [f.rule_id for f in ours] == [rule_id for rule_id, _ in theirs]
    for fix, (rule_id, text) in zip(ours, theirs, strict=True):
        body = re.sub(r'^\(>&2 echo "Remediating rule.*\n', "", text)
        body = "" if "FIX FOR THIS RULE" in body else body
        assert fix.script.strip() == body.strip(), rule_id


def _verdicts(data: bytes, folder: Path) -> dict[str, str]:
    (folder / "ds.xml").write_bytes(data)
    argv = ["oscap", "xccdf", "eval", "--skip-validation", "--profile", STIG]
    argv += ["--results", str(folder / "results.xml"), str(folder / "ds.xml")]
    run(argv, timeout_s=300, ok=(0, 2))
    text = (folder / "results.xml").read_text("utf-8")
    pattern = r'<rule-result idref="([^"]+)".*?<result>([a-z]+)</result>'
    found = dict(re.findall(pattern, text, re.DOTALL))
    return {k: v for k, v in found.items() if v != "notselected"}
