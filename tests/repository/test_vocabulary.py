"""Names, documents, help texts, scan output and the HTML report use the field's vocabulary."""

import html
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from hardpan import cli
from hardpan.core.errors import Exit
from hardpan.core.events import StageMessage
from hardpan.scanners.model.scan import Scan, Verdict
from hardpan.scanners.report.registry import load_renderer
from hardpan.scanners.scan_request import ScanRequest
from tests.tools import vocabulary
from tests.tools.report_sample import add_changes, load_sample
from tests.unit.cli.replaced_scan import replace_scan
from tests.unit.evidence.evidence_fixture import create_fixture
from tests.unit.ledger.samples import scan_of_verdict

REQUIRED_IN_NAMES = {
    *("told", "made", "said", "found", "asked", "given", "known", "kept", "held", "wanted"),
    *("there", "where", "what", "why", "one", "rest", "own", "ours", "room", "words"),
    *("put", "shown", "judged", "whole", "odd", "mend", "anew", "vouch", "drawn", "tell"),
}
"""Words of the style guide that no name may contain."""

SOURCES: dict[str, str] = {
    "function": "def {0}(): pass",
    "method": "class A:\n    def {0}(self): pass",
    "coroutine": "async def {0}(): pass",
    "class": "class {1}: pass",
    "parameter": "def f({0}): pass",
    "keyword parameter": "def f(*, {0}=1): pass",
    "variadic parameter": "def f(*{0}): pass",
    "keywords parameter": "def f(**{0}): pass",
    "lambda parameter": "f = lambda {0}: 1",
    "assignment": "{0} = 1",
    "unpacking": "a, (b, *{0}) = c",
    "annotated assignment": "{0}: int = 1",
    "augmented assignment": "{0} += 1",
    "assignment expression": "f({0} := 1)",
    "attribute": "self.{0} = 1",
    "annotated attribute": "self.{0}: int = 1",
    "loop target": "for {0} in a: pass",
    "comprehension target": "a = [1 for {0} in b]",
    "with target": "with a as {0}: pass",
    "except target": "try: pass\nexcept E as {0}: pass",
    "match capture": "match a:\n    case [{0}]: pass",
    "match star": "match a:\n    case [*{0}]: pass",
    "match mapping": "match a:\n    case {{**{0}}}: pass",
    "match alias": "match a:\n    case 1 as {0}: pass",
    "import alias": "import a as {0}",
    "from-import alias": "from a import b as {0}",
    "snake component": "total_{0}_bytes = 1",
    "private component": "_{0}_2 = 1",
    "constant component": "TOTAL_{2} = 1",
    "camel component": "class Old{1}Error: pass",
}
"""Kind of binding -> a source that binds the word; in lower case, with a capital, in capitals."""


def test_vocabulary_contains_required_entries() -> None:
    assert REQUIRED_IN_NAMES <= vocabulary.FORBIDDEN_IN_NAMES


@pytest.mark.parametrize("kind", SOURCES)
def test_planted_word_is_reported_in_source(kind: str) -> None:
    missed = []
    for word in sorted(vocabulary.FORBIDDEN_IN_NAMES):
        source = SOURCES[kind].format(word, word.capitalize(), word.upper())
        if not vocabulary.find_in_source("a.py", source):
            missed.append(word)

    assert len(vocabulary.FORBIDDEN_IN_NAMES) > len(REQUIRED_IN_NAMES)
    assert missed == []


def test_planted_word_is_reported_in_module_path() -> None:
    assert vocabulary.find_in_path(Path("scanners/telling.py"))
    assert vocabulary.find_in_path(Path("scanners/rooms/model.py"))
    assert not vocabulary.find_in_path(Path("scanners/model.py"))


@pytest.mark.parametrize(
    "source",
    [
        "known_hosts = 1",
        "def do_PUT(self): pass",
        "from a import found\nfound(given=1)",
        "unknown_items = somewhere.what",
        "toned, madeira, overhead = 1, 2, 3",
        "{'told': 1}['told'] = 'said'",
    ],
)
def test_field_terms_and_foreign_names_are_accepted(source: str) -> None:
    assert vocabulary.find_in_source("a.py", source) == []


PLANTED_PHRASES = (
    *("it tells", "Told", "said", "asked", "held", "kept", "of ours", "mend", "mended", "anew"),
    *("vouches", "drawn", "draws", "judged", "odd", "beside", "whom", "puts", "lies in", "lie on"),
    *("stands in", "ways out", "in the way", "at hand", "nowhere", "programs of others"),
    *("holds it against", "held to", "last word", "rivers", "house", "front door", "lies\n  in"),
)


def _plant(kind: str, phrase: str) -> list[str]:
    text = f"The scan {phrase} a rule."
    if kind == "document":
        return vocabulary.find_in_text("README.md", f"# Title\n\n{text}\n")
    if kind == "table":
        return vocabulary.find_in_text("docs/x.md", f"| a | {text} |\n")
    command = click.Command("scan", help=text.replace("\n", " "))
    if kind == "subcommand help":
        command = click.Group("ledger", commands={"add": command})
    if kind == "option help":
        option = click.Option(["--x"], help=text.replace("\n", " "))
        command = click.Command("scan", params=[option])
    return vocabulary.find_in_help(command)


@pytest.mark.parametrize("kind", ["document", "table", "help", "subcommand help", "option help"])
def test_planted_phrase_is_reported_in_text(kind: str) -> None:
    missed = [phrase for phrase in PLANTED_PHRASES if not _plant(kind, phrase)]

    assert len(PLANTED_PHRASES) > 30
    assert missed == []


def test_every_prose_pattern_has_a_planted_phrase() -> None:
    text = "\n".join(PLANTED_PHRASES)

    unused = [w for w, pattern in vocabulary.FORBIDDEN_IN_PROSE.items() if not pattern.search(text)]
    assert unused == []


def test_plain_english_is_accepted_in_text() -> None:
    text = "There is one file where the scan found the given key, as is known; see what failed."

    assert vocabulary.find_in_text("README.md", text) == []


def test_names_use_the_vocabulary() -> None:
    assert vocabulary.find_in_names() == []


def test_documents_use_the_vocabulary() -> None:
    assert vocabulary.find_in_documents() == []


def test_help_uses_the_vocabulary() -> None:
    texts = dict(vocabulary.help_texts(cli.root, click.Context(cli.root, info_name="hardpan")))

    assert len(texts) > 25
    assert vocabulary.find_in_help(cli.root) == []


def test_scan_output_uses_the_vocabulary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = create_fixture(tmp_path)

    def scan(_request: ScanRequest, emit: Callable[[Any], None]) -> Scan:
        emit(StageMessage(stage="evaluate", text="1 rule"))
        return scan_of_verdict(Verdict.FAIL)

    replace_scan(monkeypatch, scan)
    arguments = ["scan", "root@lab", "--profile", "lab-stig", "--key", str(lab.ring.scan)]
    arguments += ["-o", str(tmp_path / "x.evidence.zip")]

    assert cli.run([*arguments, "--fail-on", "none"]) == Exit.OK
    output = capsys.readouterr()
    assert "x.evidence.zip" in output.out
    assert "evaluate" in output.err
    assert vocabulary.find_in_text("hardpan scan", output.out + output.err) == []


def test_html_report_uses_the_vocabulary() -> None:
    report = add_changes(load_sample())
    # The texts of the SCAP content are ComplianceAsCode's.
    rules = tuple(
        rule.model_copy(update={"title": "Title", "description": "Text", "rationale": "Text"})
        for rule in report.findings.rules
    )
    report = replace(report, findings=report.findings.model_copy(update={"rules": rules}))

    page = load_renderer("html").render(report).decode()
    visible = re.sub(r"(?s)<(style|script)\b.*?</\1>|<[^>]+>", " ", page)

    assert "Provenance" in visible
    assert vocabulary.find_in_text("report.html", html.unescape(visible)) == []
