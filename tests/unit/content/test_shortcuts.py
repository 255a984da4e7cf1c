from hardpan.scanners.content import shortcuts, xml
from tests.unit.content.tiny import TINY

UNIX = 'xmlns:u="http://oval.mitre.org/XMLSchema/oval-definitions-5#unix"'
TEST = f'<u:file_test {UNIX} id="t9" check_existence="none_exist"><u:object object_ref="o9"/>'
FILES = f"""<u:file_object {UNIX} id="o9"><u:path>/</u:path><o:filter action="exclude">s9</o:filter>
<o:filter action="exclude">s1</o:filter></u:file_object>"""
KNOWN = f"""<u:file_state {UNIX} id="s9">
<u:group_id datatype="int" var_check="at least one" var_ref="oval:x-gids:var:1"/></u:file_state>"""
CRITERION = '<o:criterion test_ref="t3"/>'


def tree(
    *, test: str = TEST, files: str = FILES, known: str = KNOWN, criterion: str = ""
) -> xml.Element:
    """The tiny data stream with a rule that every file's group is one of a list."""
    made = TINY.decode()
    made = made.replace(CRITERION, criterion or '<o:criterion test_ref="t9"/>')
    made = made.replace("</o:tests>\n", f"{test}</u:file_test></o:tests>\n", 1)
    made = made.replace("</o:objects>\n", f"{files}</o:objects>\n", 1)
    made = made.replace("</o:states>\n", f"{known}</o:states>\n", 1)
    return xml.load(made.encode(), "tiny")


def test_what_belongs_to_0_is_left_out_first_and_0_is_tested_apart() -> None:
    root = tree()

    assert shortcuts.shorten(root) == 1

    found = next(root.iter(shortcuts.UNIX + "file_object"))
    filters = [f.text for f in found.iter(xml.OVAL + "filter")]
    assert filters == ["oval:hardpan-group_id_zero:ste:1", "s9", "s1"]
    both = next(c for c in root.iter(xml.OVAL + "criteria") if c.get("operator") == "AND")
    assert [c.get("test_ref") for c in both] == ["t9", "oval:hardpan-x-gids_has_zero:tst:1"]
    guard = next(root.iter(shortcuts.INDEPENDENT + "variable_object"))
    assert guard[0].text == "oval:x-gids:var:1"
    value = next(root.iter(shortcuts.INDEPENDENT + "value"))
    assert (value.text, value.get("entity_check")) == ("0", "at least one")


def test_two_objects_over_one_list_share_a_guard() -> None:
    second = FILES.replace("o9", "o8")
    other = TEST.replace("t9", "t8").replace("o9", "o8") + "</u:file_test>" + TEST
    both = '<o:criterion test_ref="t9"/><o:criterion test_ref="t8"/>'
    root = tree(files=FILES + second, test=other, criterion=both)

    assert shortcuts.shorten(root) == 2
    assert len(list(root.iter(shortcuts.INDEPENDENT + "variable_test"))) == 1
    assert len(list(root.iter(shortcuts.UNIX + "file_state"))) == 2


def unchanged(root: xml.Element) -> bool:
    """Whether ``shorten`` leaves the tree as it is."""
    before = xml.save(root)
    return shortcuts.shorten(root) == 0 and xml.save(root) == before


def test_where_the_short_way_might_answer_otherwise_nothing_changes() -> None:
    existing = TEST.replace("none_exist", "at_least_one_exists")
    judged = TEST + '<u:state state_ref="s1"/>'
    included = FILES.replace('action="exclude">s9', 'action="include">s9')
    every = KNOWN.replace("at least one", "all")
    other = KNOWN.replace("<u:group_id ", '<u:group_id operation="not equal" ')
    more = KNOWN.replace("</u:file_state>", "<u:type>regular</u:type></u:file_state>")
    negated = '<o:criterion test_ref="t9" negate="true"/>'
    in_a_set = FILES + "<o:o id='o7'><o:object_reference>o9</o:object_reference></o:o>"

    assert unchanged(tree(test=existing))
    assert unchanged(tree(test=judged))
    assert unchanged(tree(files=included))
    assert unchanged(tree(known=every))
    assert unchanged(tree(known=other))
    assert unchanged(tree(known=more))
    assert unchanged(tree(criterion=negated))
    assert unchanged(tree(files=in_a_set))
    assert unchanged(tree(criterion="<o:criterion test_ref='t1'/>"))
