"""The locks that are shipped: whole, for one platform, and what the profiles say they are."""

import re
from pathlib import Path

import pytest

from hardpan.builder.python_stacks import locks, vendors
from hardpan.builder.wheel_audit.lock import load_lock as load_lock
from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import shipped_profiles
from hardpan.profiles.schema.frameworks import Stack
from hardpan.profiles.schema.hardware import min_driver_version
from hardpan.profiles.schema.versions import parse_version

SHIPPED = sorted(locks.SHIPPED.glob("ai-*.lock"))
FRAMEWORKS = [(name, load_profile(name).frameworks) for name in shipped_profiles()]
NAMED = [(name, stack) for name, x in FRAMEWORKS if x for stack in x.stacks if stack.lock]
EXCLUDED = [
    line
    for line in (locks.SHIPPED / "ai-excludes.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]
DIGEST = "1" * 64


def render_pins(*names: str) -> str:
    return "".join(f"{name} --hash=sha256:{DIGEST}\n" for name in names)


CUDA = render_pins("nvidia-cublas==13.1.1.3", "nvidia-cuda-runtime==13.0.96", "torch==2.13.0")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_lock_is_complete_and_single_platform(path: Path) -> None:
    text = path.read_text("utf-8")

    lock = load_lock(path)

    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith(("-", "#"))]
    assert len(lock.entries) == len(re.findall(r"(?m)^[a-z0-9].*==", text))
    assert all(entry.sha256s and not entry.is_conditional for entry in lock.entries)


@pytest.mark.parametrize(("name", "stack"), NAMED, ids=[f"{n}-{s.name}" for n, s in NAMED])
def test_shipped_lock_contains_requested_packages(name: str, stack: Stack) -> None:
    lock = locks.read_lock(stack)

    names = {entry.name for entry in lock.entries}
    assert {re.split(r"[\[=<>~]", requirement)[0] for requirement in stack.packages} <= names
    assert vendors.detect_torch_backend(lock) == (stack.torch_backend or "")
    assert load_profile(name).is_lab or stack.python == "3.12"


@pytest.mark.parametrize("name", ["rocky9-stig-nvidia", "rocky10-stig-nvidia"])
def test_nvidia_pytorch_uses_cuda_13_0_supported_by_driver(name: str) -> None:
    profile = load_profile(name)
    assert profile.frameworks
    assert profile.hardware.nvidia

    for stack in profile.frameworks.stacks:
        versions = {entry.name: entry.version for entry in locks.read_lock(stack).entries}
        assert versions["nvidia-cuda-runtime"].startswith("13.0.")
        assert versions["nvidia-nvjitlink"].startswith("13.0.")
        assert not set(EXCLUDED) & set(versions)
    required_driver = min_driver_version("13.0")
    assert required_driver == "580.65.06"
    assert parse_version(profile.hardware.nvidia.driver) >= parse_version(required_driver)


def test_nvidia_stacks_share_pytorch() -> None:
    first, second = (
        {e.name: e for e in load_lock(locks.SHIPPED / f"ai-{name}-cu130.lock").entries}
        for name in ("pytorch", "vllm")
    )

    shared = [name for name in first if name.startswith(("torch", "nvidia-", "triton"))]
    assert len(shared) > 15
    assert all(first[name] == second[name] for name in shared)


@pytest.mark.parametrize(
    ("pinned", "expected"),
    [
        (render_pins("torch==2.13.0+cpu"), "cpu"),
        (render_pins("torch==2.11.0+rocm7.1"), "rocm7.1"),
        (render_pins("torch==2.13.0+cu130", "nvidia-cuda-runtime==13.0.96"), "cu130"),
        (render_pins("torch==2.9.1", "nvidia-cuda-runtime-cu12==12.8.90"), "cu128"),
        (render_pins("torch==2.13.0"), ""),
        (render_pins("numpy==2.5.5"), ""),
    ],
)
def test_torch_backend_is_detected_by_label_or_runtime(
    tmp_path: Path, pinned: str, expected: str
) -> None:
    path = tmp_path / "x.lock"
    path.write_text(pinned)

    assert vendors.detect_torch_backend(load_lock(path)) == expected


def write_profile(folder: Path, parent: str, lock: str, hardware: str, backend: str) -> Path:
    (folder / "x.lock").write_text(lock)
    path = folder / "x.yaml"
    path.write_text(
        f"extends: {parent}\nname: x\ntitle: A lock of one's own\nhardware: {{{hardware}}}\n"
        "layers: [ml_frameworks, stig]\nframeworks:\n  stacks:\n    - name: one\n"
        f"      packages: [torch]\n      lock: ./x.lock\n      python: '3.12'\n{backend}",
        "utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("parent", "lock", "hardware", "backend", "problem"),
    [
        (
            "rocky9-stig-nvidia",
            CUDA,
            "",
            "cu130",
            "hardware.nvidia.accept_eula: expected true, since the stack one contains nvidia-",
        ),
        (
            "rocky10-stig-cpu",
            render_pins(*(f"nvidia-{c}==1" for c in "abcde")) + CUDA,
            "",
            "",
            "nvidia-b, nvidia-c and 4 more under NVIDIA's licences; got no section nvidia",
        ),
        (
            "rocky9-stig-nvidia",
            render_pins("torch==2.13.0+cpu"),
            "nvidia: {accept_eula: true}",
            "cu130",
            "one: lock: expected PyTorch built for cu130, as torch_backend says, got one for cpu",
        ),
        (
            "rocky10-stig-cpu",
            render_pins("numpy==2.5.5"),
            "",
            "cpu",
            "expected PyTorch built for cpu, as torch_backend says, got none",
        ),
        (
            "rocky9-stig-nvidia",
            CUDA,
            "nvidia: {accept_eula: true, driver: 580.42.01, cuda: '12.8'}",
            "",
            "one: lock: PyTorch for cu130 needs driver 580.65.06 or later, got 580.42.01",
        ),
    ],
)
def test_disallowed_lock_is_refused(
    tmp_path: Path, parent: str, lock: str, hardware: str, backend: str, problem: str
) -> None:
    backend_line = f"      torch_backend: {backend}\n" if backend else ""
    profile = load_profile(write_profile(tmp_path, parent, lock, hardware, backend_line))

    with pytest.raises(InputError) as caught:
        locks.check(profile)

    assert problem in str(caught.value)


def find_refusal(path: Path) -> str:
    """What the profile's locks are refused for; nothing where they are not."""
    try:
        locks.check(load_profile(path))
    except InputError as error:
        return str(error)
    return ""


def test_nvidia_lock_requires_accepted_licence(tmp_path: Path) -> None:
    backend_line = "      torch_backend: cu130\n"
    for accepted, expected in (
        ("true", ""),
        ("false", "x: hardware.nvidia.accept_eula: expected true"),
    ):
        eula = f"nvidia: {{accept_eula: {accepted}}}"
        message = find_refusal(
            write_profile(tmp_path, "rocky9-stig-nvidia", CUDA, eula, backend_line)
        )
        assert message.partition(",")[0] == expected


def test_freely_licensed_nvidia_packages_need_no_acceptance(tmp_path: Path) -> None:
    free = ("nvidia-ml-py==13.615.71", "cuda-pathfinder==1.9.0")
    for names, expected in (
        (free, ""),
        ((*free, "nvidia-nccl==1"), "one contains nvidia-nccl under"),
    ):
        message = find_refusal(
            write_profile(tmp_path, "rocky10-stig-cpu", render_pins(*names), "", "")
        )
        assert expected in message
        assert bool(message) == bool(expected)
