"""Data streams in the small, whose checks pass or fail on any host."""

from xml.sax.saxutils import escape, quoteattr

NAMESPACE = "xccdf_org.example_"
OVAL_SYSTEM = "http://oval.mitre.org/XMLSchema/oval-definitions-5"
SCE_SYSTEM = "http://open-scap.org/page/SCE"
OCIL_SYSTEM = "http://scap.nist.gov/schema/ocil/2"

TRUE_DEFINITIONS = ("root", "usr", "again")
FALSE_DEFINITIONS = ("absent", "missing")
_PATHS = {"root": "/", "again": "/", "usr": "/usr", "absent": "/absent-1", "missing": "/absent-2"}

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<ds:data-stream-collection xmlns:ds="http://scap.nist.gov/schema/scap/source/1.2"
 xmlns:xlink="http://www.w3.org/1999/xlink"
 xmlns:cat="urn:oasis:names:tc:entity:xmlns:xml:catalog"
 id="scap_org.example_collection_c" schematron-version="1.3">
<ds:data-stream id="scap_org.example_datastream_d" scap-version="1.3" use-case="OTHER">
"""
_OVAL = (
    '<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5"'
    ' xmlns:oval="http://oval.mitre.org/XMLSchema/oval-common-5"><generator>'
    "<oval:product_name>tests</oval:product_name><oval:schema_version>5.11</oval:schema_version>"
    "<oval:timestamp>2026-01-01T00:00:00</oval:timestamp></generator>"
)
_INDEPENDENT = 'xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5#independent"'
_UNIX = 'xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5#unix"'


def item_id(kind: str, name: str) -> str:
    """Return an XCCDF id, e.g. ``xccdf_org.example_rule_r1``."""
    return f"{NAMESPACE}{kind}_{name}"


def element(tag: str, content: str = "", **attributes: str | None) -> str:
    """Return an element. Underscores in names of attributes become hyphens."""
    text = "".join(
        f" {k.replace('_', '-')}={quoteattr(v)}" for k, v in attributes.items() if v is not None
    )
    return f"<{tag}{text}>{content}</{tag}>" if content else f"<{tag}{text}/>"


def definition_id(name: str) -> str:
    """Return the id of an OVAL definition."""
    return f"oval:org.example.{name}:def:1"


def variable_id(name: str) -> str:
    """Return the id of the external variable that a value check reads."""
    return f"oval:org.example.{name}:var:1"


def file_oval(names: tuple[str, ...], variables: tuple[str, ...] = ()) -> str:
    """Return an OVAL document: files that exist or not, and variables that equal ``8``."""
    definitions = tests = objects = states = external = ""
    for name in (*names, *variables):
        definitions += element(
            "definition",
            f"<metadata><title>{name}</title><description>{name}</description></metadata>"
            f'<criteria><criterion test_ref="oval:org.example.{name}:tst:1" comment="a test"/>'
            "</criteria>",
            id=definition_id(name),
            version="1",
            **{"class": "compliance"},
        )
    for name in names:
        tests += (
            f'<file_test {_UNIX} id="oval:org.example.{name}:tst:1" version="1" check="all" '
            f'check_existence="at_least_one_exists" comment="a test">'
            f'<object object_ref="oval:org.example.{name}:obj:1"/></file_test>'
        )
        objects += (
            f'<file_object {_UNIX} id="oval:org.example.{name}:obj:1" version="1">'
            f'<path>{_PATHS[name]}</path><filename xmlns:xsi="http://www.w3.org/2001/'
            'XMLSchema-instance" xsi:nil="true"/></file_object>'
        )
    for name in variables:
        tests += (
            f'<variable_test {_INDEPENDENT} id="oval:org.example.{name}:tst:1" version="1" '
            f'check="all" check_existence="at_least_one_exists" comment="a test">'
            f'<object object_ref="oval:org.example.{name}:obj:1"/>'
            f'<state state_ref="oval:org.example.{name}:ste:1"/></variable_test>'
        )
        objects += (
            f'<variable_object {_INDEPENDENT} id="oval:org.example.{name}:obj:1" version="1">'
            f"<var_ref>{variable_id(name)}</var_ref></variable_object>"
        )
        states += (
            f'<variable_state {_INDEPENDENT} id="oval:org.example.{name}:ste:1" version="1">'
            "<value>8</value></variable_state>"
        )
        external += (
            f'<external_variable id="{variable_id(name)}" version="1" datatype="string" '
            'comment="a value"/>'
        )
    parts = {
        "definitions": definitions,
        "tests": tests,
        "objects": objects,
        "states": states,
        "variables": external,
    }
    return _OVAL + "".join(element(k, v) for k, v in parts.items() if v) + "</oval_definitions>"


def script(exit_status: int) -> str:
    """Return an SCE script with an exit status: 101 is pass, 102 fail."""
    return f"#!/bin/sh\nexit {exit_status}\n"


def data_stream(bench: str, ovals: dict[str, str], scripts: dict[str, str]) -> bytes:
    """Return a source data stream; the keys are the hrefs of checks.

    There is a line break between all elements: OpenSCAP 1.3.7 skips some elements without one.
    """
    names = [*ovals, *scripts]
    uris = "".join(f'<cat:uri name="{n}" uri="#scap_org.example_cref_{n}"/>' for n in names)
    refs = "".join(
        f'<ds:component-ref id="scap_org.example_cref_{n}" '
        f'xlink:href="#scap_org.example_{"comp" if n in ovals else "ecomp"}_{n}"/>'
        for n in names
    )
    index = (
        '<ds:checklists><ds:component-ref id="scap_org.example_cref_x" '
        f'xlink:href="#scap_org.example_comp_x"><cat:catalog>{uris}</cat:catalog>'
        f"</ds:component-ref></ds:checklists><ds:checks>{refs}</ds:checks></ds:data-stream>"
    )
    stamp = 'timestamp="2026-01-01T00:00:00"'
    components = f'<ds:component id="scap_org.example_comp_x" {stamp}>{bench}</ds:component>'
    for name, oval in ovals.items():
        components += (
            f'<ds:component id="scap_org.example_comp_{name}" {stamp}>{oval}</ds:component>'
        )
    text = (_HEAD + index + components).replace("><", ">\n<")
    for name, source in scripts.items():
        text += (
            f'\n<ds:extended-component id="scap_org.example_ecomp_{name}" {stamp}>'
            "<oscap-sce-xccdf-stream:script xmlns:oscap-sce-xccdf-stream="
            '"http://open-scap.org/page/SCE_xccdf_stream">'
            f"{escape(source)}</oscap-sce-xccdf-stream:script></ds:extended-component>"
        )
    return (text + "\n</ds:data-stream-collection>\n").encode()


def benchmark(content: str, *, benchmark_id: str = item_id("benchmark", "B")) -> str:
    """Return a benchmark: profiles, values, groups and rules in the order of the schema."""
    return (
        f'<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2" id="{benchmark_id}" '
        'resolved="1" xml:lang="en-US"><status date="2026-01-01">accepted</status>'
        f"<title>B</title><description>B</description><version>1.0</version>{content}</Benchmark>"
    )
