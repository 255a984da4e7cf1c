import io
import json
import tarfile
from datetime import date
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from tests.tools import stig_data

PSEUDO = "&lt;VulnDiscussion&gt;Why it matters.&lt;/VulnDiscussion&gt;"
MORE = "&lt;Documentable&gt;false&lt;/Documentable&gt;&lt;Mitigations&gt;&lt;/Mitigations&gt;"
MANUAL = f"""<?xml version="1.0"?>
<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.1"
    xmlns:dc="http://purl.org/dc/elements/1.1/" id="RHEL_9_STIG">
  <title>A STIG</title>
  <plain-text id="release-info">Release: 9 Benchmark Date: 01 Jul 2026</plain-text>
  <version>2</version>
  <Group id="V-1"><title>SRG-OS-000001-GPOS-00001</title>
    <Rule id="SV-1r2_rule" weight="10.0" severity="high"><version>RHEL-09-000001</version>
      <title>Be safe.</title><description>{PSEUDO}{MORE}</description>
      <reference><dc:identifier>5551</dc:identifier></reference>
      <ident system="http://cyber.mil/cci">CCI-000366</ident>
      <ident system="http://cyber.mil/cci">CCI-000015</ident>
      <fixtext fixref="F-1">Do it.</fixtext><fix id="F-1" />
      <check system="C-1"><check-content-ref href="x.xml" name="M" />
        <check-content>Look at it.</check-content></check>
    </Rule></Group>
</Benchmark>"""
CCIS = """<cci_list xmlns="http://iase.disa.mil/cci">
  <metadata><version>2022-03-09</version></metadata><cci_items>
  <cci_item id="CCI-000366"><references>
    <reference title="NIST SP 800-53 Revision 4" index="CM-6 b" />
    <reference title="NIST SP 800-53 Revision 5" index="CM-6 b" /></references></cci_item>
  <cci_item id="CCI-000015"><references>
    <reference title="NIST SP 800-53 Revision 4" index="AC-2 (1)" /></references></cci_item>
  <cci_item id="CCI-000001"><references>
    <reference title="NIST SP 800-53 Revision 5" index="AC-1" /></references></cci_item>
</cci_items></cci_list>"""
RHEL9, RHEL10 = "disa-stig-rhel9-v2r9-xccdf-manual.xml", "disa-stig-rhel10-v1r2-xccdf-manual.xml"


def _files(manual: str = MANUAL) -> dict[str, bytes]:
    return {
        RHEL9: manual.encode(),
        RHEL10: MANUAL.replace("RHEL_9", "RHEL_10").encode(),
        stig_data.CCI_LIST: CCIS.encode(),
    }


def _folder(root: Path, files: dict[str, bytes]) -> Path:
    folder = root / stig_data.FOLDER
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return root


def _tarball(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"content-0.1.82/{stig_data.FOLDER}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_document_contains_complete_requirement() -> None:
    document = json.loads(
        stig_data.render_document("rhel9.json", _files(), "here", date(2026, 11, 21))
    )

    assert document["as_of"] == "2026-11-21"
    assert document["origin"] == "here"
    assert (document["stig"]["version"], document["stig"]["release"]) == ("2", "9")
    assert document["stig"]["benchmark_date"] == "2026-07-01"
    assert document["stig"]["cci_list_date"] == "2022-03-09"
    # What revision 5 withdrew has no place in it.
    assert document["controls"] == {"CCI-000366": "CM-6 b"}
    assert document["controls_rev4"] == {"CCI-000366": "CM-6 b", "CCI-000015": "AC-2 (1)"}
    assert document["requirements"] == [
        {
            "stig_id": "RHEL-09-000001",
            "group_id": "V-1",
            "rule_id": "SV-1r2_rule",
            "group_title": "SRG-OS-000001-GPOS-00001",
            "severity": "high",
            "weight": "10.0",
            "title": "Be safe.",
            "ccis": ["CCI-000015", "CCI-000366"],
            "discussion": "Why it matters.",
            "check_id": "C-1",
            "check_href": "x.xml",
            "check_name": "M",
            "check": "Look at it.",
            "fix_id": "F-1",
            "fix": "Do it.",
        }
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("</Rule></Group>", "</Rule><Rule/></Group>", "V-1: expected one rule, got 2"),
        ("Mitigations&gt;&lt;", "Mitigations&gt;x&lt;", "V-1: unexpected fields: Mitigations"),
        ("Documentable&gt;false", "Documentable&gt;true", "V-1: unexpected fields"),
        ('<fix id="F-1" />', "", "V-1: no check, no fix or no severity"),
        ('severity="high"', 'severity="unknown"', "V-1: no check, no fix or no severity"),
        ("Release: 9", "Release nine", "RHEL_9_STIG: no release in 'Release nine"),
        ("<dc:identifier>5551</dc:identifier>", "", "RHEL_9_STIG: expected one target key"),
        ("<version>RHEL-09-000001</version>", "", "SV-1r2_rule: no <version>"),
    ],
)
def test_unexpected_manual_structure_is_refused(old: str, new: str, problem: str) -> None:
    files = _files(MANUAL.replace(old, new))

    with pytest.raises(InputError) as caught:
        stig_data.render_document("rhel9.json", files, "here", date(2026, 11, 21))

    assert problem in str(caught.value)


def test_list_of_ccis_without_day_is_refused() -> None:
    files = _files() | {stig_data.CCI_LIST: CCIS.replace("2022-03-09", "9 March").encode()}

    with pytest.raises(InputError) as caught:
        stig_data.render_document("rhel9.json", files, "here", date(2026, 11, 21))

    assert str(caught.value) == (
        "disa-cci-list.xml: expected the day of the list as its version, got '9 March'"
    )


def test_folder_and_tarball_give_same_bytes(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in", _files())
    tarball = _tarball(tmp_path / "in.orig.tar.gz", _files())
    outs = [tmp_path / "a", tmp_path / "b"]
    for out, source in zip(outs, (folder, tarball), strict=True):
        out.mkdir()
        argv = [str(source), "--origin", "here", "--as-of", "2026-11-21", "--out", str(out)]

        assert stig_data.main(argv) == 0

    for name in stig_data.MANUALS:
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()


def test_missing_source_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = _files()
    del files[stig_data.CCI_LIST]
    folder = _folder(tmp_path / "in", files)

    assert stig_data.main([str(folder), "--origin", "here", "--out", str(tmp_path)]) == 3

    assert "expected one shared/references/disa-cci-list.xml, got 0" in capsys.readouterr().err
