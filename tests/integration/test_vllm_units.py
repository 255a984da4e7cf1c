"""systemd's own judgement of the units of a model server on GPUs. No GPU is there, nothing runs."""

import re
from pathlib import Path

import pytest

from hardpan.builder.ai_service import render
from hardpan.core.process import find_program, run
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.ai_service import AiService

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        find_program("systemd-analyze") is None, reason="systemd-analyze is not here"
    ),
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


def write_root(vendor: str, root: Path) -> Path:
    """The stack's files below ``root``, and programs that units may name."""
    profile = load_profile(f"rocky9-stig-{vendor}").model_copy(
        update={"ai_service": AiService.model_validate(SECTION)}
    )
    for path, data in render.render_files(profile).items():
        destination = root / path.removeprefix("/")
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(data)
    for path in PROGRAMS:
        destination = root / path.removeprefix("/")
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(b"#!/bin/sh\n")
        destination.chmod(0o755)
    for name in ("sysinit", "basic", "shutdown", "multi-user", "network-pre"):
        target = root / f"usr/lib/systemd/system/{name}.target"
        target.write_text(f"[Unit]\nDescription={name}\n", "ascii")
    return root


def verify_units(root: Path) -> str:
    """What ``systemd-analyze verify`` has against the units; empty where it is content."""
    argv = ["systemd-analyze", "verify", "--man=no", f"--root={root}", *UNITS]
    result = run(argv, timeout_s=60, ok=range(256))
    messages = [x for x in (result.stdout + result.stderr).splitlines() if "hardpan" in x]
    return "\n".join(messages) or ("" if result.returncode == 0 else result.stderr)


@pytest.mark.parametrize("vendor", ["nvidia", "amd"])
def test_systemd_analyze_accepts_units(vendor: str, tmp_path: Path) -> None:
    root = write_root(vendor, tmp_path)

    assert verify_units(root) == ""
    for unit, max_exposure in zip(UNITS, (2.0, 2.5), strict=True):
        argv = ["systemd-analyze", "security", "--no-pager", "--offline=yes"]
        report = run([*argv, f"--root={root}", unit], timeout_s=60).stdout
        match = re.search(r"exposure level for \S+: ([0-9.]+)", report)
        assert match is not None
        assert float(match[1]) <= max_exposure, report


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("TasksMax=8192", "TasksMax=many", "maximum tasks value"),
        ("Requires=hardpan-gpu.service", "Requires=hardpan-gone.service", "hardpan-gone.service"),
        ("PrivateDevices=no", "PrivateDevice=no", "PrivateDevice"),
    ],
)
def test_systemd_analyze_rejects_invalid_units(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    root = write_root("nvidia", tmp_path)
    conf = root / "usr/lib/systemd/system/hardpan-llm.service.d/hardpan-llm-gpu.conf"
    text = conf.read_text("ascii")
    assert old in text

    conf.write_text(text.replace(old, new, 1), "ascii")

    assert message in verify_units(root)
