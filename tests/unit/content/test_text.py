import pytest
from lxml import etree

from hardpan.core.errors import InputError
from hardpan.scanners.content.scap_xml import XCCDF, Element
from hardpan.scanners.content.text import (
    Substitutions,
    read_substitutions,
    render_line,
    render_text,
)

NAMESPACES = (
    'xmlns="http://checklists.nist.gov/xccdf/1.2" xmlns:h="http://www.w3.org/1999/xhtml"'
    ' xmlns:xml="http://www.w3.org/XML/1998/namespace"'
)


def make_benchmark(description: str) -> Element:
    """A benchmark with one rule that has this description."""
    return etree.fromstring(
        f"""<Benchmark {NAMESPACES}>
        <plain-text id="release">R4</plain-text>
        <Value id="v_len"><title>Length</title><value>8</value></Value>
        <Rule id="r_one"><title>Rule one</title><description>{description}</description></Rule>
        </Benchmark>"""
    )


def render(description: str, *, has_markup: bool = True) -> str:
    bench = make_benchmark(description)
    substitutions = Substitutions(
        values={"v_len": "15", "v_none": None},
        titles=read_substitutions(bench, {}).titles,
        plain_texts={"release": "R4"},
        has_markup=has_markup,
    )
    return render_text(bench.iter(XCCDF + "description"), substitutions)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ('At least <sub idref="v_len" use="legacy"/> characters', "At least 15 characters"),
        ('<sub idref="v_len" use="value"/>', "15"),
        ('<sub idref="v_len" use="title"/>', "Length"),
        ('<sub idref="release"/>', "R4"),
        ('minlen=<sub idref="v_other"/>', "minlen=[no value: v_other]"),
        ('minlen=<sub idref="v_none"/>', "minlen=[no value: v_none]"),
        ('<h:object data="#xccdf:value:v_len"/>', "15"),
        ('<h:object data="#xccdf:value:v_other">eight</h:object>', "eight"),
        ('<h:object data="#xccdf:value:release"/>', "R4"),
        ('<h:object data="#xccdf:title:r_one"/>', "Rule one"),
        ('<h:object data="image.png">an <h:b>image</h:b></h:object>', "an image"),
        ("a <!-- no text --> b", "a b"),
    ],
)
def test_references_are_replaced_by_their_texts(markup: str, text: str) -> None:
    assert render(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("one\n   two  three ", "one two three"),
        ("one\n\n  two", "one\n\ntwo"),
        ("one<h:br/>two<h:br/><h:br/>three", "one\ntwo\n\nthree"),
        ("<h:p>one</h:p><h:p>two\nthree</h:p>four", "one\n\ntwo three\n\nfour"),
        ("set <h:code>a=1\n</h:code> and <h:b>b</h:b>", "set a=1 and b"),
        (
            'in f:<h:pre>a = <sub idref="v_len"/>\nb = 3\n</h:pre>Then',
            "in f:\n    a = 15\n    b = 3\nThen",
        ),
        (
            "<h:pre>\n  if x\n    then <h:b>y</h:b><h:br/>  z\n</h:pre>",
            "    if x\n      then y\n    z",
        ),
        ("<h:pre>a\n\nb</h:pre>", "    a\n\n    b"),
        (
            "do: <h:ul><h:li>first\n part</h:li> <h:li>second</h:li></h:ul> end",
            "do:\n  - first part\n  - second\nend",
        ),
        ("<h:ol><h:li>a</h:li><h:li>b</h:li></h:ol>", "  1. a\n  2. b"),
        (
            "<h:ul><h:li>a<h:ul><h:li>b</h:li></h:ul>c</h:li><h:li>d</h:li></h:ul>",
            "  - a\n      - b\n    c\n  - d",
        ),
        (
            "<h:ul><h:li>run<h:pre>x\ny</h:pre></h:li></h:ul>",
            "  - run\n        x\n        y",
        ),
        (
            "<h:table><h:tr><h:td>a</h:td><h:td>1</h:td></h:tr><h:tr><h:td>b</h:td></h:tr></h:table>",
            "a | 1\nb",
        ),
    ],
)
def test_layout_is_lines_and_indentation(markup: str, text: str) -> None:
    assert render(markup) == text


def test_line_breaks_are_retained_in_a_benchmark_without_markup() -> None:
    description = (
        '&lt;VulnDiscussion&gt;Two lines:\nminlen = <sub idref="v_len"/>\nretry = 3&lt;'
        "/VulnDiscussion&gt;&lt;FalsePositives&gt;&lt;/FalsePositives&gt;"
    )

    assert render(description, has_markup=False) == "Two lines:\nminlen = 15\nretry = 3"


@pytest.mark.parametrize(
    ("markup", "has_markup"), [("<h:br/>", True), ("a", False), ("<sub idref='v_len'/>", False)]
)
def test_markup_of_the_benchmark_is_recognized(markup: str, has_markup: bool) -> None:
    assert read_substitutions(make_benchmark(markup), {}).has_markup is has_markup


def test_title_is_a_single_english_line() -> None:
    titles = etree.fromstring(
        f'<r {NAMESPACES}><title xml:lang="de">Eins</title><title xml:lang="en-US">One\n line'
        "</title></r>"
    )
    substitutions = read_substitutions(make_benchmark(""), {})

    assert render_line(list(titles), substitutions) == "One line"
    assert render_line(list(titles)[:1], substitutions) == "Eins"
    assert render_line([], substitutions) == ""


@pytest.mark.parametrize(
    ("markup", "problem"),
    [
        ("<h:b>" * 70 + "x" + "</h:b>" * 70, "nested deeper than 64"),
        ("<h:pre>" + "<h:b>" * 70 + "x" + "</h:b>" * 70 + "</h:pre>", "nested deeper than 64"),
        ("x" * (257 << 10), "longer than 262144 characters"),
        ("<h:br/>" * (257 << 10), "longer than 262144 characters"),
    ],
)
def test_oversized_text_is_refused(markup: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        render(markup)
