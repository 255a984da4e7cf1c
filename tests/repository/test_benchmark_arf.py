import pickle
from pathlib import Path

import pytest
from lxml import etree

from hardpan.core.errors import InputError
from tests.benchmarks import full_arf
from tests.unit.openscap.samples import ARF

BENCHMARK = """<data-stream-collection xmlns="http://scap.nist.gov/schema/scap/source/1.2"
 xmlns:c="http://cpe.mitre.org/language/2.0"><component>
<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2" id="b"><status>draft</status>
<c:platform-specification><c:platform id="p"/></c:platform-specification>
<platform idref="cpe:/o:redhat:enterprise_linux:9"/><version>0.1.82</version>
<Profile id="stig"><title>STIG</title></Profile>
<Group id="g"><platform idref="#p"/><Rule id="one" severity="low"><title>First</title></Rule>
</Group></Benchmark></component></data-stream-collection>"""
ARF_TEXT = ARF.replace("\x85", " ")


def test_remove_platforms_keeps_rules() -> None:
    root = etree.fromstring(BENCHMARK)

    assert full_arf.remove_platforms(root) == 3
    assert b"platform" not in etree.tostring(root)
    assert b"First" in etree.tostring(root)


def test_prepared_content_is_read_from_arf(tmp_path: Path) -> None:
    inside = f"<arf:report-request>{BENCHMARK}</arf:report-request><arf:reports>"
    file, to = tmp_path / "arf.xml", tmp_path / "prepared"
    file.write_text(ARF_TEXT.replace("<arf:reports>", inside), "utf-8")

    assert full_arf.write_prepared_content(file, to) == 2
    prepared = pickle.loads(to.read_bytes())  # noqa: S301
    assert [r.title for r in prepared.benchmark.rules] == ["First"]
    assert prepared.parts[0].rule_ids == ("one", "three")


def test_arf_without_content_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "arf.xml"
    file.write_text(ARF_TEXT, "utf-8")

    with pytest.raises(InputError, match="does not contain its content"):
        full_arf.write_prepared_content(file, tmp_path / "prepared")
