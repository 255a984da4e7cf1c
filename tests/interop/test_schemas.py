"""The formats held to schemas, and Markdown rendered by the reference implementation."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from jsonschema import Draft4Validator
from lxml import etree, html

from hardpan.builder.sbom import cyclonedx
from hardpan.files import sha256_bytes
from tests.interop.conftest import REPO, Programs

pytestmark = pytest.mark.interop

_DATA = REPO / "tests" / "data"
_BOM = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = open(sys.argv[1], encoding="utf-8").read()
error = JsonStrictValidator(SchemaVersion.from_version(sys.argv[2])).validate_str(text)
sys.exit(str(error)[:2000] if error else 0)
"""
_GFM = """
import sys
from cmarkgfm import github_flavored_markdown_to_html as render
sys.stdout.write(render(open(sys.argv[1], encoding="utf-8").read()))
"""


def test_sarif_keeps_its_schema(drawn: Path) -> None:
    schema = json.loads((_DATA / "sarif" / "sarif-schema-2.1.0.json").read_text("utf-8"))
    log = json.loads((drawn / "findings.sarif").read_bytes())

    assert [e.message for e in Draft4Validator(schema).iter_errors(log)] == []


@pytest.mark.parametrize("name", ["junit.xml", "junit-rules.xml"])
def test_junit_keeps_the_schema_of_jenkins(drawn: Path, name: str) -> None:
    schema = etree.XMLSchema(etree.parse(_DATA / "junit" / "junit-10.xsd"))

    assert schema.validate(etree.parse(drawn / name)), schema.error_log


def test_github_flavoured_markdown_makes_nothing_of_what_a_target_says(
    programs: Programs, drawn: Path, tmp_path: Path
) -> None:
    made = programs.run("python", "-c", _GFM, drawn / "summary.md", cwd=tmp_path).stdout
    tree = html.fromstring(f"<div>{made}</div>")
    tags = {str(e.tag) for e in tree.iter()}

    assert tags == {"div", "h1", "h2", "p", "ul", "li", "code"}
    assert len(tree.xpath("//h1")) == 1
    assert len(tree.xpath("//h2")) == 9


def test_a_strict_csv_reader_gets_one_line_a_rule(drawn: Path) -> None:
    text = (drawn / "findings.csv").read_bytes().decode()
    rules = json.loads((drawn / "findings.json").read_bytes())["rules"]

    assert len(list(csv.reader(io.StringIO(text, newline=""), strict=True))) == 1 + len(rules)


@pytest.mark.parametrize("which", ["made", "given"])
def test_the_sbom_of_an_image_keeps_cyclonedx_schema(
    programs: Programs, given: Path | None, tmp_path: Path, which: str
) -> None:
    bom = tmp_path / "sbom.cdx.json"
    bom.write_bytes(_made_bom() if which == "made" else _given_bom(given))
    programs.run("python", "-c", _BOM, bom, "1.6", cwd=tmp_path)

    bom.write_bytes(bom.read_bytes().replace(b'"operating-system"', b'"operating system"'))
    said = programs.run("python", "-c", _BOM, bom, "1.6", cwd=tmp_path, ok=(1,)).stderr
    assert "operating system" in said


def _made_bom() -> bytes:
    packages = ["bash-0:5.1.8-9.el9.x86_64", "openssl-libs-1:3.0.7-27.el9.x86_64"]
    return cyclonedx("lab.qcow2", sha256_bytes(b"x"), packages, distro="rocky-9")


def _given_bom(evidence: Path | None) -> bytes:
    if evidence is None:
        pytest.skip("no EVIDENCE=file was named")
    with zipfile.ZipFile(evidence) as archive:
        if "sbom.cdx.json" not in archive.namelist():
            pytest.skip(f"{evidence} has no SBOM: its host is not of an image that hardpan built")
        return archive.read("sbom.cdx.json")
