"""Each folder of tests without processes is isolated."""

import importlib
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests import isolation
from tests.conftest import _WITHOUT_PROCESSES


@pytest.mark.parametrize("folder", _WITHOUT_PROCESSES)
def test_folder_uses_the_fixture(folder: str) -> None:
    conftest = importlib.import_module(f"tests.{folder}.conftest")

    assert conftest.isolate is isolation.isolate


def test_processes_and_sockets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="may start no process"):
        subprocess.Popen(["/bin/true"])
    with socket.socket(socket.AF_UNIX) as s, pytest.raises(AssertionError, match="no socket"):
        s.bind(str(tmp_path / "s"))
    assert Path(os.environ["XDG_DATA_HOME"]).parent.is_relative_to(tmp_path.parent)
