"""Which walk of the file system is seen to lie within another, and which is not."""

import pytest

from scanners.content import xml
from scanners.content.narrow import narrow_walks

OVAL = """<ds:data-stream-collection xmlns:ds="http://scap.nist.gov/schema/scap/source/1.2"
 xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:cat="urn:oasis:names:tc:entity:xmlns:xml:catalog"
 xmlns:o="http://oval.mitre.org/XMLSchema/oval-definitions-5" xmlns:u="urn:u">
<ds:data-stream id="s"><ds:checklists><ds:component-ref id="r" xlink:href="#x"><cat:catalog>
 <cat:uri name="oval.xml" uri="#q"/></cat:catalog></ds:component-ref></ds:checklists>
 <ds:checks><ds:component-ref id="q" xlink:href="#c"/></ds:checks></ds:data-stream>
<ds:component id="c"><o:oval_definitions>
<o:objects>
 <u:file_object id="wide"><u:behaviors recurse_direction="down"/><u:path>/</u:path>
  <o:filter action="exclude">known</o:filter><o:filter action="exclude">sysroot</o:filter>
 </u:file_object>
 <u:file_object id="narrow"><u:behaviors recurse_direction="down"/><u:path>/</u:path>
  <o:filter action="exclude">known_more</o:filter><o:filter action="exclude">sysroot</o:filter>
 </u:file_object>
 <u:text id="etc"><u:filepath>/etc/group</u:filepath></u:text>
 <u:text id="lib"><u:filepath>/usr/lib/group</u:filepath></u:text>
 <u:text id="both"><o:set><o:object_reference>etc</o:object_reference>
  <o:object_reference>lib</o:object_reference></o:set></u:text>
</o:objects>
<o:states>
 <u:s id="known"><u:gid var_check="at least one" var_ref="few"/></u:s>
 <u:s id="known_more"><u:gid var_check="at least one" var_ref="many"/></u:s>
 <u:s id="sysroot"><u:path>/sysroot</u:path></u:s>
</o:states>
<o:variables>
 <o:local_variable id="few" datatype="int">
  <o:object_component object_ref="etc" item_field="sub"/></o:local_variable>
 <o:local_variable id="many" datatype="int">
  <o:object_component object_ref="both" item_field="sub"/></o:local_variable>
</o:variables></o:oval_definitions></ds:component></ds:data-stream-collection>"""


def test_a_walk_within_another_becomes_a_filter_over_it() -> None:
    root = xml.load(OVAL.encode(), "tiny")

    assert narrow_walks(root) == 1

    narrow = next(e for e in root.iter("{*}file_object") if e.get("id") == "narrow")
    assert [(e.tag.rpartition("}")[2], (e.text or "").strip()) for e in narrow.iter()][1:] == [
        ("set", ""),
        ("object_reference", "wide"),
        ("filter", "known_more"),
    ]
    assert narrow_walks(root) == 0


NOT_WITHIN = [
    # Another place, another kind of filter, a second difference.
    ('"narrow"><u:behaviors recurse_direction="down"/><u:path>', '"narrow"><u:behaviors/><u:path>'),
    ('exclude">known_more', 'include">known_more'),
    ('exclude">known<', 'include">known<'),
    ('known_more</o:filter><o:filter action="exclude">sysroot', "known_more"),
    # A state that excludes less, or what cannot be told.
    ('<u:gid var_check="at least one" var_ref="many"/>', '<u:gid var_check="all" var_ref="many"/>'),
    ('<u:gid var_check="at least one" var_ref="many"/>', '<u:uid var_check="all" var_ref="many"/>'),
    ('object_ref="both" item_field="sub"', 'object_ref="lib" item_field="sub"'),
    ('object_ref="both" item_field="sub"', 'object_ref="both" item_field="text"'),
    ('id="many" datatype="int"', 'id="many" datatype="string"'),
    ("<o:set>", '<o:set set_operator="INTERSECTION">'),
    ("<o:object_reference>etc<", "<o:object_reference>other<"),
    ("etc</o:object_reference>", 'etc</o:object_reference><o:filter action="exclude">x</o:filter>'),
]


@pytest.mark.parametrize(("was", "now"), NOT_WITHIN)
def test_a_walk_that_is_not_seen_to_lie_within_stays(was: str, now: str) -> None:
    assert was in OVAL
    content = OVAL.replace(was, now)
    root = xml.load(content.encode(), "tiny")

    assert narrow_walks(root) == 0
    assert xml.save(root) == xml.save(xml.load(content.encode(), "tiny"))
