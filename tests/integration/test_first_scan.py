"""``hardpan scan USER@HOST`` and nothing else, on hosts that somebody else installed."""

import json
import shlex
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hardpan.core.errors import Exit
from hardpan.scanners.content import datastream
from hardpan.scanners.content.prepare import prepare
from tests.integration.el_host import el_host_spec
from tests.integration.new_user import NewUser
from tests.integration.overlay_host import HostSpec, OverlayHost, overlay_host

pytestmark = pytest.mark.integration

_NOT_A_CONTAINER = ("/.dockerenv", "/run/.containerenv")
"""The content evaluates half of its rules only where these files are absent."""

_LARGE_FOLDERS = (
    *("/opt", "/usr/include", "/usr/lib/google-cloud-sdk", "/usr/lib/node_modules"),
    *("/usr/share/doc", "/usr/share/locale", "/usr/share/man"),
)
"""Rules that walk all file systems need a third of the time without them."""

_RESULT = "{http://checklists.nist.gov/xccdf/1.2}rule-result"


def test_stock_debian_host_is_scanned_without_options(tmp_path: Path) -> None:
    # linux-base comes with the kernel of a machine; this one has none.
    spec = HostSpec(packages=("linux-base", "sudo"), removed=(*_NOT_A_CONTAINER, *_LARGE_FOLDERS))

    with overlay_host(tmp_path / "host", spec) as host:
        findings = scan_and_verify(tmp_path, host)
        assert findings["content"]["name"] == "ssg-debian12-ds.xml"
        assert findings["profile"] == "cis_level1_server"
        assert_equals_plain_oscap(host, findings, "debian12")
        assert host.run("command -v rpm; ls -A /root").stdout == "/usr/bin/rpm\n"
    assert find_unchecked(findings) == ["host_signature", "hostfacts", "smoke"]


def test_minimal_el_host_is_scanned_without_options(tmp_path: Path) -> None:
    spec = el_host_spec(removed=(*_NOT_A_CONTAINER, *_LARGE_FOLDERS))

    with overlay_host(tmp_path / "host", spec) as host:
        findings = scan_and_verify(tmp_path, host)
        assert findings["content"]["name"] == "ssg-rhel9-ds.xml"
        assert findings["profile"] == "stig"
        assert_equals_plain_oscap(host, findings, "rhel9")
    assert find_unchecked(findings) == ["host_signature", "hostfacts", "smoke"]


def scan_and_verify(folder: Path, host: OverlayHost) -> dict[str, Any]:
    """Scan as a new user, run the command that the scan prints, and return the findings."""
    user = NewUser.create(folder, host)
    process = user.run(["scan", f"root@127.0.0.1:{host.port}"], ok=(Exit.OK, Exit.FINDINGS))
    lines = dict(x.split(": ", 1) for x in process.stdout.splitlines()[-4:])
    program, *arguments = shlex.split(lines["verify"])

    assert "created the scan key" in process.stderr
    assert program == "hardpan"
    assert user.run(arguments, ok=(Exit.OK,)).stdout.endswith("verdict: verified\n")
    with zipfile.ZipFile(user.home / lines["evidence"]) as archive:
        findings: dict[str, Any] = json.loads(archive.read("findings.json"))
    return findings


def assert_equals_plain_oscap(host: OverlayHost, findings: dict[str, Any], product: str) -> None:
    """Compare with oscap on the host, on the complete content."""
    content = prepare(datastream.find(product), findings["content"]["profileId"])
    expected = evaluate(host, content.untouched.data, content.benchmark.profile_id)
    verdicts = {r["ruleId"]: r["verdict"] for r in findings["rules"]}
    counts = Counter(verdicts.values())

    assert verdicts == {rule: expected[rule] for rule in verdicts}
    assert set(verdicts) == {rule for rule, v in expected.items() if v != "notselected"}
    assert counts["pass"] + counts["fail"] >= 0.6 * len(verdicts), counts


def evaluate(host: OverlayHost, data: bytes, profile_id: str) -> Mapping[str, str]:
    """Return rule -> result of plain oscap on the host."""
    content = Path(f"/proc/{host.pid}/root/tmp/content.xml")
    content.write_bytes(data)
    host.run(
        f"cd /tmp && oscap xccdf eval --profile {profile_id} --results results.xml content.xml",
        ok=(0, 2),
        timeout_s=300,
    )
    root = etree.fromstring(content.with_name("results.xml").read_bytes())
    return {r.get("idref", ""): r[0].text or "" for r in root.iter(_RESULT)}


def find_unchecked(findings: dict[str, Any]) -> list[str]:
    """Return the sorted parts that were not checked."""
    return sorted(
        c["name"].removeprefix("collect::")
        for c in findings["checks"]
        if c["outcome"] == "not_checked" and c["name"].startswith("collect::")
    )
