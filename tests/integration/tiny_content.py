"""A data stream that every Linux host can evaluate in a second: two OVAL rules and a script."""

TINY_PROFILE = "xccdf_org.ssgproject.content_profile_p"
_RULE = "xccdf_org.ssgproject.content_rule_"
_OVAL = "http://oval.mitre.org/XMLSchema/oval-definitions-5"
_SCE = "http://open-scap.org/page/SCE"
_TIME = 'timestamp="2026-01-01T00:00:00"'


def _rule(name: str, severity: str, check: str) -> str:
    return f"""
<Rule id="{_RULE}{name}" selected="false" severity="{severity}">
<title>{name}</title><description>d</description><rationale>r</rationale>
{check}
</Rule>"""


def _oval_check(name: str) -> str:
    return (
        f'<check system="{_OVAL}"><check-content-ref href="oval.xml" name="oval:t.{name}:def:1"/>'
        "</check>"
    )


def _definition(name: str) -> str:
    return f"""
<definition id="oval:t.{name}:def:1" version="1" class="compliance"><metadata>
<title>{name}</title><description>{name}</description></metadata>
<criteria><criterion test_ref="oval:t.{name}:tst:1" comment="{name}"/></criteria></definition>"""


def _test(name: str) -> str:
    return f"""
<file_test xmlns="{_OVAL}#unix" id="oval:t.{name}:tst:1" version="1" check="all"
 check_existence="at_least_one_exists" comment="{name}"><object object_ref="oval:t.{name}:obj:1"/>
</file_test>"""


def _object(name: str, path: str) -> str:
    return f"""
<file_object xmlns="{_OVAL}#unix" id="oval:t.{name}:obj:1" version="1">
<filepath>{path}</filepath></file_object>"""


_SCRIPT = """#!/usr/bin/env bash
[ -r /etc/passwd ] || exit $XCCDF_RESULT_FAIL
exit $XCCDF_RESULT_PASS
"""

TINY_DATA_STREAM = f"""<?xml version="1.0" encoding="UTF-8"?>
<ds:data-stream-collection xmlns:ds="http://scap.nist.gov/schema/scap/source/1.2"
 xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:cat="urn:oasis:names:tc:entity:xmlns:xml:catalog"
 id="scap_org.example_collection_t" schematron-version="1.3">
<ds:data-stream id="scap_org.example_datastream_t" scap-version="1.3" use-case="OTHER">
<ds:checklists>
<ds:component-ref id="scap_org.example_cref_x" xlink:href="#scap_org.example_comp_x"><cat:catalog>
<cat:uri name="oval.xml" uri="#scap_org.example_cref_o"/>
<cat:uri name="script.sh" uri="#scap_org.example_cref_s"/>
</cat:catalog></ds:component-ref></ds:checklists>
<ds:checks>
<ds:component-ref id="scap_org.example_cref_o" xlink:href="#scap_org.example_comp_o"/>
<ds:component-ref id="scap_org.example_cref_s" xlink:href="#scap_org.example_ecomp_s"/>
</ds:checks>
</ds:data-stream>
<ds:component id="scap_org.example_comp_x" {_TIME}>
<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2" id="xccdf_org.example_benchmark_T"
 resolved="1" xml:lang="en-US">
<status date="2026-01-01">accepted</status><title>T</title><description>D</description>
<version>1.0</version>
<Profile id="{TINY_PROFILE}"><title>p</title>
<select idref="{_RULE}one" selected="true"/>
<select idref="{_RULE}two" selected="true"/>
<select idref="{_RULE}script" selected="true"/>
</Profile>
<Group id="xccdf_org.example_group_a"><title>a</title><description>a</description>
{_rule("one", "medium", _oval_check("one"))}
{_rule("two", "high", _oval_check("two"))}
{_rule("script", "low", f'<check system="{_SCE}"><check-content-ref href="script.sh"/></check>')}
</Group>
</Benchmark>
</ds:component>
<ds:component id="scap_org.example_comp_o" {_TIME}>
<oval_definitions xmlns="{_OVAL}" xmlns:oval="http://oval.mitre.org/XMLSchema/oval-common-5">
<generator><oval:product_name>tests</oval:product_name><oval:schema_version>5.11</oval:schema_version>
<oval:timestamp>2026-01-01T00:00:00</oval:timestamp></generator>
<definitions>{_definition("one")}{_definition("two")}</definitions>
<tests>{_test("one")}{_test("two")}</tests>
<objects>{_object("one", "/etc/passwd")}{_object("two", "/etc/absent-file")}</objects>
</oval_definitions>
</ds:component>
<ds:extended-component id="scap_org.example_ecomp_s" {_TIME}>
<s:script xmlns:s="http://open-scap.org/page/SCE_xccdf_stream">{_SCRIPT}</s:script>
</ds:extended-component>
</ds:data-stream-collection>
"""
