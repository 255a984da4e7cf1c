import re
import sys
from dataclasses import replace
from types import ModuleType

import pytest

from hardpan.core.errors import InputError, ResourceError
from hardpan.scanners.model.scan import Scan
from hardpan.scanners.report.formats import pdf, summary_model
from hardpan.scanners.report.registry import FORMATS, load_renderer
from tests.unit.evidence import samples
from tests.unit.report.test_reports import EVIL, hostile_scan, report_of

_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")
_FORGED = "lab`\n\n# Result\n\n- open: none\n\n[x](https://evil) https://evil www.evil.com a@b.c"


def _markdown(scan: Scan) -> str:
    return load_renderer("summary").render(report_of(scan)).decode()


def test_summary_lists_verdicts_open_and_waived_rules() -> None:
    text = _markdown(samples.scan())

    assert text.startswith("# Compliance scan of lab\n")
    assert "- current: pass 1, fail 2, notchecked 1, notapplicable 1\n" in text
    assert "## Open, not waived: 1\n\n- high, fail: `Rule number 2 /" in text
    assert "## Open, waived: 1\n\n- medium, fail: `Rule number 3 /" in text
    assert "waiver: needed by the build, see T-1 (build team, until 2027-01-31)" in text
    assert "## Not checked, manual review required: 1\n" in text
    assert "- failed: `test_ssh::test_port: expected 22 is 23`" in text


def test_expired_waiver_leaves_rule_in_open_section() -> None:
    expired = replace(samples.WAIVER, is_active=False)
    text = _markdown(samples.scan(waivers={samples.RULES[2].rule_id: expired}))

    assert "## Open, not waived: 2\n" in text
    assert "## Open, waived: 0\n\n- none\n" in text
    assert "waiver: needed by the build, see T-1 (build team, expired on 2027-01-31)" in text


def test_missing_stages_are_reported() -> None:
    text = _markdown(samples.scan(smoke=None, checks=(), baseline_counts=None, fips=None))

    assert "- baseline: not scanned before hardening\n" in text
    assert "## System checks\n\n- none ran\n" in text
    assert "- the smoke test did not run\n" in text


@pytest.mark.parametrize("hostile", [EVIL, _FORGED])
def test_hostile_text_cannot_forge_markdown(hostile: str) -> None:
    expected = _markdown(hostile_scan())
    host = replace(samples.HOST, hostname=hostile, kernel=hostile)
    rules = tuple(replace(r, title=hostile) for r in samples.RULES)
    evaluation = replace(samples.scan().evaluation, results=rules)
    waiver = replace(samples.WAIVER, reason=hostile, owner=hostile)
    text = _markdown(
        samples.scan(host=host, evaluation=evaluation, waivers={rules[2].rule_id: waiver})
    )

    titles = [x for x in text.splitlines() if x.startswith("#")]
    assert [t.partition(":")[0] for t in titles[1:]] == [
        x.partition(":")[0] for x in expected.splitlines() if x.startswith("##")
    ]
    outside_spans = _SPAN.sub("", text)
    assert not re.search(r"https?:|www\.|@|[<\[\]|*_~]", outside_spans)
    assert all(line == "" or line[0] in "#-TB" for line in text.splitlines())


def test_section_is_limited() -> None:
    rules = tuple(replace(samples.RULES[1], rule_id=f"r{n}") for n in range(600))
    evaluation = replace(samples.scan().evaluation, results=rules)
    section = summary_model.build_sections(report_of(samples.scan(evaluation=evaluation)))[2]

    assert section.title == "Open, not waived: 600"
    assert len(section.lines) == 501
    assert section.lines[-1].text == "and 100 more, in findings.json"


def test_pdf_html_is_escaped_and_has_no_urls() -> None:
    page = pdf.render_html(report_of(hostile_scan()))

    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    tags = (
        "".join(re.findall("<[^>]*>", page))
        + page[page.index("<style>") :].partition("</style>")[0]
    )
    assert not re.search(r"src|href|url|import|link|object", tags)
    assert f'<meta name="dcterms.modified" content="{samples.FINISHED}">' in page


def test_pdf_is_not_attached() -> None:
    assert not FORMATS["pdf"].is_attached


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("No module named 'weasyprint'"), "WeasyPrint is not installed: No module"),
        (
            OSError("cannot load library 'libpango'\nmore"),
            "is missing: cannot load library 'libpango'",
        ),
    ],
)
def test_missing_pdf_dependency_is_resource_error(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    message: str,
) -> None:
    def fail(_: str) -> ModuleType:
        sys.stdout.write("advice of the library")
        raise error

    monkeypatch.setattr(pdf, "import_module", fail)

    with pytest.raises(ResourceError, match=message) as caught:
        load_renderer("pdf").render(report_of(samples.scan()))
    assert "libharfbuzz-subset0 fonts-dejavu-core" in caught.value.hint
    assert capsys.readouterr().out == ""


def test_pdf_fetcher_refuses_urls() -> None:
    urls = type("Urls", (), {"URLFetcher": type("Base", (), {"__init__": lambda *_, **__: None})})
    weasyprint = ModuleType("weasyprint")
    vars(weasyprint)["urls"] = urls
    fetcher = pdf.build_fetcher(weasyprint)

    with pytest.raises(InputError, match=r"forbidden, got 'file:///etc/passwd'"):
        fetcher.fetch("file:///etc/passwd")  # type: ignore[attr-defined]
