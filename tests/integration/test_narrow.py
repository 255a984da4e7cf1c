"""A narrowed walk finds what the content's own walk finds, on a real system."""

import re
from pathlib import Path

import pytest

from hardpan.events import silent
from scanners.content import datastream, xml
from scanners.content.benchmark import RULE_PREFIX
from scanners.content.derive import derive
from scanners.content.prepare import prepare
from tests.integration.conftest import CACHE
from tests.integration.lab_host import LabHost

pytestmark = pytest.mark.integration

RULE = f"{RULE_PREFIX}file_permissions_ungroupowned"
TESTS = ("test_file_permissions_ungroupowned:tst", "test_file_permissions_ungroupowned_with_usrlib")
FOREIGN, IN_USRLIB = 61234, 61235


def results(host: LabHost, folder: str, data: bytes) -> dict[str, str]:
    """Both tests of the rule -> their result, and what the wider one collected."""
    place = host.root / folder
    place.mkdir()
    (place / "ds.xml").write_bytes(data)
    argv = f"oscap xccdf eval --profile stig --rule {RULE} --oval-results --skip-validation ds.xml"
    host.run(f"cd /{folder} && {argv}", ok=(0, 2), timeout_s=300)
    told = "".join(p.read_text("utf-8") for p in place.glob("*result*.xml"))
    found = dict(re.findall(r'<test test_id="oval:ssg-([^"]+):1"[^>]* result="([^"]+)"', told))
    return {name: value for name, value in found.items() if name.startswith(TESTS)}


@pytest.mark.parametrize(
    ("strangers", "ends"),
    [((IN_USRLIB,), ["false", "true"]), ((FOREIGN, IN_USRLIB), ["false", "false"])],
)
def test_both_walks_end_as_in_the_whole_content(
    host: LabHost, strangers: tuple[int, ...], ends: list[str]
) -> None:
    source = datastream.find("rhel9", cache=CACHE, emit=silent)
    root = xml.load(source.data, source.path.name)
    derive(root, source.path.name)
    (part,) = (p for p in prepare(source, "stig").parts if RULE in p.rule_ids)
    host.run("dnf -q -y install openscap-scanner")
    Path(host.root / "usr/lib/group").write_text(f"brought:x:{IN_USRLIB}:\n")
    for gid in strangers:
        host.run(f"touch /opt/of-{gid} && chgrp {gid} /opt/of-{gid}")

    whole = results(host, "whole", xml.save(root))
    narrowed = results(host, "narrowed", part.data)

    assert [whole[name] for name in sorted(whole)] == ends
    assert narrowed == whole
