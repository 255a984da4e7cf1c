import re

import pytest

from hardpan.scanners.report.model.markdown_escape import (
    code_span,
    escape_inline,
    escape_lines,
    format_list,
    to_line,
)


@pytest.mark.parametrize(
    "text", ["Install AIDE", "Ensure /tmp is there", "needed, see T-1 (build team)", "SSH's root."]
)
def test_plain_text_is_not_escaped(text: str) -> None:
    assert escape_inline(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "[a](https://evil.example)",
        "https://evil.example",
        "www.evil.example",
        "someone@evil.example",
        "<script>alert(1)</script>",
        "<https://evil.example>",
        "a | b",
        "**passed**",
        "_x_",
        "# Result",
        "- item",
        "&lt;b&gt;",
        "{{ insert: param, x }}",
        "!(x)",
        "~~fail~~",
        "$x^2$",
        ":tada:",
    ],
)
def test_possible_markup_becomes_code_span(text: str) -> None:
    assert escape_inline(text) == f"`{text}`"


@pytest.mark.parametrize("text", ["`", "``", "a`b", "`a", "a``b`c```", "` `"])
def test_backticks_do_not_close_code_span(text: str) -> None:
    span = code_span(text)
    fence = re.match("`+", span)

    assert fence is not None
    inside = span[len(fence[0]) : -len(fence[0])]
    assert span.endswith(fence[0])
    assert fence[0] not in re.findall("`+", inside)
    assert not inside.startswith("`")
    assert not inside.endswith("`")


def test_line_breaks_are_collapsed() -> None:
    assert escape_inline("a\n# Passed\n\nb") == "`a # Passed b`"
    assert to_line(" \n\t ") == "(none)"
    assert escape_inline("", empty="nothing") == "nothing"


def test_format_list_limits_items_and_counts_the_remainder() -> None:
    text = format_list(("a\nb", "", "- [x] done"), max_items=2)

    assert text == "- `a`\n- `b`\n- and 1 more, in findings.json"
    assert format_list((), max_items=2) == ""


def test_lines_become_paragraphs_items_and_code() -> None:
    text = "Set in the file:\n    minlen = 15\n\n    retry = 3\nThen:\n  - first\n  - *second*"

    assert escape_lines(text) == (
        "Set in the file:\n\n```\nminlen = 15\n\nretry = 3\n```\n\nThen:\n\n- first\n\n- `*second*`"
    )
    assert escape_lines(" \n", empty="none") == "none"


def test_code_cannot_close_its_fence() -> None:
    text = "    ```\n    # Passed\n    ````"

    assert escape_lines(text) == "`````\n```\n# Passed\n````\n`````"
