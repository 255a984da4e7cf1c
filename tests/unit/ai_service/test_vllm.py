"""The model server by vLLM: its command line as vLLM reads it, its unit, what it needs.

``tests/data/vllm_options.json`` is the output of vLLM's own parser (tests/tools/vllm_options.py).
Neither that tool nor these tests use a GPU.
"""

import json
import os
import sys
from pathlib import Path

import pytest

from hardpan.builder import build_manifest
from hardpan.builder.ai_service import render
from hardpan.builder.ai_service.payload import serving
from hardpan.builder.layers import registry
from hardpan.builder.python_stacks import locks
from hardpan.builder.wheel_audit.lock import load_lock as load_lock
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.ai_service import AiService
from hardpan.profiles.schema.profile import Profile
from hardpan.scanners.collect.task import find_inference_server
from tests.tools.vllm_options import OUTPUT, SETTINGS

UNITS = "/usr/lib/systemd/system"
SANDBOX = f"{UNITS}/hardpan-llm.service.d/hardpan-llm-gpu.conf"
GPU_UNIT = f"{UNITS}/hardpan-gpu.service"
FACTS = json.loads(OUTPUT.read_text("utf-8"))
ENGINE = serving.ENGINES["vllm"]
ARGV = serving.vllm_arguments(SETTINGS, 4)
SERVER = {"engine": "vllm", "stack": "vllm", "model": "granite-4", "context": 8192, "gpus": 2}


def vllm_profile(vendor: str, section: AiService) -> Profile:
    changed_section = AiService.model_validate({**section.model_dump(), "server": SERVER})
    return load_profile(f"rocky9-stig-{vendor}").model_copy(
        update={"ai_service": changed_section, "layers": ("ai_service",)}
    )


def rendered_text(profile: Profile, path: str) -> str:
    return render.render_files(profile)[path].decode()


def test_recorded_options_match_locked_version() -> None:
    lock = load_lock(locks.SHIPPED / "ai-vllm-cu130.lock")

    (pinned,) = (entry.version for entry in lock.entries if entry.name == "vllm")
    assert FACTS["vllm"] == pinned


PARSED_OPTIONS = [
    ("--host", "127.0.0.1"),
    ("--port", 8081),
    ("--served-model-name", ["m"]),
    ("--max-model-len", 8192),
    ("--tensor-parallel-size", 2),
    ("--load-format", "safetensors"),
    ("--no-trust-remote-code", False),
    ("--language-model-only", True),
    ("--no-enable-log-requests", False),
    ("--disable-uvicorn-access-log", True),
    ("--disable-fastapi-docs", True),
]


def test_vllm_parses_options_as_intended() -> None:
    assert ARGV[:3] == ["vllm", "serve", FACTS["model"]]
    assert {word for word in ARGV if word.startswith("--")} == set(FACTS["options"])
    assert dict(PARSED_OPTIONS) == FACTS["options"]
    for option, value in PARSED_OPTIONS:
        if not isinstance(value, bool):
            argument = value[0] if isinstance(value, list) else value
            assert ARGV[ARGV.index(option) + 1] == str(argument)


def test_vllm_environment_and_health_path_exist() -> None:
    vllm_variables = [name for name in ENGINE.environment if name.startswith("VLLM_")]

    assert sorted(vllm_variables) == FACTS["variables"]
    assert ENGINE.health_path in FACTS["health"]


def test_command_line_has_no_secret_and_loopback_only() -> None:
    command_line = " ".join(ARGV)

    assert "key" not in command_line
    assert "token" not in command_line
    assert "0.0.0.0" not in command_line  # noqa: S104 - that is the point


def test_vllm_caches_are_in_state_directory() -> None:
    paths = [value for value in ENGINE.environment.values() if value.startswith("/")]

    assert len(paths) >= 5
    assert all(path.startswith("/var/lib/ai/llm/cache/") for path in paths)


def test_serve_verifies_weights_and_runs_vllm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(os, "environ", {"HF_HUB_OFFLINE": "0"})
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(
        serving, "start_watchdog", lambda port, path: calls.append(f"{port} {path}")
    )
    monkeypatch.setattr(serving.runpy, "run_module", lambda name, **_: calls.append(name))
    (tmp_path / "model.safetensors").write_bytes(b"other")
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(f"{'0' * 64}  model.safetensors\n", "ascii")
    settings = {**SETTINGS, "engine": "vllm", "folder": str(tmp_path)}

    with pytest.raises(ValueError, match="does not match SHA256SUMS"):
        serving.serve(settings, 1)
    assert not calls

    sums.write_text("", "ascii")
    serving.serve(settings, 1)
    assert calls == ["8081 /health", "vllm.entrypoints.cli.main"]
    assert sys.argv == ARGV
    assert os.environ["HF_HUB_OFFLINE"] == "1"


DEVICES = [
    ("nvidia", ["DeviceAllow=char-nvidia* rw"]),
    (
        "amd",
        [
            "DeviceAllow=char-kfd rw",
            "DeviceAllow=char-drm rw",
            "SupplementaryGroups=render video",
        ],
    ),
]


@pytest.mark.parametrize(("vendor", "devices"), DEVICES)
def test_sandbox_allows_gpu_devices_only(
    section: AiService, vendor: str, devices: list[str]
) -> None:
    profile = vllm_profile(vendor, section)
    lines = rendered_text(profile, SANDBOX).splitlines()
    settings = [x for x in lines[lines.index("[Service]") + 1 :] if x and not x.startswith("#")]

    assert settings == [
        "TimeoutStartSec=3600",
        "TasksMax=8192",
        "LimitNOFILE=65536",
        "PrivateDevices=no",
        *devices,
        "MemoryDenyWriteExecute=no",
        "RestrictAddressFamilies=AF_NETLINK",
        "SystemCallFilter=@resources",
    ]
    unit = rendered_text(profile, f"{UNITS}/hardpan-llm.service")
    assert "DevicePolicy=closed\n" in unit
    assert "Description=Model server: vLLM with" in unit
    assert "ExecStart=/opt/ai/stacks/vllm/bin/python3 -I " in unit


@pytest.mark.parametrize(
    ("vendor", "command", "node"),
    [
        ("nvidia", "/usr/bin/nvidia-modprobe -c 0 -u", "/dev/nvidia-uvm"),
        ("amd", "/usr/bin/udevadm settle --timeout=240 --exit-if-exists=/dev/kfd", "/dev/kfd"),
    ],
)
def test_gpu_unit_creates_devices_before_server(
    section: AiService, vendor: str, command: str, node: str
) -> None:
    profile = vllm_profile(vendor, section)
    unit = rendered_text(profile, GPU_UNIT).splitlines()

    assert [x for x in unit if x.startswith("ExecStart=")] == [
        f"ExecStart={command}",
        f"ExecStart=/usr/bin/test -c {node}",
    ]
    assert ("After=nvidia-persistenced.service nvidia-fabricmanager.service" in unit) == (
        vendor == "nvidia"
    )
    assert "Requires=hardpan-gpu.service\nAfter=hardpan-gpu.service\n" in rendered_text(
        profile, SANDBOX
    )


def test_llama_cpp_has_no_gpu_exceptions(profile: Profile) -> None:
    assert not [path for path in render.render_files(profile) if "gpu" in path]


def test_other_services_have_no_gpu_access(section: AiService) -> None:
    profile = vllm_profile("nvidia", section)

    for name in ("hardpan-kb", "hardpan-login", "hardpan-first-start"):
        unit = rendered_text(profile, f"{UNITS}/{name}.service")
        assert "ExecStart=/opt/ai/stacks/vllm/bin/python3 -I " in unit
        assert "PrivateDevices=yes\n" in unit


def test_vllm_requires_model_stack_and_driver(section: AiService) -> None:
    profile = vllm_profile("nvidia", section)

    registry.check_layers(profile)
    members = render.archive_members(profile)
    assert members["required_paths"].decode().splitlines() == [
        "/opt/ai/stacks/vllm/bin/python3",
        "/etc/hardpan/ai.env",
        "/opt/ai/models/all-MiniLM-L6-v2",
        "/opt/ai/models/granite-4/SHA256SUMS",
        "/opt/ai/models/granite-4/config.json",
        "/usr/bin/nvidia-modprobe",
    ]
    assert members["models"].decode().splitlines()[1] == "/opt/ai/models/granite-4"
    assert json.loads(members["files/etc/hardpan/ai_service/model_server.json"]) == {
        "alias": "granite-4",
        "context": 8192,
        "engine": "vllm",
        "folder": "/opt/ai/models/granite-4",
        "gpus": 2,
        "model": "/opt/ai/models/granite-4",
        "port": 8081,
    }


@pytest.mark.parametrize(("vendor", "backend"), [("nvidia", "cuda"), ("amd", "rocm")])
def test_inference_server_reports_backend(section: AiService, vendor: str, backend: str) -> None:
    server = find_inference_server(vllm_profile(vendor, section))

    assert server is not None
    assert (server.engine, server.backend) == ("vllm", backend)
    assert server.model_file == "/opt/ai/models/granite-4/SHA256SUMS"


def test_render_states_gpu_is_untested(section: AiService) -> None:
    (layer,) = build_manifest.describe_layers(vllm_profile("nvidia", section))

    assert str(layer["description"]).endswith(
        ": vLLM of stack vllm with the model granite-4 on 2 GPUs, not tested by the hardpan project"
    )
