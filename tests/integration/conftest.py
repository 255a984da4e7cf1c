"""What the integration tests share: the lab media and one whole run of ``prove``.

Both are built once and cached under ``images/cache``, as ``make demo`` does.
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardpan.core.errors import ToolError
from hardpan.core.files import atomic_path
from hardpan.core.process import CompletedProcess, run
from tests.integration.distribution import Distribution, build_distribution, copy_checkout
from tests.integration.lab_host import LabHost, Payload, lab_host, unpack_payload

REPO = Path(__file__).parents[2]
CACHE = REPO / "images" / "cache"
DATA = CACHE / "data"
"""``$XDG_DATA_HOME`` of the runs of ``prove``: their generated keys."""


@pytest.fixture(scope="session")
def lab_media() -> dict[str, object]:
    """The receipt of the lab media's builder."""
    process = run(
        [sys.executable, "-m", "images.lab.build", "--cache", CACHE, "--json"],
        timeout_s=1200,
        cwd=REPO,
    )
    receipt = json.loads(process.stdout)
    assert isinstance(receipt, dict)
    return receipt


@pytest.fixture(scope="session")
def lab_payload(lab_media: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Payload:
    """The lab media, unpacked once for all lab hosts of a session."""
    assert os.geteuid() == 0, "lab hosts need root: they are namespaces and mounts"
    # The workers of pytest-xdist have a folder each below a common one: who comes first unpacks.
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "lab"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with atomic_path(folder) as temp:
                unpack_payload(Path(str(lab_media["iso"])), temp)
    return Payload.unpacked_in(folder)


@pytest.fixture
def host(lab_payload: Payload, tmp_path: Path) -> Iterator[LabHost]:
    """A fresh lab host, booted; some two seconds."""
    with lab_host(lab_payload, tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """hardpan's sdist and wheel, from a clean copy of the checkout."""
    folder = tmp_path_factory.mktemp("built")
    return build_distribution(copy_checkout(folder / "copy"), folder / "dist")


class ProveRun:
    """One finished run of ``hardpan prove``."""

    def __init__(self, output_folder: Path, process: CompletedProcess) -> None:
        self.output_folder = output_folder
        self.stderr = process.stderr
        self.stdout = process.stdout
        self.returncode = process.returncode
        self.duration_s = process.duration_s

    @property
    def evidence(self) -> Path:
        """The evidence file."""
        (path,) = self.output_folder.glob("*.evidence.zip")
        return path


def run_prove(output_folder: Path, profile: str = "lab-stig") -> ProveRun:
    """Run ``hardpan prove`` as a person would."""
    argv = [
        sys.executable,
        "-m",
        "hardpan",
        "prove",
        profile,
        "-o",
        output_folder,
        "--cache",
        CACHE,
    ]
    # Not what the developer of this machine may have stored by 'hardpan content update'.
    argv += ["--content", "shipped"]
    env = {"XDG_DATA_HOME": str(DATA)}
    try:
        process = run(argv, timeout_s=3600, ok=(0, 1), cwd=REPO, env=env)
    except ToolError as e:
        pytest.fail(f"{e}\n{e.output_tail}")
    return ProveRun(output_folder, process)


@pytest.fixture(scope="session")
def proved(tmp_path_factory: pytest.TempPathFactory) -> ProveRun:
    """The main job, once for all tests of a session."""
    return run_prove(tmp_path_factory.mktemp("proved") / "out")


@pytest.fixture(scope="session")
def proved_ai(tmp_path_factory: pytest.TempPathFactory) -> ProveRun:
    """The main job with the AI service, once for all tests of a session."""
    return run_prove(tmp_path_factory.mktemp("proved-ai") / "out", "lab-ai")
