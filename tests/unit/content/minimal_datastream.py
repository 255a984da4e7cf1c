"""A data stream in the small: two profiles, five rules, OVAL with and without references."""

RULE = "xccdf_org.ssgproject.content_rule_"
PROFILE = "xccdf_org.ssgproject.content_profile_"

_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<ds:data-stream-collection xmlns:ds="http://scap.nist.gov/schema/scap/source/1.2"
 xmlns:cat="urn:oasis:names:tc:entity:xmlns:xml:catalog"
 xmlns:x="http://checklists.nist.gov/xccdf/1.2" xmlns:xlink="http://www.w3.org/1999/xlink"
 xmlns:o="http://oval.mitre.org/XMLSchema/oval-definitions-5"
 xmlns:cpe-dict="http://cpe.mitre.org/dictionary/2.0" id="scap_c">
 <ds:data-stream id="scap_ds">
  <ds:dictionaries><ds:component-ref id="cref_dict" xlink:href="#comp_dict"><cat:catalog>
   <cat:uri name="cpe-oval.xml" uri="#cref_cpe"/></cat:catalog></ds:component-ref></ds:dictionaries>
  <ds:checklists><ds:component-ref id="cref_x" xlink:href="#comp_x"><cat:catalog>
   <cat:uri name="oval.xml" uri="#cref_oval"/><cat:uri name="ocil.xml" uri="#cref_ocil"/>
   <cat:uri name="a.sh" uri="#cref_sh"/></cat:catalog></ds:component-ref></ds:checklists>
  <ds:checks><ds:component-ref id="cref_oval" xlink:href="#comp_oval"/>
   <ds:component-ref id="cref_ocil" xlink:href="#comp_ocil"/>
   <ds:component-ref id="cref_cpe" xlink:href="#comp_cpe"/>
   <ds:component-ref id="cref_sh" xlink:href="#ecomp_sh"/></ds:checks>
 </ds:data-stream>
 <ds:component id="comp_dict"><cpe-dict:cpe-list>
  <cpe-dict:cpe-item name="cpe:/o:redhat:enterprise_linux:9"><cpe-dict:title>RHEL 9</cpe-dict:title>
   <cpe-dict:check system="http://oval.mitre.org/XMLSchema/oval-definitions-5"
    href="cpe-oval.xml">oval:rhel9:def:1</cpe-dict:check></cpe-dict:cpe-item>
 </cpe-dict:cpe-list></ds:component>
"""


def _rule(name: str, *, more: str = "", oval: str = "d1", severity: str = "medium") -> str:
    return f"""
   <x:Rule id="{RULE}{name}" selected="false" severity="{severity}">
    <x:title>Title of {name}</x:title><x:description>Do {name}.</x:description>
    <x:reference href="https://www.cyber.mil/stigs/srg-stig-tools/">SV-1r1_rule</x:reference>
    <x:reference href="https://x/?_dl_facet_stigs=operating-systems%2Cunix-linux">RHEL-09-1</x:reference>
    <x:reference href="http://nvlpubs.nist.gov/NIST.SP.800-53r4.pdf">CM-6(a)</x:reference>
    <x:rationale>Because.</x:rationale>{more}
    <x:ident system="https://ncp.nist.gov/cce">CCE-80000-1</x:ident>
    <x:fix system="urn:xccdf:fix:script:sh" id="{name}">set <x:sub idref="v_limit" use="legacy"/>!
</x:fix>
    <x:check system="http://open-scap.org/page/SCE"><x:check-content-ref href="a.sh"/></x:check>
    <x:check system="http://oval.mitre.org/XMLSchema/oval-definitions-5">
     <x:check-export export-name="var1" value-id="v_limit"/>
     <x:check-content-ref href="oval.xml" name="{oval}"/></x:check>
    <x:check system="http://scap.nist.gov/schema/ocil/2">
     <x:check-content-ref href="ocil.xml" name="q1"/></x:check>
   </x:Rule>"""


def _profile(name: str, rules: tuple[str, ...]) -> str:
    lines = "".join(f'<x:select idref="{RULE}{r}" selected="true"/>\n' for r in rules)
    refined = '<x:refine-value idref="v_limit" selector="strict"/>'
    return f'<x:Profile id="{PROFILE}{name}"><x:title>{name}</x:title>{lines}{refined}</x:Profile>'


MINIMAL_DATASTREAM = (
    _HEAD
    + """ <ds:component id="comp_x"><x:Benchmark id="xccdf_b" resolved="true">
  <x:status>draft</x:status><x:title>Tiny</x:title><x:description>Tiny.</x:description>
  <x:notice id="terms">Terms.</x:notice>
  <x:platform idref="cpe:/o:redhat:enterprise_linux:9"/><x:version>0.1</x:version>
  """
    + _profile("stig", ("one", "two", "three", "four"))
    + _profile("other", ("five",))
    + """
  <x:Value id="v_limit"><x:title>L</x:title><x:value>9</x:value>
   <x:value selector="strict">3</x:value></x:Value>
  <x:Group id="g_a"><x:title>A</x:title><x:description>A.</x:description>"""
    + _rule("one", severity="high")
    + _rule("two", oval="d2", more=f'<x:requires idref="{RULE}one"/>')
    + _rule("three", oval="d2", more=f'<x:conflicts idref="{RULE}five"/>')
    + """
  </x:Group>
  <x:Group id="g_b"><x:title>B</x:title><x:description>B.</x:description>"""
    + _rule("four")
    + """
  </x:Group>
  <x:Group id="g_c"><x:title>C</x:title><x:description>C.</x:description>"""
    + _rule("five", oval="d3")
    + """
  </x:Group>
 </x:Benchmark></ds:component>
 <ds:component id="comp_oval"><o:oval_definitions><o:definitions>
   <o:definition id="d1"><o:criteria><o:criterion test_ref="t1"/></o:criteria></o:definition>
   <o:definition id="d2"><o:criteria><o:extend_definition definition_ref="d1"/></o:criteria>
   </o:definition>
   <o:definition id="d3"><o:criteria><o:criterion test_ref="t3"/></o:criteria></o:definition>
  </o:definitions><o:tests><o:t id="t1"><o:object object_ref="o1"/><o:state state_ref="s1"/></o:t>
   <o:t id="t3"><o:object object_ref="o3"/></o:t></o:tests>
  <o:objects><o:o id="o1"><o:filter>s2</o:filter></o:o><o:o id="o3"/></o:objects>
  <o:states><o:s id="s1"/><o:s id="s2"/><o:s id="s3"/></o:states>
  <o:variables><o:external_variable id="var1"/><o:external_variable id="var3"/></o:variables>
 </o:oval_definitions></ds:component>
 <ds:component id="comp_ocil"><ocil/></ds:component>
 <ds:component id="comp_cpe"><o:oval_definitions><o:definitions>
  <o:definition id="oval:rhel9:def:1"/></o:definitions><o:tests/><o:objects/><o:states/>
 </o:oval_definitions></ds:component>
 <ds:extended-component id="ecomp_sh"><script/></ds:extended-component>
</ds:data-stream-collection>
"""
).encode()
