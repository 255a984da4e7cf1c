import pytest

from hardpan.scanners.content import oval_lists, oval_share, scap_xml
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM

UNIX = 'xmlns:u="http://oval.mitre.org/XMLSchema/oval-definitions-5#unix"'
SEARCH = """<u:behaviors recurse_direction="down"/><u:path>/</u:path>
<u:filename operation="not equal">/</u:filename>"""
STATES = {
    "user": '<u:user_id datatype="int" var_check="at least one" var_ref="v-user"/>',
    "group": '<u:group_id datatype="int" var_check="at least one" var_ref="v-group"/>',
    "groups": '<u:group_id datatype="int" var_check="at least one" var_ref="v-groups"/>',
    "others": '<u:group_id datatype="int" var_check="at least one" var_ref="v-others"/>',
    "oval:hardpan-first_root": '<u:group_id datatype="int">0</u:group_id>',
    "link": "<u:type>symbolic link</u:type>",
    "path": '<u:filepath operation="pattern match">^/sysroot/</u:filepath>',
}
VARIABLES = "".join(
    f'<o:local_variable id="v-{name}" datatype="int">'
    f'<o:object_component item_field="subexpression" object_ref="l-{name}"/></o:local_variable>'
    for name in ("user", "group", "groups", "others")
)
LISTS = """<o:l id="l-group"/><o:l id="l-user"/><o:l id="l-others"/><o:l id="l-groups"><o:set>
<o:object_reference>l-group</o:object_reference><o:object_reference>l-user</o:object_reference>
</o:set></o:l>"""


def make_object(name: str, *states: str, search: str = SEARCH, action: str = "exclude") -> str:
    filters = "".join(f'<o:filter action="{action}">{s}</o:filter>' for s in states)
    return f'<u:file_object {UNIX} id="{name}">{search}{filters}</u:file_object>'


def make_tree(*objects: str, existence: str = "none_exist") -> scap_xml.Element:
    """The tiny data stream with a test for each object."""
    names = [o.partition('id="')[2].partition('"')[0] for o in objects]
    tests = "".join(
        f'<u:file_test {UNIX} id="t-{n}" check_existence="{existence}">'
        f'<u:object object_ref="{n}"/></u:file_test>'
        for n in names
    )
    states = "".join(
        f'<u:file_state {UNIX} id="{name}">{text}</u:file_state>' for name, text in STATES.items()
    )
    document = MINIMAL_DATASTREAM.decode()
    criteria = "".join(f'<o:criterion test_ref="t-{n}"/>' for n in names)
    for old, new in (
        ('<o:criterion test_ref="t3"/>', criteria),
        ("</o:tests>\n", f"{tests}</o:tests>\n"),
        ("</o:objects>\n", f"{LISTS}{''.join(objects)}</o:objects>\n"),
        ("</o:states>\n", f"{states}</o:states>\n<o:variables>{VARIABLES}</o:variables>"),
    ):
        assert old in document
        document = document.replace(old, new, 1)
    return scap_xml.parse_data_stream(document.encode(), "tiny")


def describe(root: scap_xml.Element) -> dict[str, list[str]]:
    """Return id -> object, conditions and states of each file test."""
    return {
        t.get("id", ""): [
            *(t.get(name, "") for name in ("check_existence", "check", "state_operator")),
            *(e.get("object_ref", e.get("state_ref", "")) for e in t),
        ]
        for t in root.iter(oval_lists.UNIX + "file_test")
    }


def added_states(root: scap_xml.Element) -> list[list[str]]:
    """Return the entities of the states of shared searches."""
    return [
        [f"{e.tag.rpartition('}')[2]} {e.get('var_ref', e.text)}" for e in state]
        for state in root.iter(oval_lists.UNIX + "file_state")
        if state.get("id", "").startswith("oval:hardpan-search")
    ]


def test_each_test_requires_the_filters_of_its_object_of_shared_files() -> None:
    root = make_tree(make_object("f1", "link", "user"), make_object("f2", "link", "group", "path"))

    (shared,) = oval_share.share_searches(root)

    assert shared.object_count == 2
    assert len(shared.definition_ids) == 1
    shared_id = "oval:hardpan-search_0:obj:1"
    assert describe(root) == {
        "t-f1": ["any_exist", "all", "OR", shared_id, "user"],
        "t-f2": ["any_exist", "all", "OR", shared_id, "group", "path"],
    }
    # In the order of the schema. Only what every object excludes is excluded, and no names.
    # First the filter that excludes nearly every file.
    assert added_states(root) == [["group_id v-group", "user_id v-user"], ["type symbolic link"]]


def test_list_that_is_part_of_another_stands_for_both() -> None:
    root = make_tree(make_object("f1", "groups"), make_object("f2", "group"))

    assert len(oval_share.share_searches(root)) == 1
    assert added_states(root) == [["group_id v-group"]]


def test_state_that_most_files_have_comes_before_lists_and_names() -> None:
    root = make_tree(
        make_object("f1", "path", "oval:hardpan-first_root", "group"),
        make_object("f2", "path", "oval:hardpan-first_root", "groups"),
    )

    oval_share.share_searches(root)

    assert added_states(root) == [["group_id 0"], ["group_id v-group"], ["filepath ^/sysroot/"]]


def test_searches_by_owner_and_by_group_are_separate_for_several_processes() -> None:
    objects = [
        make_object(f"f{number}", *states, search=search)
        for number, (states, search) in enumerate(
            [
                (("link", "user"), SEARCH),
                (("link", "group"), SEARCH),
                (("link", "groups", "path"), SEARCH),
                (("user",), SEARCH.replace(">/</u:path", ">/usr</u:path")),
                (("group",), SEARCH.replace(">/</u:path", ">/usr</u:path")),
            ]
        )
    ]
    root = make_tree(*objects)

    shared = oval_share.share_searches(root, by_property=True)

    assert [s.object_count for s in shared] == [2, 2]
    used = {test: values[3] for test, values in describe(root).items()}
    assert used == {
        "t-f0": "f0",
        "t-f1": "oval:hardpan-search_0:obj:1",
        "t-f2": "oval:hardpan-search_0:obj:1",
        "t-f3": "oval:hardpan-search_1:obj:1",  # short: one process searches faster for both
        "t-f4": "oval:hardpan-search_1:obj:1",
    }


@pytest.mark.parametrize(
    "objects",
    [
        (make_object("f1", "group"), make_object("f2", "others")),
        (make_object("f1", "user"),),
        (make_object("f1", "user"), make_object("f2", "user")),
        (make_object("f1", "user"), make_object("f2", "path")),
        (make_object("f1", "user"), make_object("f2", "link", "group")),
        (make_object("f1", "user", action="include"), make_object("f2", "group", action="include")),
        (
            make_object("f1", "user"),
            make_object("f2", "group", search=SEARCH.replace(">/</u:path", ">/usr</u:path")),
        ),
        tuple(
            make_object(n, s, search=SEARCH.replace(' recurse_direction="down"', ""))
            for n, s in (("f1", "user"), ("f2", "group"))
        ),
    ],
)
def test_objects_that_keep_other_files_or_cost_little_are_not_changed(
    objects: tuple[str, ...],
) -> None:
    root = make_tree(*objects)
    before = scap_xml.serialize(root)

    assert oval_share.share_searches(root) == ()
    assert scap_xml.serialize(root) == before


def test_objects_of_other_tests_are_not_changed() -> None:
    root = make_tree(
        make_object("f1", "user"), make_object("f2", "group"), existence="at_least_one_exists"
    )

    assert oval_share.share_searches(root) == ()
