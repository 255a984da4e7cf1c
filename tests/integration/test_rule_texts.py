"""Rule texts of the shipped content are those of ``oscap xccdf generate guide``."""

import re
from pathlib import Path

import pytest
from lxml import html

from hardpan.core.process import run
from hardpan.scanners.content import benchmark, datastream
from hardpan.scanners.content.scap_xml import XCCDF, Element
from hardpan.scanners.model.scan import ContentOrigin

pytestmark = pytest.mark.integration

_LIST_MARKER = re.compile(r"^\s*(?:- |\d+\. )", re.MULTILINE)
_TEXT_TAGS = ("title", "description", "rationale")


def remove_blanks(text: str) -> str:
    return re.sub(r"\s+", "", text)


def read_guide(path: Path, profile_id: str) -> dict[str, str]:
    """Rule id -> its text in oscap's guide, without blanks: a heading's row and those below it."""
    argv = ["oscap", "xccdf", "generate", "guide", "--profile", profile_id, path]
    root = html.fromstring(run(argv, timeout_s=120).stdout)
    texts = {}
    for heading in root.iter("h4"):
        row = next(heading.iterancestors("tr"), None)
        if row is None or "_rule_" not in heading.get("id", ""):
            continue
        text = row.text_content()
        for sibling in row.itersiblings("tr"):
            if sibling.find(".//h4") is not None:
                break
            text += sibling.text_content()
        texts[heading.get("id", "")] = remove_blanks(text)
    return texts


def has_sub(rule: Element) -> bool:
    texts = [t for tag in _TEXT_TAGS for t in rule.findall(XCCDF + tag)]
    return any(next(t.iter(XCCDF + "sub"), None) is not None for t in texts)


@pytest.mark.parametrize(
    ("product", "profile", "rules_with_values"),
    [("rhel9", "stig", 50), ("ubuntu2404", "stig", 20), ("debian12", "cis_level1_server", 25)],
)
def test_rule_texts_are_those_of_oscap_guide(
    product: str, profile: str, rules_with_values: int, tmp_path: Path
) -> None:
    source = datastream.find(product, ContentOrigin.SHIPPED)
    profile_id = benchmark.expand_profile_id(profile)
    root = datastream.parse_source(source)
    rules = benchmark.read_benchmark(root, profile_id, source.name).rules
    path = tmp_path / source.name
    path.write_bytes(source.data)

    guide = read_guide(path, profile_id)

    for rule in rules:
        for text in (rule.title, rule.rationale, rule.fix_text):
            assert "[no value: " not in text
            assert remove_blanks(_LIST_MARKER.sub("", text)) in guide[rule.rule_id], rule.rule_id
    ids = {rule.rule_id for rule in rules}
    with_values = [r for r in root.iter(XCCDF + "Rule") if r.get("id") in ids and has_sub(r)]
    assert len(with_values) >= rules_with_values
