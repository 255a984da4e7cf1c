from hardpan.scanners.content import oval_lists, oval_optimize, scap_xml
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM

UNIX = 'xmlns:u="http://oval.mitre.org/XMLSchema/oval-definitions-5#unix"'
TEST = (
    f'<u:file_test {UNIX} id="t9" check_existence="none_exist"><u:object object_ref="oval:ssg-o9"/>'
)
FILES = f"""<u:file_object {UNIX} id="oval:ssg-o9"><u:behaviors recurse_direction="down"/>
<u:path>/</u:path><u:filename operation="not equal">/</u:filename>
<o:filter action="exclude">s9</o:filter>
<o:filter action="exclude">s1</o:filter></u:file_object>"""
OWNER_STATE = f"""<u:file_state {UNIX} id="s9">
<u:group_id datatype="int" var_check="at least one" var_ref="oval:x-gids:var:1"/></u:file_state>"""
CRITERION = '<o:criterion test_ref="t3"/>'


def make_tree(
    *, test: str = TEST, files: str = FILES, owner_state: str = OWNER_STATE, criterion: str = ""
) -> scap_xml.Element:
    """The tiny data stream with a rule that every file's group is one of a list."""
    document = MINIMAL_DATASTREAM.decode()
    document = document.replace(CRITERION, criterion or '<o:criterion test_ref="t9"/>')
    document = document.replace("</o:tests>\n", f"{test}</u:file_test></o:tests>\n", 1)
    document = document.replace("</o:objects>\n", f"{files}</o:objects>\n", 1)
    document = document.replace("</o:states>\n", f"{owner_state}</o:states>\n", 1)
    return scap_xml.parse_data_stream(document.encode(), "tiny")


def test_root_owned_files_are_filtered_first_and_root_is_tested_separately() -> None:
    root = make_tree()

    assert oval_optimize.filter_root_owned_first(root) == 1

    file_object = next(root.iter(oval_lists.UNIX + "file_object"))
    filters = [f.text for f in file_object.iter(scap_xml.OVAL + "filter")]
    assert filters == ["oval:hardpan-first_group_id_zero:ste:1", "s9", "s1"]
    conjunction = next(
        c for c in root.iter(scap_xml.OVAL + "criteria") if c.get("operator") == "AND"
    )
    assert [c.get("test_ref") for c in conjunction] == ["t9", "oval:hardpan-x-gids_has_zero:tst:1"]
    guard = next(root.iter(oval_lists.INDEPENDENT + "variable_object"))
    assert guard[0].text == "oval:x-gids:var:1"
    value = next(root.iter(oval_lists.INDEPENDENT + "value"))
    assert (value.text, value.get("entity_check")) == ("0", "at least one")


def test_objects_with_the_same_list_share_a_guard() -> None:
    second = FILES.replace("oval:ssg-o9", "oval:ssg-o8")
    other = TEST.replace("t9", "t8").replace("oval:ssg-o9", "oval:ssg-o8") + "</u:file_test>" + TEST
    criteria = '<o:criterion test_ref="t9"/><o:criterion test_ref="t8"/>'
    root = make_tree(files=FILES + second, test=other, criterion=criteria)

    assert oval_optimize.filter_root_owned_first(root) == 2
    assert len(list(root.iter(oval_lists.INDEPENDENT + "variable_test"))) == 1
    assert len(list(root.iter(oval_lists.UNIX + "file_state"))) == 2


def is_unchanged(root: scap_xml.Element) -> bool:
    """Whether ``shorten`` leaves the tree as it is."""
    before = scap_xml.serialize(root)
    return oval_optimize.filter_root_owned_first(root) == 0 and scap_xml.serialize(root) == before


def test_unsafe_optimizations_are_not_applied() -> None:
    existing = TEST.replace("none_exist", "at_least_one_exists")
    with_state = TEST + '<u:state state_ref="s1"/>'
    included = FILES.replace('action="exclude">s9', 'action="include">s9')
    every = OWNER_STATE.replace("at least one", "all")
    other = OWNER_STATE.replace("<u:group_id ", '<u:group_id operation="not equal" ')
    more = OWNER_STATE.replace("</u:file_state>", "<u:type>regular</u:type></u:file_state>")
    negated = '<o:criterion test_ref="t9" negate="true"/>'
    in_a_set = FILES + "<o:o id='o7'><o:object_reference>oval:ssg-o9</o:object_reference></o:o>"

    shallow = FILES.replace("<u:behaviors ", '<u:behaviors max_depth="1" ')
    below = FILES.replace("<u:path>/<", "<u:path>/home<")

    assert is_unchanged(make_tree(files=shallow))
    assert is_unchanged(make_tree(files=below))
    assert is_unchanged(make_tree(test=existing))
    assert is_unchanged(make_tree(test=with_state))
    assert is_unchanged(make_tree(files=included))
    assert is_unchanged(make_tree(owner_state=every))
    assert is_unchanged(make_tree(owner_state=other))
    assert is_unchanged(make_tree(owner_state=more))
    assert is_unchanged(make_tree(criterion=negated))
    assert is_unchanged(make_tree(files=in_a_set))
    assert is_unchanged(make_tree(criterion="<o:criterion test_ref='t1'/>"))


def test_objects_without_every_file_are_not_optimized() -> None:
    """They may have no file of group 0: without 0 in the list, the original check passes."""
    by_name = FILES.replace('operation="not equal">/<', ">.rhosts<")
    by_pattern = FILES.replace('operation="not equal">/<', r'operation="pattern match">.*\.sh<')
    of_a_site = FILES.replace("ssg-o9", "site-o9")

    assert is_unchanged(make_tree(files=by_name))
    assert is_unchanged(make_tree(files=by_pattern))
    assert is_unchanged(make_tree(files=of_a_site, test=TEST.replace("ssg-o9", "site-o9")))
