"""systemd's own judgement of the units of a model server on GPUs. No GPU is there, nothing runs."""

import re
from pathlib import Path

import pytest

from hardpan.builder.layers import sovereign_stack
from hardpan.process import run, which
from hardpan.profiles.load import load
from hardpan.profiles.sovereign import Sovereign

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(which("systemd-analyze") is None, reason="systemd-analyze is not here"),
]

UNITS = ("hardpan-llm.service", "hardpan-gpu.service")
PROGRAMS = (
    "/opt/ai/stacks/vllm/bin/python3",
    "/usr/bin/nvidia-modprobe",
    "/usr/bin/udevadm",
    "/usr/bin/test",
    "/usr/sbin/nft",
)
SECTION = {
    "host_name": "ai.example",
    "server": {"engine": "vllm", "stack": "vllm", "model": "granite-4", "gpus": 2},
}


def laid_out(vendor: str, root: Path) -> Path:
    """The stack's files below ``root``, and programs that units may name."""
    profile = load(f"rocky9-stig-{vendor}").model_copy(
        update={"sovereign": Sovereign.model_validate(SECTION)}
    )
    for path, data in sovereign_stack.files(profile).items():
        to = root / path.removeprefix("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(data)
    for path in PROGRAMS:
        to = root / path.removeprefix("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(b"#!/bin/sh\n")
        to.chmod(0o755)
    for name in ("sysinit", "basic", "shutdown", "multi-user", "network-pre"):
        target = root / f"usr/lib/systemd/system/{name}.target"
        target.write_text(f"[Unit]\nDescription={name}\n", "ascii")
    return root


def verified(root: Path) -> str:
    """What ``systemd-analyze verify`` has against the units; empty where it is content."""
    argv = ["systemd-analyze", "verify", "--man=no", f"--root={root}", *UNITS]
    made = run(argv, timeout_s=60, ok=range(256))
    said = [x for x in (made.stdout + made.stderr).splitlines() if "hardpan" in x]
    return "\n".join(said) or ("" if made.returncode == 0 else made.stderr)


@pytest.mark.parametrize("vendor", ["nvidia", "amd"])
def test_systemd_finds_nothing_wrong_and_little_exposed(vendor: str, tmp_path: Path) -> None:
    root = laid_out(vendor, tmp_path)

    assert verified(root) == ""
    for unit, most in zip(UNITS, (2.0, 2.5), strict=True):
        argv = ["systemd-analyze", "security", "--no-pager", "--offline=yes"]
        told = run([*argv, f"--root={root}", unit], timeout_s=60).stdout
        found = re.search(r"exposure level for \S+: ([0-9.]+)", told)
        assert found is not None
        assert float(found[1]) <= most, told


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("TasksMax=8192", "TasksMax=many", "maximum tasks value"),
        ("Requires=hardpan-gpu.service", "Requires=hardpan-gone.service", "hardpan-gone.service"),
        ("PrivateDevices=no", "PrivateDevice=no", "PrivateDevice"),
    ],
)
def test_systemd_would_say_so(was: str, now: str, said: str, tmp_path: Path) -> None:
    root = laid_out("nvidia", tmp_path)
    conf = root / "usr/lib/systemd/system/hardpan-llm.service.d/hardpan-llm-gpu.conf"
    text = conf.read_text("ascii")
    assert was in text

    conf.write_text(text.replace(was, now, 1), "ascii")

    assert said in verified(root)
