"""OVAL objects that share a search keep the same files as in the original content."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from hardpan.profiles.schema.ssg import RULE_PREFIX
from hardpan.scanners.content import datastream
from hardpan.scanners.content.benchmark import expand_profile_id
from hardpan.scanners.content.oval_dedup import merge_duplicates
from hardpan.scanners.content.oval_optimize import filter_root_owned_first
from hardpan.scanners.content.oval_share import share_searches
from hardpan.scanners.content.scap_xml import XCCDF, create_parser, parse_data_stream, serialize
from hardpan.scanners.content.tailor import tailor
from tests.benchmarks.full_arf import remove_platforms
from tests.integration.overlay_host import HostSpec, OverlayHost, overlay_host

pytestmark = pytest.mark.integration

_RULES = tuple(
    RULE_PREFIX + name
    for name in (
        "file_permissions_ungroupowned",
        "no_files_unowned_by_user",
        "dir_permissions_library_dirs",
        "dir_ownership_library_dirs",
        "dir_group_ownership_library_dirs",
        "file_permissions_library_dirs",
        "file_ownership_library_dirs",
        "root_permissions_syslibrary_files",
    )
)
_LARGE_FOLDERS = (
    *("/opt", "/usr/include", "/usr/lib/google-cloud-sdk", "/usr/lib/node_modules", "/usr/local"),
    *("/usr/lib/python3", "/usr/lib/python3.11", "/usr/lib/jvm", "/usr/lib/postgresql"),
    *(f"/usr/share/{n}" for n in ("cmake-3.25", "doc", "icons", "locale", "man", "perl", "vim")),
    "/var/lib",
)
_FAULTS = """
mkdir -p /sysroot /srv/data /usr/lib/d1 /usr/lib/d2 /usr/lib/d3
touch /srv/data/user /srv/data/group /srv/data/both /srv/data/known /usr/lib/d1/a.so /usr/lib/b.so.1
touch /usr/lib/c.so
chown 4242:0 /srv/data/user; chown 0:4343 /srv/data/group; chown 4242:4343 /srv/data/both
chown 1:1 /srv/data/known
grep -q :1000: /etc/group || echo regular:x:1000: >> /etc/group
touch /srv/data/regular; chown 0:1000 /srv/data/regular
touch /sysroot/a; chown 4242:4343 /sysroot/a
chown daemon /usr/lib/d1 /usr/lib/d1/a.so; chgrp bin /usr/lib/d2
chgrp bin /usr/lib/b.so.1; chmod 777 /usr/lib/d3 /usr/lib/c.so
"""
_REPAIRS = (
    "rm -rf /srv/data /sysroot /usr/lib/d1 /usr/lib/d2 /usr/lib/d3 /usr/lib/b.so.1 /usr/lib/c.so"
)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    verdicts: dict[str, str]
    files: dict[str, set[str]]
    """Test id -> files that its object has."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OverlayHost]:
    spec = HostSpec(removed=_LARGE_FOLDERS, root_device="/dev/mapper/root")
    with overlay_host(tmp_path_factory.mktemp("shared") / "host", spec) as started:
        yield started


def test_shared_searches_keep_the_same_files(host: OverlayHost) -> None:
    source = datastream.find("rhel9")
    root = parse_data_stream(source.data, source.name)
    remove_platforms(root)
    tailor(root, expand_profile_id("stig"), source.name, only=_RULES, has_unselected=False)
    original = serialize(root)
    merge_duplicates(root)
    filter_root_owned_first(root)
    searches = share_searches(root)
    shared = serialize(root)

    assert len(searches) == 9
    for script, verdict in ((_FAULTS, "fail"), (_REPAIRS, "pass")):
        host.run(script)
        expected, changed = _evaluate(host, original), _evaluate(host, shared)
        assert expected.verdicts == dict.fromkeys(_RULES, verdict)
        assert changed == expected
        searched = set().union(*expected.files.values())
        assert ("/sysroot/a" in searched) is (verdict == "fail")


def _evaluate(host: OverlayHost, data: bytes) -> _Evaluation:
    folder = Path(f"/proc/{host.pid}/root/tmp")
    (folder / "ds.xml").write_bytes(data)
    host.run(
        f"cd /tmp && oscap xccdf eval --skip-validation --profile {expand_profile_id('stig')} "
        "--results-arf arf.xml ds.xml",
        ok=(0, 2),
        timeout_s=240,
    )
    arf = etree.parse(folder / "arf.xml", create_parser()).getroot()
    *_, result = arf.iter(XCCDF + "TestResult")
    verdicts = {
        r.get("idref", ""): r.findtext(XCCDF + "result", "")
        for r in result.iter(XCCDF + "rule-result")
    }
    names = {
        item.get("id", ""): "/".join(
            item.findtext("{*}" + tag) or "" for tag in ("path", "filename")
        )
        for item in arf.iter("{*}file_item")
    }
    files = {
        test.get("test_id", ""): {
            names[item_id]
            for item_id in (i.get("item_id", "") for i in _find_violations(test))
            if item_id in names
        }
        for test in arf.iter("{http://oval.mitre.org/XMLSchema/oval-results-5}test")
        if not test.get("test_id", "").startswith("oval:hardpan-")
    }
    return _Evaluation({k: v for k, v in verdicts.items() if v != "notselected"}, files)


def _find_violations(test: etree._Element) -> list[etree._Element]:
    """Return the tested items that the test does not allow."""
    items = list(test.iter("{*}tested_item"))
    allows_none = test.get("check_existence") == "none_exist"
    return [i for i in items if allows_none or i.get("result") == "false"]
