"""Damaged lists of groups (comps.xml): refused, or read with plain names and known kinds."""

from pathlib import Path

from hardpan.builder.dnf.comps import merge_comps, parse_comps
from tests.fuzz.target import FuzzTarget, mutate_samples

SAMPLE = b"""\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps>
  <group>
    <id>core</id>
    <name>Core</name>
    <name xml:lang="de">Kern</name>
    <packagelist>
      <packagereq type="mandatory">bash</packagereq>
      <packagereq type="optional">dracut-config-generic</packagereq>
      <packagereq type="conditional" requires="dnf">dnf-plugins-core</packagereq>
    </packagelist>
  </group>
  <environment>
    <id>minimal-environment</id>
    <name>Minimal Install</name>
    <grouplist><groupid>core</groupid></grouplist>
    <optionlist><groupid default="true">standard</groupid></optionlist>
  </environment>
</comps>
"""
_PIECES = (
    *(bytes([c]) for c in b"<>/&;\"'=!?-[]: \n\0\x1b\xff"),
    *(
        b"<!DOCTYPE comps [",
        b'<!ENTITY a "b">',
        b"&a;",
        b"&#27;",
        b"&#x202e;",
        b"<![CDATA[",
        b"]]>",
    ),
    *(b"<group>", b"</group>", b"<id/>", b"<packagereq>", b"<packagelist>", b"<environment>"),
    *(b"<!--x-->", b"<?x y?>", b'encoding="utf-16"', b'xmlns="x"', b"\xef\xbb\xbf", b"<a>" * 300),
)


def target(folder: Path) -> FuzzTarget:
    """Lists with damaged bytes; what is read can be merged and searched."""

    def check(data: bytes) -> str:
        comps = parse_comps([data], "comps.xml")
        merged = merge_comps([comps, comps])
        for group in comps.groups:
            # ``GroupMember.kind`` is a Literal, which nothing checks while the program runs.
            assert {m.kind for m in group.members} <= {
                "mandatory",
                "default",
                "optional",
                "conditional",
            }
            assert merged.find_group(group.id) is not None
        for environment in comps.environments:
            assert merged.find_environment(environment.id) is not None
        return "accepted" if comps.groups else "accepted as empty"

    return FuzzTarget(
        name="comps",
        inputs=mutate_samples([SAMPLE], _PIECES) | mutate_samples([SAMPLE]),
        check=check,
    )
