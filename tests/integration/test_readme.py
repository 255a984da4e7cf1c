"""README's command blocks, run as they are printed, in a folder that has what they name.

The short ones run in ``make test``; those that install packages, build the lab or scan a host are
marked ``system`` and run in ``make test-system``.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.core.process import CompletedProcess, run
from tests.integration import tiny_media
from tests.integration.conftest import REPO
from tests.integration.distribution import copy_checkout
from tests.integration.lab_host import LabHost, Payload, lab_host
from tests.tools.get_cosign import find_cosign
from tests.unit.evidence.evidence_fixture import create_fixture

pytestmark = pytest.mark.integration

BLOCKS = {"Two commands": 1, "Install": 1, "Build": 1, "Scan": 1, "Verify": 2, "Compare": 1}
"""Heading -> how many command blocks it has; each is run by a test of this file."""

_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read_blocks() -> dict[str, list[str]]:
    """Return the command blocks of README by heading."""
    sections = _SECTION.findall((REPO / "README.md").read_text("utf-8"))
    all_blocks = {heading: _BLOCK.findall(text) for heading, text in sections}
    return {heading: blocks for heading, blocks in all_blocks.items() if blocks}


def run_block(
    heading: str,
    folder: Path,
    *,
    number: int = 0,
    replace: dict[str, str] | None = None,
    timeout_s: float = 120,
    path: str = "",
) -> CompletedProcess:
    """Run a block with bash in ``folder``, which is also the home folder."""
    text = read_blocks()[heading][number]
    for printed, real in (replace or {}).items():
        assert printed in text, f"README no longer has {printed!r}"
        text = text.replace(printed, real)
    programs = f"{path}:" if path else ""
    env = {
        "HOME": str(folder),
        "PATH": f"{programs}{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_STATE_HOME": str(folder / "state"),
    }
    argv = ["bash", "-euo", "pipefail", "-c", text]
    process = run(argv, timeout_s=timeout_s, ok=range(256), cwd=folder, env=env)
    assert process.returncode == 0, process.stderr[-4000:]
    return process


def create_ssh_key(folder: Path) -> None:
    """Create ``~/.ssh/id_ecdsa``."""
    (folder / ".ssh").mkdir(mode=0o700)
    argv: list[str | Path] = [
        "ssh-keygen",
        "-q",
        "-t",
        "ecdsa",
        "-N",
        "",
        "-f",
        folder / ".ssh" / "id_ecdsa",
    ]
    run(argv, timeout_s=30)


@pytest.fixture
def demo_outputs(tmp_path: Path) -> Path:
    """A folder with the outputs that the demo leaves: evidence, scan key and trust policy."""
    fixture = create_fixture(tmp_path / "fixture")
    demo = tmp_path / "images" / "out" / "demo"
    demo.mkdir(parents=True)
    shutil.copy(fixture.valid_path, demo / "lab-stig.evidence.zip")
    # Without the thresholds, which the sample exceeds on purpose.
    policy = fixture.ring.policy.read_text("utf-8").partition("# More than this")[0]
    (demo / "trust.yaml").write_text(policy, "utf-8")
    for key in ("scan", "build"):
        shutil.copy(fixture.ring.policy.with_name(f"{key}.pub"), demo / f"{key}.pub")
    return tmp_path


def test_every_command_block_is_run_by_a_test() -> None:
    assert {heading: len(blocks) for heading, blocks in read_blocks().items()} == BLOCKS


def test_two_commands_block_names_make_targets() -> None:
    block = read_blocks()["Two commands"][0]
    targets = re.findall(r"^make (\S+)", block, re.MULTILINE)
    plan = {
        target: run(["make", "-n", target], timeout_s=60, cwd=REPO).stdout for target in targets
    }

    assert targets == ["demo", "test"]
    assert "hardpan prove lab-stig -o images/out/demo" in plan["demo"]
    assert "pytest" in plan["test"]


def test_build_block_checks_renders_plans_and_writes_an_iso(tmp_path: Path) -> None:
    create_ssh_key(tmp_path)
    media = tiny_media.make_el9_media(tmp_path / "media", label="Rocky-9-8-x86_64-dvd").path
    media.rename(tmp_path / "Rocky-9-x86_64-dvd.iso")

    process = run_block("Build", tmp_path)

    assert "rocky9-stig" in process.stdout
    assert (tmp_path / "rendered" / "ks.cfg").read_text().startswith("#")
    assert (tmp_path / "out" / "rocky9-stig.iso").stat().st_size > 1 << 20


def test_verify_block_verifies_and_exports_html(demo_outputs: Path) -> None:
    process = run_block("Verify", demo_outputs)

    assert "verified" in process.stdout
    assert "<html" in (demo_outputs / "report.html").read_text("utf-8")[:1000]


def test_verify_block_with_third_party_tools_accepts_evidence(demo_outputs: Path) -> None:
    cosign = find_cosign()
    if cosign is None:
        pytest.fail("cosign is missing: .venv/bin/python tests/tools/get_cosign.py")
    bin_folder = demo_outputs / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "cosign").symlink_to(cosign)

    process = run_block("Verify", demo_outputs, number=1)

    assert "Signature Verified Successfully" in process.stdout
    assert "Verified OK" in process.stdout + process.stderr


def test_compare_block_fills_a_ledger(demo_outputs: Path) -> None:
    demo = demo_outputs / "images" / "out" / "demo"
    for name in ("BASELINE", "CURRENT"):
        shutil.copy(demo / "lab-stig.evidence.zip", demo_outputs / f"{name}.evidence.zip")
    for name in ("trust.yaml", "scan.pub", "build.pub"):
        shutil.copy(demo / name, demo_outputs / name)

    process = run_block("Compare", demo_outputs, replace={"HOST": "lab"})

    assert (demo_outputs / "state" / "hardpan" / "ledger.sqlite").is_file()
    assert "score" in process.stdout


@pytest.mark.system
def test_install_block_installs_the_program(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    run(["bash", "-euc", read_blocks()["Install"][0]], timeout_s=900, cwd=checkout, env=env)

    hardpan = tmp_path / "hardpan-venv" / "bin" / "hardpan"
    assert "--key" in run([hardpan, "scan", "--help"], timeout_s=60).stdout


@pytest.fixture
def host_with_openscap(lab_payload: Payload, tmp_path: Path) -> Iterator[LabHost]:
    """A booted lab host with OpenSCAP, as README requires of a target."""
    with lab_host(lab_payload, tmp_path / "lab", install=["openscap-scanner"]) as host:
        yield host


@pytest.mark.system
def test_scan_block_writes_evidence(host_with_openscap: LabHost, tmp_path: Path) -> None:
    host = host_with_openscap
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(mode=0o700, parents=True)
    keys = "".join(f"{host.guest.address} {key}\n" for key in host.guest.host_keys)
    (folder / ".ssh" / "known_hosts").write_text(keys)
    target = f"{host.guest.user}@{host.guest.address} --identity {host.guest.private_key}"
    target += f" --known-hosts {folder / '.ssh' / 'known_hosts'} --fail-on none --no-smoke"

    process = run_block(
        "Scan",
        folder,
        replace={"admin@host.example": target},
        timeout_s=900,
    )

    (evidence,) = folder.glob("*-stig-*.evidence.zip")
    assert str(evidence.name) in process.stdout


@pytest.mark.system
def test_two_commands_block_runs_the_demo(tmp_path: Path) -> None:
    argv = ["make", "demo", f"OUT={tmp_path / 'demo'}"]
    process = run(argv, timeout_s=7200, cwd=REPO)

    assert "verdict     verified" in process.stdout
