import tomllib
from pathlib import Path

import pytest

from hardpan.core.extras import EXTRA_BY_MODULE, missing_extra_error

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def module_error(name: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("name", "command", "extra"),
    [
        ("paramiko", "scan", "scan"),
        ("testinfra", "smoke", "scan"),
        ("paramiko", "build", "build"),
        ("qemu.qmp", "prove", "build"),
        ("ansible_runner", "build", "build"),
        ("rfc3161_client", "verify", "tsa"),
    ],
)
def test_missing_package_error_names_the_extra(name: str, command: str, extra: str) -> None:
    error = missing_extra_error(module_error(name), command)

    assert error is not None
    assert int(error.exit_code) == 4
    assert str(error) == (
        f"hardpan {command}: {name.partition('.')[0]} is not installed: "
        f"expected the extra '{extra}', got an installation without it"
    )
    assert error.hint == f"pip install 'hardpan[{extra}]'"


@pytest.mark.parametrize("name", ["lxml", "hardpan.nothing", "paramiko.nothing"])
def test_unknown_missing_module_is_a_bug(name: str) -> None:
    assert missing_extra_error(module_error(name), "scan") is None
    assert missing_extra_error(ModuleNotFoundError("planted"), "scan") is None


def test_every_extra_is_defined_in_pyproject() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]

    assert set(EXTRA_BY_MODULE.values()) <= set(project["optional-dependencies"])
