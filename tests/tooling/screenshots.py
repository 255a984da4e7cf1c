"""Writes the pictures of docs/report.md: ``make screenshots``.

Each is one window of the sample's page: flat colours, so a PNG stays below 300 kB.
"""

import tempfile
from pathlib import Path

from hardpan.scanners.report.base import renderer
from tests.integration.browser import Browser, browser
from tests.tooling import page_sample

DOCS = Path(__file__).parents[2] / "docs"
_OPEN = "document.querySelector('#open .rule')"


def main() -> None:
    """Draw, look, write."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        report = page_sample.with_changes(page_sample.load())
        (folder / "report.html").write_bytes(renderer("html").render(report))
        with browser(folder / "chromium") as page:
            _light(page, folder / "report.html")
            _dark(page)
            _phone(page)


def _light(page: Browser, file: Path) -> None:
    _scheme(page, "light")
    page.size(1280, 1440)
    page.go(file.as_uri())
    page.picture(DOCS / "report.png")


def _dark(page: Browser) -> None:
    _scheme(page, "dark")
    page.size(1280, 900)
    page.script("document.getElementById('q').value = 'crypto'")
    page.script("document.getElementById('q').dispatchEvent(new Event('input'))")
    page.script(f"{_OPEN}.open = true")
    page.script("document.getElementById('filter').scrollIntoView({behavior: 'instant'})")
    page.picture(DOCS / "report-dark.png")


def _phone(page: Browser) -> None:
    _scheme(page, "light")
    page.script("document.getElementById('clear').click()")
    page.size(390, 844)
    page.script("document.getElementById('workload').scrollIntoView({behavior: 'instant'})")
    page.picture(DOCS / "report-phone.png")


def _scheme(page: Browser, name: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": name}]
    page.call("Emulation.setEmulatedMedia", media="", features=features)


if __name__ == "__main__":
    main()
