"""Which rules changed between two data streams, and in what."""

import pytest

from hardpan.core.errors import InputError
from hardpan.scanners.content import changes, scap_xml
from hardpan.scanners.content.changes import ContentChanges
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM, PROFILE, RULE


def compare(current: bytes, baseline: bytes = MINIMAL_DATASTREAM) -> ContentChanges:
    old, new = (
        scap_xml.parse_data_stream(baseline, "tiny"),
        scap_xml.parse_data_stream(current, "tiny"),
    )
    return changes.compare_content(old, new, "stig", name="tiny")


def changed_aspects(comparison: ContentChanges) -> dict[str, tuple[str, ...]]:
    return {c.rule_id.removeprefix(RULE): c.aspects for c in comparison.changed}


def test_identical_content_has_no_changes() -> None:
    comparison = compare(MINIMAL_DATASTREAM)

    assert (comparison.added, comparison.removed, comparison.changed) == ((), (), ())
    assert (comparison.baseline_rules, comparison.current_rules) == (5, 5)
    assert (comparison.baseline_selected, comparison.current_selected) == (4, 4)
    assert comparison.profile_id == PROFILE + "stig"


FIRST_RULE_FIX = b'id="one">set <x:sub'
ALL = ("one", "two", "three", "four", "five")

TABLE = [
    ("title", b"Title of one", b"Another title", {"one": ("title",)}),
    ("severity", b'severity="high"', b'severity="low"', {"one": ("severity",)}),
    (
        "weight",
        b'severity="high"',
        b'severity="high" weight="2.0"',
        {"one": ("weight",)},
    ),
    ("description", b"Do one.", b"Do it.", {"one": ("description",)}),
    ("reference", b"SV-1r1_rule", b"SV-1r2_rule", dict.fromkeys(ALL, ("references",))),
    ("ident", b"CCE-80000-1", b"CCE-80000-2", dict.fromkeys(ALL, ("references",))),
    ("fix", FIRST_RULE_FIX, FIRST_RULE_FIX.replace(b"set", b"put"), {"one": ("fix",)}),
    (
        "dependency",
        b'<x:requires idref="' + f"{RULE}one".encode(),
        b'<x:requires idref="' + f"{RULE}four".encode(),
        {"two": ("dependencies",)},
    ),
    (
        "another definition",
        b'name="d3"',
        b'name="d2"',
        {"five": ("check",)},
    ),
    (
        # d2 extends d1, so all but rule five ask it.
        "a state that a definition leads to",
        b'<o:s id="s1"/>',
        b'<o:s id="s1"><o:v>1</o:v></o:s>',
        dict.fromkeys(ALL[:4], ("check",)),
    ),
    (
        "a state that an object's filter names",
        b'<o:s id="s2"/>',
        b'<o:s id="s2"><o:v>1</o:v></o:s>',
        dict.fromkeys(ALL[:4], ("check",)),
    ),
    ("a state that nothing uses", b'<o:s id="s3"/>', b'<o:s id="s3"><o:v>1</o:v></o:s>', {}),
    ("a script", b"<script/>", b"<script>x</script>", dict.fromkeys(ALL, ("check",))),
    ("a question", b"<ocil/>", b'<ocil><qs><q id="q1">x</q></qs></ocil>', {}),
    (
        "a value of the profile",
        b'<x:value selector="strict">3</x:value>',
        b'<x:value selector="strict">4</x:value>',
        dict.fromkeys(ALL[:4], ("values",)),
    ),
    ("a value that is not chosen", b"<x:value>9</x:value>", b"<x:value>8</x:value>", {}),
    (
        "selection",
        f'<x:select idref="{RULE}four" selected="true"/>'.encode(),
        b"",
        {"four": ("selection", "values")},
    ),
    (
        "a comment, a version and metadata of a definition",
        b'<o:definition id="d1">',
        b'<o:definition id="d1" version="2"><!-- x --><o:metadata>x</o:metadata>',
        {},
    ),
    ("blanks", b"<o:states>", b"<o:states>\n   ", {}),
    (
        "a platform",
        b"<x:rationale>Because.</x:rationale><x:requires",
        b'<x:rationale>Because.</x:rationale><x:platform idref="#machine"/><x:requires',
        {"two": ("platforms",)},
    ),
    (
        "a fix in another language",
        b'<x:fix system="urn:xccdf:fix:script:sh" id="five"',
        b'<x:fix system="x" id="a">y</x:fix><x:fix system="urn:xccdf:fix:script:sh" id="five"',
        {},
    ),
]


@pytest.mark.parametrize(
    ("before", "after", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_changed_rule_is_reported_with_its_aspects(
    before: bytes, after: bytes, expected: dict[str, tuple[str, ...]]
) -> None:
    assert before in MINIMAL_DATASTREAM

    comparison = compare(MINIMAL_DATASTREAM.replace(before, after))

    assert changed_aspects(comparison) == expected
    assert (comparison.added, comparison.removed) == ((), ())


def test_added_and_removed_rules_are_reported() -> None:
    renamed = MINIMAL_DATASTREAM.replace(f"{RULE}four".encode(), f"{RULE}six".encode())
    renamed = renamed.replace(f"{RULE}five".encode(), f"{RULE}seven".encode())

    comparison = compare(renamed)

    added = [(c.rule_id.removeprefix(RULE), c.in_profile) for c in comparison.added]
    removed = [(c.rule_id.removeprefix(RULE), c.title, c.in_profile) for c in comparison.removed]
    assert added == [("six", True), ("seven", False)]
    assert removed == [("four", "Title of four", True), ("five", "Title of five", False)]
    # Rule three is in conflict with five, which is called seven now.
    assert changed_aspects(comparison) == {"three": ("dependencies",)}


@pytest.mark.parametrize(
    ("before", "after", "is_wording", "in_profile"),
    [
        (b"Title of one", b"Another title", True, True),
        (b"Title of five", b"Another title", True, False),
        (b'severity="high"', b'severity="low"', False, True),
        (b"Title of one", b"Another title</x:title><x:weight/><x:title>", True, True),
    ],
)
def test_change_reports_descriptive_only_and_profile_membership(
    before: bytes, after: bytes, is_wording: bool, in_profile: bool
) -> None:
    (change,) = compare(MINIMAL_DATASTREAM.replace(before, after)).changed

    assert (change.is_descriptive_only, change.in_profile) == (is_wording, in_profile)


def test_cyclic_definitions_terminate() -> None:
    ring = b'<o:criteria><o:extend_definition definition_ref="d2"/><o:criterion test_ref="t1"/>'
    baseline = MINIMAL_DATASTREAM.replace(b'<o:criteria><o:criterion test_ref="t1"/>', ring)
    assert baseline != MINIMAL_DATASTREAM

    comparison = compare(baseline.replace(b'<o:s id="s1"/>', b'<o:s id="s1">x</o:s>'), baseline)

    assert set(changed_aspects(comparison)) == set(ALL[:4])


def test_content_without_the_profile_is_refused() -> None:
    with pytest.raises(InputError, match="no profile"):
        compare(
            MINIMAL_DATASTREAM.replace(f'Profile id="{PROFILE}stig"'.encode(), b'Profile id="x"')
        )
