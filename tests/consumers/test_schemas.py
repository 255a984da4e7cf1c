"""Validate the formats with their schemas, and render Markdown with the reference program."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from jsonschema import Draft4Validator
from lxml import etree, html

from hardpan.builder.attest.sbom import build_sbom
from hardpan.core.files import sha256_bytes
from hardpan.scanners.report.model.documents import Findings
from tests.consumers.conftest import EVIDENCE, REPO, Consumers, require_evidence

pytestmark = pytest.mark.interop

_DATA = REPO / "tests" / "data"
_SECTIONS = [
    "Target and content",
    "Result",
    "Open, not waived",
    "Open, waived",
    "Not checked, manual review required",
    "FIPS mode",
    "System checks",
    "Compatibility of hardening and AI workloads",
    "AI workload",
]
"""Of the summary, in order; the others depend on the scan."""

_OPTIONAL_SECTIONS = ("Waivers to review", "Tailoring")
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


def test_sarif_is_valid(rendered_folder: Path) -> None:
    schema = json.loads((_DATA / "sarif" / "sarif-schema-2.1.0.json").read_text("utf-8"))
    log = json.loads((rendered_folder / "findings.sarif").read_bytes())

    assert [e.message for e in Draft4Validator(schema).iter_errors(log)] == []


@pytest.mark.parametrize("name", ["junit.xml", "junit-rules.xml"])
def test_junit_matches_jenkins_schema(rendered_folder: Path, name: str) -> None:
    schema = etree.XMLSchema(etree.parse(_DATA / "junit" / "junit-10.xsd"))

    assert schema.validate(etree.parse(rendered_folder / name)), schema.error_log


def test_hostile_text_renders_as_plain_markdown(
    programs: Consumers, rendered_folder: Path, tmp_path: Path
) -> None:
    markup = programs.run("python", "-c", _GFM, rendered_folder / "summary.md", cwd=tmp_path).stdout
    tree = html.fromstring(f"<div>{markup}</div>")
    tags = {str(e.tag) for e in tree.iter()}

    assert tags == {"div", "h1", "h2", "p", "ul", "li", "code"}
    assert len(tree.xpath("//h1")) == 1
    titles = [str(e.text_content()).partition(":")[0] for e in tree.xpath("//h2")]
    assert [t for t in titles if t not in _OPTIONAL_SECTIONS] == _SECTIONS
    assert len(titles) == len(set(titles))


def test_csv_has_a_row_per_rule(rendered_folder: Path) -> None:
    text = (rendered_folder / "findings.csv").read_bytes().decode()
    findings = Findings.model_validate_json((rendered_folder / "findings.json").read_bytes())
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))

    assert len(rows) == 1 + len(findings.rules_and_checks)


@pytest.mark.parametrize("source", ["sample", EVIDENCE])
def test_sbom_is_valid_cyclonedx(
    programs: Consumers, named_evidence: Path | None, tmp_path: Path, source: str
) -> None:
    bom = tmp_path / "sbom.cdx.json"
    bom.write_bytes(_sample_bom() if source == "sample" else _evidence_bom(named_evidence))
    programs.run("python", "-c", _BOM, bom, "1.6", cwd=tmp_path)

    bom.write_bytes(bom.read_bytes().replace(b'"operating-system"', b'"operating system"'))
    stderr = programs.run("python", "-c", _BOM, bom, "1.6", cwd=tmp_path, ok=(1,)).stderr
    assert "operating system" in stderr


def _sample_bom() -> bytes:
    packages = ["bash-0:5.1.8-9.el9.x86_64", "openssl-libs-1:3.0.7-27.el9.x86_64"]
    return build_sbom("lab.qcow2", sha256_bytes(b"x"), packages, distro="rocky-9")


def _evidence_bom(evidence: Path | None) -> bytes:
    with zipfile.ZipFile(require_evidence(evidence)) as archive:
        if "sbom.cdx.json" not in archive.namelist():
            pytest.skip(f"{evidence} has no SBOM: its host is not of an image that hardpan built")
        return archive.read("sbom.cdx.json")
