"""The model server by vLLM: its command line as vLLM reads it, its unit, what it needs.

``tests/data/vllm_options.json`` is what vLLM's own parser said (tests/tooling/vllm_options.py).
No GPU was there, neither for that nor for anything here.
"""

import json
import os
import sys
from pathlib import Path

import pytest

from hardpan.builder import inputs
from hardpan.builder.layers import registry, sovereign_stack
from hardpan.builder.layers.sovereign import serving
from hardpan.builder.stacks import locks
from hardpan.builder.wheels.lock import load as load_lock
from hardpan.profiles.load import load
from hardpan.profiles.model import Profile
from hardpan.profiles.sovereign import Sovereign
from hardpan.scanners.pipeline import server_of
from tests.tooling.vllm_options import PLACE, SETTINGS

UNITS = "/usr/lib/systemd/system"
SANDBOX = f"{UNITS}/hardpan-llm.service.d/hardpan-llm-gpu.conf"
GPU_UNIT = f"{UNITS}/hardpan-gpu.service"
FACTS = json.loads(PLACE.read_text("utf-8"))
ENGINE = serving.ENGINES["vllm"]
ARGV = serving.vllm(SETTINGS, 4)
SERVER = {"engine": "vllm", "stack": "vllm", "model": "granite-4", "context": 8192, "gpus": 2}


def on(vendor: str, section: Sovereign) -> Profile:
    changed = Sovereign.model_validate({**section.model_dump(), "server": SERVER})
    return load(f"rocky9-stig-{vendor}").model_copy(
        update={"sovereign": changed, "layers": ("sovereign_stack",)}
    )


def text(profile: Profile, path: str) -> str:
    return sovereign_stack.files(profile)[path].decode()


def test_the_facts_are_of_the_version_that_the_lock_pins() -> None:
    lock = load_lock(locks.SHIPPED / "ai-vllm-cu130.lock")

    (pinned,) = (entry.version for entry in lock.entries if entry.name == "vllm")
    assert FACTS["vllm"] == pinned


READ_AS = [
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


def test_vllms_own_parser_reads_every_option_of_ours_as_it_is_meant() -> None:
    assert ARGV[:3] == ["vllm", "serve", FACTS["model"]]
    assert {word for word in ARGV if word.startswith("--")} == set(FACTS["options"])
    assert dict(READ_AS) == FACTS["options"]
    for option, value in READ_AS:
        if not isinstance(value, bool):
            given = value[0] if isinstance(value, list) else value
            assert ARGV[ARGV.index(option) + 1] == str(given)


def test_vllm_knows_the_variables_and_the_path_that_are_named_after_it() -> None:
    ours = [name for name in ENGINE.variables if name.startswith("VLLM_")]

    assert sorted(ours) == FACTS["variables"]
    assert ENGINE.asked in FACTS["health"]


def test_no_secret_is_on_the_command_line_and_no_address_but_the_loopback() -> None:
    told = " ".join(ARGV)

    assert "key" not in told
    assert "token" not in told
    assert "0.0.0.0" not in told  # noqa: S104 - that is the point


def test_what_vllm_writes_lies_in_the_units_own_folder() -> None:
    paths = [value for value in ENGINE.variables.values() if value.startswith("/")]

    assert len(paths) >= 5
    assert all(path.startswith("/var/lib/ai/llm/cache/") for path in paths)


def test_serving_checks_the_weights_sets_the_variables_and_runs_vllm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(os, "environ", {"HF_HUB_OFFLINE": "0"})
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(serving, "keep", lambda port, path: ran.append(f"{port} {path}"))
    monkeypatch.setattr(serving.runpy, "run_module", lambda name, **_: ran.append(name))
    (tmp_path / "model.safetensors").write_bytes(b"other")
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(f"{'0' * 64}  model.safetensors\n", "ascii")
    told = {**SETTINGS, "engine": "vllm", "folder": str(tmp_path)}

    with pytest.raises(ValueError, match="is not the file that SHA256SUMS names"):
        serving.serve(told, 1)
    assert not ran

    sums.write_text("", "ascii")
    serving.serve(told, 1)
    assert ran == ["8081 /health", "vllm.entrypoints.cli.main"]
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
def test_the_sandbox_is_opened_for_the_gpu_and_nothing_else(
    section: Sovereign, vendor: str, devices: list[str]
) -> None:
    profile = on(vendor, section)
    lines = text(profile, SANDBOX).splitlines()
    set_to = [x for x in lines[lines.index("[Service]") + 1 :] if x and not x.startswith("#")]

    assert set_to == [
        "TimeoutStartSec=3600",
        "TasksMax=8192",
        "LimitNOFILE=65536",
        "PrivateDevices=no",
        *devices,
        "MemoryDenyWriteExecute=no",
        "RestrictAddressFamilies=AF_NETLINK",
        "SystemCallFilter=@resources",
    ]
    unit = text(profile, f"{UNITS}/hardpan-llm.service")
    assert "DevicePolicy=closed\n" in unit
    assert "Description=Model server: vLLM with" in unit
    assert "ExecStart=/opt/ai/stacks/vllm/bin/python3 -I " in unit


@pytest.mark.parametrize(
    ("vendor", "first", "node"),
    [
        ("nvidia", "/usr/bin/nvidia-modprobe -c 0 -u", "/dev/nvidia-uvm"),
        ("amd", "/usr/bin/udevadm settle --timeout=240 --exit-if-exists=/dev/kfd", "/dev/kfd"),
    ],
)
def test_the_devices_are_there_before_the_server_is_confined_to_them(
    section: Sovereign, vendor: str, first: str, node: str
) -> None:
    profile = on(vendor, section)
    unit = text(profile, GPU_UNIT).splitlines()

    assert [x for x in unit if x.startswith("ExecStart=")] == [
        f"ExecStart={first}",
        f"ExecStart=/usr/bin/test -c {node}",
    ]
    assert ("After=nvidia-persistenced.service nvidia-fabricmanager.service" in unit) == (
        vendor == "nvidia"
    )
    assert "Requires=hardpan-gpu.service\nAfter=hardpan-gpu.service\n" in text(profile, SANDBOX)


def test_llama_cpp_keeps_its_whole_sandbox(profile: Profile) -> None:
    assert not [path for path in sovereign_stack.files(profile) if "gpu" in path]


def test_the_other_services_run_on_the_same_stack_and_stay_off_the_gpu(section: Sovereign) -> None:
    profile = on("nvidia", section)

    for name in ("hardpan-kb", "hardpan-login", "hardpan-first-start"):
        unit = text(profile, f"{UNITS}/{name}.service")
        assert "ExecStart=/opt/ai/stacks/vllm/bin/python3 -I " in unit
        assert "PrivateDevices=yes\n" in unit


def test_it_is_built_where_the_model_the_stack_and_the_driver_are(section: Sovereign) -> None:
    profile = on("nvidia", section)

    registry.check(profile)
    packed = sovereign_stack.packed(profile)
    assert packed["needs"].decode().splitlines() == [
        "/opt/ai/stacks/vllm/bin/python3",
        "/etc/hardpan/ai.env",
        "/opt/ai/models/all-MiniLM-L6-v2",
        "/opt/ai/models/granite-4/SHA256SUMS",
        "/opt/ai/models/granite-4/config.json",
        "/usr/bin/nvidia-modprobe",
    ]
    assert packed["models"].decode().splitlines()[1] == "/opt/ai/models/granite-4"
    assert json.loads(packed["files/etc/hardpan/sovereign/serving.json"]) == {
        "alias": "granite-4",
        "context": 8192,
        "engine": "vllm",
        "folder": "/opt/ai/models/granite-4",
        "gpus": 2,
        "model": "/opt/ai/models/granite-4",
        "port": 8081,
    }


@pytest.mark.parametrize(("vendor", "backend"), [("nvidia", "cuda"), ("amd", "rocm")])
def test_the_chat_test_says_what_it_ran_on(section: Sovereign, vendor: str, backend: str) -> None:
    server = server_of(on(vendor, section))

    assert server is not None
    assert (server.engine, server.backend) == ("vllm", backend)
    assert server.model_file == "/opt/ai/models/granite-4/SHA256SUMS"


def test_render_says_that_it_never_ran_on_a_gpu(section: Sovereign) -> None:
    (layer,) = inputs.layers(on("nvidia", section))

    assert str(layer["does"]).endswith(
        ": vLLM of stack vllm with the model granite-4 on 2 GPUs, never tried by hardpan's makers"
    )
