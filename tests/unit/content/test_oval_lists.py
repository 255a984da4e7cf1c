import random
import re

import pytest

from hardpan.scanners.content import datastream, oval_lists, scap_xml
from hardpan.scanners.content.components import oval_components
from hardpan.scanners.content.scap_xml import OVAL, Element

_ALL = "oval:ssg-var_all_local_gids:var:1"
_ALL_WITH_USRLIB = "oval:ssg-var_all_local_gids_with_usrlib:var:1"
_OBJECT = "oval:ssg-object_etc_group:obj:1"


def find_document() -> Element:
    """Return the shipped OVAL document with the rule about files without a known group."""
    source = datastream.find("rhel9")
    root = scap_xml.parse_data_stream(source.data, source.name)
    return next(o for o in oval_components(root) if oval_lists.read_variable(o, _ALL)[1])


@pytest.fixture(scope="module")
def document() -> Element:
    return find_document()


def find_element(oval: Element, element_id: str) -> Element:
    return next(e for e in oval.iter("{*}*") if e.get("id") == element_id)


def test_shipped_lists_of_all_groups_share_a_variable_of_common_ones(document: Element) -> None:
    first = oval_lists.add_common_owners(document, _ALL)
    second = oval_lists.add_common_owners(document, _ALL_WITH_USRLIB)

    assert first == second == "oval:hardpan-common_groups:var:1"
    assert oval_lists.read_variable(document, first) == (
        "subexpression",
        "oval:hardpan-common_groups:obj:1",
    )
    common = find_element(document, "oval:hardpan-common_groups:obj:1")
    assert [e.text for e in common] == [
        "/etc/group",
        r"^[^:\n]+:[^:\n]*:(0|100[0-9]):[^:\n]*$",
        "1",
    ]
    assert len([e for e in document.iter(OVAL + "local_variable") if e.get("id") == first]) == 1


def test_other_lists_are_not_recognized(document: Element) -> None:
    element = find_element(document, _OBJECT)
    pattern = find_element(document, _OBJECT).find(oval_lists.INDEPENDENT + "pattern")
    assert pattern is not None
    original = pattern.text

    pattern.text = f"{original} "
    assert not oval_lists.add_common_owners(document, _ALL)
    pattern.text = original
    pattern.set("operation", "equals")
    assert not oval_lists.add_common_owners(document, _ALL)
    pattern.set("operation", "pattern match")
    extra = scap_xml.etree.SubElement(element, OVAL + "filter")
    assert not oval_lists.add_common_owners(document, _ALL)
    element.remove(extra)
    assert not oval_lists.add_common_owners(document, "oval:x:var:1")
    assert oval_lists.add_common_owners(document, _ALL)


def test_common_users_are_root_and_the_first_regular_users(document: Element) -> None:
    list_id = "oval:ssg-var_no_files_unowned_by_user_uids_list:var:1"

    common_id = oval_lists.add_common_owners(document, list_id)

    assert common_id == oval_lists.add_common_owners(document, list_id)
    field, union_id = oval_lists.read_variable(document, common_id)
    assert field == "user_id"
    described = []
    for object_id in oval_lists.read_union(document, union_id):
        users = find_element(document, object_id)
        username, *filters = users
        states = [find_element(document, f.text or "")[0] for f in filters]
        assert {f.get("action") for f in filters} == {"include"}
        described.append((username.text, [(s.get("operation"), s.text) for s in states]))
    assert described == [
        (".*", [("equals", "0")]),
        (".*", [("greater than or equal", "1000"), ("less than or equal", "1009")]),
    ]


def test_common_groups_are_among_all_groups() -> None:
    generator = random.Random(1)  # noqa: S311 - no secret
    lines = ("g:x:0:", "g:x:1001:a", "g:x:5:", "zz", ":y:0:", "y:1001:", "a:x:0", "::0:", "", "0")
    all_groups = re.compile(oval_lists._GROUP_PATTERN, re.MULTILINE)
    common = re.compile(oval_lists._COMMON_GROUP_PATTERN, re.MULTILINE)
    match_count = 0
    for _ in range(20_000):
        text = "\n".join(generator.choices(lines, k=generator.randint(1, 6)))
        ids = set(common.findall(text))
        match_count += len(ids)
        assert ids <= set(all_groups.findall(text)), text
    assert match_count > 5_000
