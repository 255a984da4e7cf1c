"""The section ``frameworks``: what is refused, and where its files are looked for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile

Write = Callable[..., Path]

SECTION = """\
frameworks:
  stacks:
    - name: serving
      packages: ["llama-cpp-python[server]"]
      lock: ai-serving
      python: "3.12"
      sources:
        - {name: llama-cpp-python, cmake: [GGML_NATIVE=OFF]}
"""
LAYERS = "layers: [ml_frameworks, stig]"


@pytest.fixture
def frameworks_profile(good: str) -> str:
    return (
        good.replace("{accelerator: none}", "{accelerator: cpu}").replace("layers: [stig]", LAYERS)
        + SECTION
    )


def test_stack_is_parsed(profile_file: Write, frameworks_profile: str) -> None:
    profile = load_profile(profile_file(frameworks_profile))

    assert profile.frameworks
    (stack,) = profile.frameworks.stacks
    assert (stack.name, stack.lock, stack.python) == ("serving", "ai-serving", "3.12")
    assert stack.sources[0].cmake == ("GGML_NATIVE=OFF",)
    assert not stack.system_site_packages


def test_relative_paths_resolve_against_profile_folder(
    profile_file: Write, frameworks_profile: str
) -> None:
    path = profile_file(
        frameworks_profile.replace(
            "lock: ai-serving", "lock: ./locks/own.lock\n      wheelhouse: ../wheels"
        ).replace("cmake:", "build_lock: ./locks/build.lock, cmake:")
    )

    frameworks = load_profile(path).frameworks

    assert frameworks
    assert frameworks.stacks[0].lock == str(path.parent / "locks/own.lock")
    assert frameworks.stacks[0].wheelhouse == str(path.parent / "../wheels")
    assert frameworks.stacks[0].sources[0].build_lock == str(path.parent / "locks/build.lock")


def test_inherited_relative_path_resolves_against_parent_folder(
    profile_file: Write, frameworks_profile: str, tmp_path: Path
) -> None:
    profile_file(frameworks_profile.replace("lock: ai-serving", "lock: ./own.lock"))
    (tmp_path / "below").mkdir()
    child = tmp_path / "below" / "child.yaml"
    child.write_text("extends: ../profile.yaml\nname: child\ntitle: A child\n", "utf-8")

    frameworks = load_profile(child).frameworks

    assert frameworks
    assert Path(str(frameworks.stacks[0].lock)).resolve() == tmp_path / "own.lock"


@pytest.mark.parametrize(
    ("was", "now", "problem"),
    [
        (SECTION, "", "ml_frameworks needs a section 'frameworks:' with its stacks, got none"),
        (LAYERS, "layers: [stig]", "frameworks: expected ml_frameworks among the layers"),
        (LAYERS, "layers: [ml_cpu, ml_frameworks, stig]", "expected one of ml_cpu and ml_framew"),
        ("name: serving", "name: Serving", "expected a name as serving or vllm-cu130"),
        ("name: serving", "name: ../etc", "expected a name as serving or vllm-cu130"),
        ('python: "3.12"', 'python: "3.9"', "expected 3.11 or 3.12, which rocky9 packages"),
        ('python: "3.12"', "python: 3.12", "expected text (quote it), got 3.12"),
        ('python: "3.12"', 'python: "٣.12"', "frameworks.stacks[0].python: expected a version"),
        ("lock: ai-serving", "lock: ai serving", "expected a lock's name as ai-serving, or a"),
        ("lock: ai-serving", "lock: ./a/../../b", "expected a plain path, got './a/../../b'"),
        ("lock: ai-serving", "lock: -r", "expected a lock's name as ai-serving, or a path"),
        ("lock: ai-serving", 'lock: "ai\\n"', "expected a lock's name as ai-serving, or a path"),
        ("lock: ai-serving", "wheelhouse: wheels", "expected a folder as /srv/wheels or ./wheels"),
        ("lock: ai-serving", "glibc: '2.99'", "expected 2.34 or less, which rocky9 has"),
        ("lock: ai-serving", "glibc: '2'", "glibc: expected e.g. '2.34', got '2'"),
        ("lock: ai-serving", "torch_backend: cuda", "expected cpu, cu130 or rocm7.1"),
        (
            "lock: ai-serving",
            "system_site_packages: true",
            "expected system_site_reason with 'system_site_packages: true'",
        ),
        ("GGML_NATIVE=OFF", "'-DX=1'", "expected a CMake definition as GGML_NATIVE=OFF"),
        ("GGML_NATIVE=OFF", "'A=$(id)'", "expected a CMake definition as GGML_NATIVE=OFF"),
        (
            "[GGML_NATIVE=OFF]}",
            "[]}\n        - {name: llama-cpp-python}",
            "frameworks.stacks[0].sources[1].name: llama-cpp-python is listed twice",
        ),
        ("      lock:", "      lcok:", "frameworks.stacks[0].lcok: unknown setting"),
        ('packages: ["llama-cpp-python[server]"]', "packages: []", "expected at least one entry"),
        ('["llama-cpp-python[server]"]', '["x @ file:///x"]', "expected a Python package as vllm"),
        ('["llama-cpp-python[server]"]', "[--pre]", "expected a Python package as vllm==0.33.0"),
    ],
)
def test_invalid_stack_is_rejected(
    profile_file: Write, frameworks_profile: str, was: str, now: str, problem: str
) -> None:
    assert was in frameworks_profile

    with pytest.raises(InputError) as caught:
        load_profile(profile_file(frameworks_profile.replace(was, now)))

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("parent", "backend", "hardware", "problem"),
    [
        ("rocky9-stig-cpu", "cu130", "", "cu130 needs 'accelerator: nvidia', got 'cpu'"),
        ("rocky9-stig-amd", "cu126", "", "cu126 needs 'accelerator: nvidia', got 'amd'"),
        ("rocky9-stig-nvidia", "rocm7.1", "", "rocm7.1 needs 'accelerator: amd', got 'nvidia'"),
        (
            "rocky9-stig-nvidia",
            "cu130",
            "hardware: {nvidia: {driver: 580.42.01, cuda: '12.9'}}\n",
            "cu130 is CUDA 13.0, which needs driver 580.65.06 or later, got '580.42.01'",
        ),
    ],
)
def test_torch_backend_must_match_accelerator_and_driver(
    profile_file: Write, parent: str, backend: str, hardware: str, problem: str
) -> None:
    path = profile_file(
        f"extends: {parent}\nname: x\ntitle: A stack\n{hardware}frameworks:\n  stacks:\n"
        f"    - {{name: one, packages: [torch], torch_backend: {backend}, python: '3.12'}}\n"
    )

    with pytest.raises(InputError) as caught:
        load_profile(path)

    assert f"frameworks.stacks[0].torch_backend: {problem}" in str(caught.value)


def test_cpu_torch_backend_works_with_every_accelerator(profile_file: Write) -> None:
    path = profile_file(
        "extends: rocky9-stig-nvidia\nname: x\ntitle: A stack\nframeworks:\n  stacks:\n"
        "    - {name: one, packages: [torch], torch_backend: cpu, python: '3.12'}\n"
    )

    assert load_profile(path).frameworks


def test_duplicate_stack_name_is_rejected(profile_file: Write, frameworks_profile: str) -> None:
    text = frameworks_profile + SECTION.partition("stacks:\n")[2]

    with pytest.raises(InputError, match=r"stacks\[1\]\.name: serving is listed twice"):
        load_profile(profile_file(text))


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("lab-stig", "/usr/bin/python3"),
        ("rocky10-stig", ""),
        ("rocky10-stig-cpu", ""),
        ("rocky9-stig-nvidia", "/opt/ai/stacks/pytorch/bin/python3"),
    ],
)
def test_ai_python_is_interpreter_with_pytorch(name: str, python: str) -> None:
    assert load_profile(name).ai_python == python


def test_distribution_pytorch_uses_system_python(
    profile_file: Write, frameworks_profile: str
) -> None:
    path = profile_file(frameworks_profile.replace("lock: ai-serving", "requires: [python3-torch]"))

    profile = load_profile(path)

    assert profile.ai_python == "/usr/bin/python3"
    assert profile.install_packages[-2:] == ("python3.12", "python3-torch")
