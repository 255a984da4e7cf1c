"""Write the screenshots of docs/report.md and docs/evidence.md: ``make screenshots``.

Each shows one window of the sample report; with flat colours a PNG stays below 300 kB.
"""

import tempfile
from pathlib import Path

from hardpan.core.compression import compress
from hardpan.scanners.evidence.file_names import COMPANION_FILES, UNSIGNED_FILES
from hardpan.scanners.evidence.sign.index_page import render_index
from hardpan.scanners.report.registry import Report, load_renderer, render_attachments
from tests.integration.browser import Browser, start_browser
from tests.tools import report_sample

DOCS = Path(__file__).parents[2] / "docs"
_OPEN = "document.querySelector('#open .rule')"


def main() -> None:
    """Render the sample and write the screenshots."""
    with tempfile.TemporaryDirectory() as temp_name:
        folder = Path(temp_name)
        report = report_sample.add_changes(report_sample.load_sample())
        (folder / "report.html").write_bytes(load_renderer("html").render(report))
        with start_browser(folder / "chromium") as page:
            _capture_light(page, folder / "report.html")
            _capture_dark(page)
            _capture_phone(page)
            _capture_index(page, report, folder / "index.html")


def _capture_light(page: Browser, file: Path) -> None:
    _set_scheme(page, "light")
    page.resize(1280, 1440)
    page.open_url(file.as_uri())
    page.take_screenshot(DOCS / "report.png")


def _capture_dark(page: Browser) -> None:
    _set_scheme(page, "dark")
    page.resize(1280, 900)
    page.evaluate("document.getElementById('q').value = 'crypto'")
    page.evaluate("document.getElementById('q').dispatchEvent(new Event('input'))")
    page.evaluate(f"{_OPEN}.open = true")
    page.evaluate("document.getElementById('filter').scrollIntoView({behavior: 'instant'})")
    page.take_screenshot(DOCS / "report-dark.png")


def _capture_phone(page: Browser) -> None:
    _set_scheme(page, "light")
    page.evaluate("document.getElementById('clear').click()")
    page.resize(390, 844)
    page.evaluate("document.getElementById('workload').scrollIntoView({behavior: 'instant'})")
    page.take_screenshot(DOCS / "report-phone.png")


def _capture_index(page: Browser, report: Report, file: Path) -> None:
    files = {name: compress(data) for name, data in render_attachments(report)}
    files |= {f"raw/{name}.json": compress(b"{}") for name in ("fips", "host", "packages")}
    file.write_bytes(render_index(report, files, (*UNSIGNED_FILES, *COMPANION_FILES)))
    _set_scheme(page, "light")
    page.resize(1280, 1100)
    page.open_url(file.as_uri())
    page.take_screenshot(DOCS / "evidence-index.png")


def _set_scheme(page: Browser, name: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": name}]
    page.call("Emulation.setEmulatedMedia", media="", features=features)


if __name__ == "__main__":
    main()
