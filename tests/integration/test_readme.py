"""README's command blocks, run as they are printed, in a folder that has what they name.

The short ones run in ``make test``; those that install packages or build the lab are marked
``system`` and run in ``make test-system``.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from hardpan.core.errors import Exit
from hardpan.core.process import CompletedProcess, run
from tests.integration import rocky_dvd
from tests.integration.conftest import REPO
from tests.integration.distribution import copy_checkout
from tests.integration.new_user import NewUser
from tests.integration.overlay_host import HostSpec, HostUser, overlay_host
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
    media = rocky_dvd.write_iso(rocky_dvd.complete_dvd(9), tmp_path / "media")
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


def test_scan_block_writes_evidence_that_verifies(tmp_path: Path) -> None:
    # The default profile of Debian 11 has 43 rules: the scan takes seconds.
    spec = HostSpec(
        packages=("sudo",),
        users=(HostUser(name="admin"),),
        sudoers="admin ALL=(ALL) NOPASSWD: ALL\n",
        os_release='ID=debian\nVERSION_ID="11"\nPRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\n',
        files={"/etc/debian_version": "11.11\n"},
    )
    (block,) = read_blocks()["Scan"]

    with overlay_host(tmp_path / "host", spec) as host:
        user = NewUser.create(tmp_path, host)
        script = block.replace("admin@host.example", f"admin@127.0.0.1:{host.port}")
        process = user.run_script(script, ok=(Exit.OK, Exit.FINDINGS))

    (evidence,) = user.home.glob("overlay-host-standard-*.evidence.zip")
    last_line = process.stdout.splitlines()[-1]
    assert last_line.startswith(f"verify: hardpan verify {evidence.name} --policy ")
    verification = user.run_script(last_line.removeprefix("verify: "), ok=(Exit.OK,))
    assert verification.stdout.endswith("verdict: verified\n")


@pytest.mark.system
def test_two_commands_block_runs_the_demo(tmp_path: Path) -> None:
    # 'make test-system' keeps the image for the tests that boot it.
    output = os.environ.get("HARDPAN_DEMO_OUT", str(tmp_path / "demo"))
    argv = ["make", "demo", f"OUT={output}"]
    process = run(argv, timeout_s=7200, cwd=REPO)

    assert "verdict     verified" in process.stdout
