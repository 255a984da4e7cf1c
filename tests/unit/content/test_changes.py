"""Which rules changed between two data streams, and in what."""

import pytest

from hardpan.errors import InputError
from hardpan.scanners.content import changes, xml
from hardpan.scanners.content.changes import ContentChanges
from tests.unit.content.tiny import PROFILE, RULE, TINY


def compare(current: bytes, baseline: bytes = TINY) -> ContentChanges:
    old, new = xml.load(baseline, "tiny"), xml.load(current, "tiny")
    return changes.compare(old, new, "stig", name="tiny")


def changed(made: ContentChanges) -> dict[str, tuple[str, ...]]:
    return {c.rule_id.removeprefix(RULE): c.aspects for c in made.changed}


def test_the_same_content_has_no_changes() -> None:
    made = compare(TINY)

    assert (made.added, made.removed, made.changed) == ((), (), ())
    assert (made.baseline_rules, made.current_rules) == (5, 5)
    assert (made.baseline_selected, made.current_selected) == (4, 4)
    assert made.profile_id == PROFILE + "stig"


ONE_FIX = b'id="one">set <x:sub'
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
    ("fix", ONE_FIX, ONE_FIX.replace(b"set", b"put"), {"one": ("fix",)}),
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
    ("before", "after", "found"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_changed_rule_is_found_with_what_changed(
    before: bytes, after: bytes, found: dict[str, tuple[str, ...]]
) -> None:
    assert before in TINY

    made = compare(TINY.replace(before, after))

    assert changed(made) == found
    assert (made.added, made.removed) == ((), ())


def test_rules_that_are_new_or_gone_are_found() -> None:
    renamed = TINY.replace(f"{RULE}four".encode(), f"{RULE}six".encode())
    renamed = renamed.replace(f"{RULE}five".encode(), f"{RULE}seven".encode())

    made = compare(renamed)

    new = [(c.rule_id.removeprefix(RULE), c.in_profile) for c in made.added]
    gone = [(c.rule_id.removeprefix(RULE), c.title, c.in_profile) for c in made.removed]
    assert new == [("six", True), ("seven", False)]
    assert gone == [("four", "Title of four", True), ("five", "Title of five", False)]
    # Rule three is in conflict with five, which is called seven now.
    assert changed(made) == {"three": ("dependencies",)}


@pytest.mark.parametrize(
    ("before", "after", "is_wording", "in_profile"),
    [
        (b"Title of one", b"Another title", True, True),
        (b"Title of five", b"Another title", True, False),
        (b'severity="high"', b'severity="low"', False, True),
        (b"Title of one", b"Another title</x:title><x:weight/><x:title>", True, True),
    ],
)
def test_wording_and_profile_are_told_apart(
    before: bytes, after: bytes, is_wording: bool, in_profile: bool
) -> None:
    (one,) = compare(TINY.replace(before, after)).changed

    assert (one.is_wording, one.in_profile) == (is_wording, in_profile)


def test_definitions_that_refer_to_each_other_do_not_hang() -> None:
    ring = b'<o:criteria><o:extend_definition definition_ref="d2"/><o:criterion test_ref="t1"/>'
    baseline = TINY.replace(b'<o:criteria><o:criterion test_ref="t1"/>', ring)
    assert baseline != TINY

    made = compare(baseline.replace(b'<o:s id="s1"/>', b'<o:s id="s1">x</o:s>'), baseline)

    assert set(changed(made)) == set(ALL[:4])


def test_content_without_the_profile_is_refused() -> None:
    with pytest.raises(InputError, match="no profile"):
        compare(TINY.replace(f'Profile id="{PROFILE}stig"'.encode(), b'Profile id="x"'))
