"""The real oscap applies derived content to relatives of upstream's systems, and to no others."""

import re
from collections import Counter
from pathlib import Path

import pytest

from hardpan.core.process import run
from hardpan.scanners.content import datastream
from hardpan.scanners.content.prepare import PreparedContent, prepare
from hardpan.scanners.content.products import read_os_release
from hardpan.scanners.content.selection import choose_content
from hardpan.scanners.model.scan import ContentOrigin

pytestmark = pytest.mark.integration

MIN_EVALUATED = 8
CLOUDLINUX = 'ID="cloudlinux"\nID_LIKE="rhel fedora centos"\nVERSION_ID="9.5"\n'
RASPBIAN = "ID=raspbian\nID_LIKE=debian\nVERSION_CODENAME=bookworm\n"
MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\nUBUNTU_CODENAME=noble\n'


def write_root(root: Path, os_release: str) -> Path:
    """A root folder with an os-release and the files that some rules read."""
    for name, text in (
        ("etc/os-release", os_release),
        ("etc/passwd", "root:x:0:0::/root:/bin/bash\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/ssh/sshd_config", "PermitRootLogin no\nPermitEmptyPasswords yes\n"),
        ("proc/cmdline", "ro audit=1\n"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def count_verdicts(prepared: PreparedContent, folder: Path, root: Path) -> Counter[str]:
    """Evaluate all parts with the real oscap, as if ``root`` was the file system."""
    counts: Counter[str] = Counter()
    data_stream, results = folder / "ds.xml", folder / "results.xml"
    for part in prepared.parts:
        data_stream.write_bytes(part.data)
        argv = ["oscap", "xccdf", "eval", "--skip-validation", "--results", str(results)]
        argv += ["--profile", prepared.benchmark.profile_id, str(data_stream)]
        run(argv, timeout_s=300, ok=(0, 2), env={"OSCAP_PROBE_ROOT": str(root)})
        verdicts = re.findall(r"<result>([a-z]+)</result>", results.read_text("utf-8"))
        counts.update(v for v in verdicts if v != "notselected")
    return counts


def parse_fields(os_release: str) -> dict[str, str]:
    lines = (line.split("=", 1) for line in os_release.splitlines())
    return {key: value.strip('"') for key, value in lines}


@pytest.mark.parametrize(
    ("os_release", "profile"),
    [(CLOUDLINUX, "e8"), (RASPBIAN, "anssi_bp28_minimal"), (MINT, "stig")],
    ids=["el", "debian", "ubuntu"],
)
def test_relative_is_evaluated_with_the_content_of_its_family(
    os_release: str, profile: str, tmp_path: Path
) -> None:
    release = read_os_release(parse_fields(os_release))
    chosen = choose_content(release, ContentOrigin.SHIPPED, profile=profile)
    root = write_root(tmp_path / "root", os_release)

    counts = count_verdicts(prepare(chosen.source, chosen.profile_id), tmp_path, root)

    # The root folder has no packages, so rules for machines with a kernel do not apply.
    assert counts["pass"] + counts["fail"] >= MIN_EVALUATED


def test_other_release_is_not_evaluated(tmp_path: Path) -> None:
    root = write_root(tmp_path / "root", CLOUDLINUX.replace("9.5", "8.9"))
    source = datastream.find("rhel9", ContentOrigin.SHIPPED)

    counts = count_verdicts(prepare(source, "e8"), tmp_path, root)

    assert set(counts) == {"notapplicable"}
