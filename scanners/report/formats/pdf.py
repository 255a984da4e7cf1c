"""The summary as a PDF, rendered on request, not attached to evidence.

WeasyPrint and the system libraries under it are loaded only here and only to render
a PDF. Its input is hardpan's own template with every value escaped. It fetches
nothing: a URL in the input is a bug in the template and ends the rendering.
Dates and the document's identifier come from the findings, so that the same
findings, WeasyPrint and fonts give the same bytes.
"""

import contextlib
import io
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from hardpan.core.errors import InputError, ResourceError
from hardpan.core.files import sha256_bytes
from hardpan.core.resources import resource_path
from hardpan.core.templates import html_environment
from hardpan.scanners.report.formats.summary_model import build_sections
from hardpan.scanners.report.registry import Report

_TEMPLATES = resource_path("hardpan.scanners.report", "templates")
_NOTE = (
    "This summary is not signed and proves nothing. Verify the evidence that it was rendered from "
    "with hardpan verify, or as described in its VERIFY.md."
)


class Pdf:
    """``summary.pdf``."""

    def render(self, report: Report) -> bytes:
        """The PDF.

        Raises:
            ResourceError: WeasyPrint or a library that it needs is missing.
        """
        weasyprint = _import_weasyprint()
        page = weasyprint.HTML(string=render_html(report), url_fetcher=build_fetcher(weasyprint))
        identifier = sha256_bytes(report.findings_json)[:32].encode()
        pdf = page.write_pdf(pdf_identifier=identifier)
        if not isinstance(pdf, bytes):
            raise ResourceError("WeasyPrint returned no PDF")
        return pdf


def render_html(report: Report) -> str:
    """What WeasyPrint draws from."""
    environment = html_environment(_TEMPLATES)
    return environment.get_template("summary.html.j2").render(
        host=report.findings.host.hostname,
        finished=report.findings.finished,
        note=_NOTE,
        sections=build_sections(report),
    )


def build_fetcher(weasyprint: ModuleType) -> object:
    """A fetcher that fetches nothing and ends the drawing instead."""
    fetcher_class = type("Refuser", (weasyprint.urls.URLFetcher,), {"fetch": _refuse_fetch})
    return fetcher_class(fail_on_errors=True)


def _refuse_fetch(_: object, url: str, *__: object, **___: object) -> NoReturn:
    raise InputError(f"summary.pdf: external resources are forbidden, got {url[:200]!r}")


def _import_weasyprint() -> ModuleType:
    hint = (
        "pip install 'hardpan[pdf]', and of the system Pango with HarfBuzz's subsetter and the "
        "DejaVu fonts (Debian: libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core; "
        "Rocky: pango dejavu-sans-fonts)"
    )
    # It prints its advice on standard output, where an exported file may be going.
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return import_module("weasyprint")
        except ImportError as e:
            raise ResourceError(f"summary.pdf: WeasyPrint is not installed: {e}", hint=hint) from e
        except OSError as e:
            line = str(e).partition("\n")[0]
            raise ResourceError(
                f"summary.pdf: a library that WeasyPrint needs is missing: {line}", hint=hint
            ) from e
