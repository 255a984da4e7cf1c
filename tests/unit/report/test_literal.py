import re

import pytest

from hardpan.scanners.report.literal import code, inline, items, one_line


@pytest.mark.parametrize(
    "text", ["Install AIDE", "Ensure /tmp is there", "needed, see T-1 (build team)", "SSH's root."]
)
def test_harmless_words_stay_plain(text: str) -> None:
    assert inline(text) == text


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
def test_what_could_be_markup_goes_into_a_code_span(text: str) -> None:
    assert inline(text) == f"`{text}`"


@pytest.mark.parametrize("text", ["`", "``", "a`b", "`a", "a``b`c```", "` `"])
def test_no_back_quotes_close_the_span(text: str) -> None:
    made = code(text)
    fence = re.match("`+", made)

    assert fence is not None
    inside = made[len(fence[0]) : -len(fence[0])]
    assert made.endswith(fence[0])
    assert fence[0] not in re.findall("`+", inside)
    assert not inside.startswith("`")
    assert not inside.endswith("`")


def test_a_line_end_ends_no_line() -> None:
    assert inline("a\n# Passed\n\nb") == "`a # Passed b`"
    assert one_line(" \n\t ") == "(none)"
    assert inline("", empty="nothing") == "nothing"


def test_a_list_has_one_item_a_line_and_says_what_is_left_out() -> None:
    made = items(("a\nb", "", "- [x] done"), most=2)

    assert made == "- `a`\n- `b`\n- and 1 more, in findings.json"
    assert items((), most=2) == ""
