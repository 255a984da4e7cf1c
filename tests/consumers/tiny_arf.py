"""A small ARF: the real oscap evaluates content of two rules."""

from pathlib import Path

from hardpan.core.process import run

_OVAL = """<?xml version="1.0" encoding="UTF-8"?>
<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5"
  xmlns:oval="http://oval.mitre.org/XMLSchema/oval-common-5"
  xmlns:ind="http://oval.mitre.org/XMLSchema/oval-definitions-5#independent">
 <generator><oval:schema_version>5.11</oval:schema_version>
  <oval:timestamp>2026-11-21T00:00:00</oval:timestamp></generator>
 <definitions>
  <definition class="compliance" id="oval:tiny:def:1" version="1">
   <metadata><title>there</title><description>there</description></metadata>
   <criteria><criterion test_ref="oval:tiny:tst:1" comment="the file is there"/></criteria>
  </definition>
  <definition class="compliance" id="oval:tiny:def:2" version="1">
   <metadata><title>not there</title><description>not there</description></metadata>
   <criteria><criterion test_ref="oval:tiny:tst:1" comment="no file" negate="true"/></criteria>
  </definition>
 </definitions>
 <tests>
  <ind:textfilecontent54_test id="oval:tiny:tst:1" version="1" check="all"
    comment="os-release names itself" check_existence="at_least_one_exists">
   <ind:object object_ref="oval:tiny:obj:1"/>
  </ind:textfilecontent54_test>
 </tests>
 <objects>
  <ind:textfilecontent54_object id="oval:tiny:obj:1" version="1">
   <ind:filepath>/etc/os-release</ind:filepath>
   <ind:pattern operation="pattern match">^NAME=(.+)$</ind:pattern>
   <ind:instance datatype="int">1</ind:instance>
  </ind:textfilecontent54_object>
 </objects>
</oval_definitions>
"""
_XCCDF = """<?xml version="1.0" encoding="UTF-8"?>
<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2"
  id="xccdf_org.tiny_benchmark_t" resolved="1">
 <status date="2026-11-21">accepted</status><title>Tiny</title><version>1</version>
 <Profile id="xccdf_org.tiny_profile_all"><title>All</title>
  <select idref="xccdf_org.tiny_rule_a" selected="true"/>
  <select idref="xccdf_org.tiny_rule_b" selected="true"/>
 </Profile>
 <Rule id="xccdf_org.tiny_rule_a" selected="true" severity="low"><title>There</title>
  <check system="http://oval.mitre.org/XMLSchema/oval-definitions-5">
   <check-content-ref href="oval.xml" name="oval:tiny:def:1"/></check></Rule>
 <Rule id="xccdf_org.tiny_rule_b" selected="true" severity="high"><title>Not there</title>
  <check system="http://oval.mitre.org/XMLSchema/oval-definitions-5">
   <check-content-ref href="oval.xml" name="oval:tiny:def:2"/></check></Rule>
</Benchmark>
"""


def create_arf(folder: Path) -> Path:
    """The ARF of a scan of this machine: one rule passes, one fails."""
    (folder / "oval.xml").write_text(_OVAL, "utf-8")
    (folder / "xccdf.xml").write_text(_XCCDF, "utf-8")
    out = folder / "arf.xml"
    argv = ["oscap", "xccdf", "eval", "--profile", "xccdf_org.tiny_profile_all"]
    run([*argv, "--results-arf", out, "xccdf.xml"], timeout_s=120, cwd=folder, ok=(2,))
    return out
