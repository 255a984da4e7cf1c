"""A data stream of the form of DISA's SCAP benchmarks, with two requirements."""

from tests.content_differential.stream import (
    OVAL_SYSTEM,
    TRUE_DEFINITIONS,
    data_stream,
    definition_id,
    element,
    file_oval,
)

DISA = "xccdf_mil.disa.stig_"
PROFILE = f"{DISA}profile_MAC-1_Classified"
RULES = (f"{DISA}rule_SV-257777r991589_rule", f"{DISA}rule_SV-257778r991589_rule")
_TITLE = "RHEL 9 must be supported"
_DISCUSSION = "&lt;VulnDiscussion&gt;An old release is not fixed.&lt;/VulnDiscussion&gt;"


def disa_stream() -> bytes:
    """Return the stream; its profile selects the groups, as DISA's do."""
    groups = ("V-257777", "V-257778")
    selects = "".join(element("select", idref=f"{DISA}group_{g}", selected="true") for g in groups)
    content = (
        '<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'id="{DISA}benchmark_RHEL_9_STIG" xml:lang="en"><status date="2026-07-01">accepted'
        "</status><title>Red Hat Enterprise Linux 9 STIG SCAP Benchmark</title>"
        '<description>B</description><notice id="terms-of-use" xml:lang="en"/>'
        '<plain-text id="release-info">Release: 2.9 Benchmark Date: 01 Jul 2026</plain-text>'
        "<version>002.009</version>"
        f'<Profile id="{PROFILE}"><title>I - Mission Critical Classified</title>{selects}</Profile>'
        + "".join(map(_group, groups, RULES, TRUE_DEFINITIONS))
        + "</Benchmark>"
    )
    return data_stream(content, {"t-oval.xml": file_oval(TRUE_DEFINITIONS)}, {})


def _group(number: str, rule_id: str, definition: str) -> str:
    reference = element("check-content-ref", href="t-oval.xml", name=definition_id(definition))
    return (
        f'<Group id="{DISA}group_{number}"><title>SRG-OS-000480-GPOS-00227</title>'
        f'<Rule id="{rule_id}" weight="10.0" severity="high"><version>RHEL-09-{number[-6:]}'
        f"</version><title>{_TITLE}</title><description>{_DISCUSSION}</description>"
        "<reference><dc:identifier>5551</dc:identifier></reference>"
        '<ident system="http://cyber.mil/cci">CCI-000366</ident>'
        '<fixtext fixref="F-1">Update the system.</fixtext><fix id="F-1"/>'
        + element("check", reference, system=OVAL_SYSTEM)
        + "</Rule></Group>"
    )
