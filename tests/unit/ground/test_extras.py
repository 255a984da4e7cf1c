import tomllib
from pathlib import Path

import pytest

from hardpan.extras import EXTRAS, missing_package

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def lacking(name: str) -> ModuleNotFoundError:
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
def test_a_missing_package_is_named_with_its_extra(name: str, command: str, extra: str) -> None:
    error = missing_package(lacking(name), command)

    assert error is not None
    assert int(error.exit_code) == 4
    assert str(error) == (
        f"hardpan {command}: {name.partition('.')[0]} is not installed: "
        f"expected the extra '{extra}', got an installation without it"
    )
    assert error.hint == f"pip install 'hardpan[{extra}]'"


@pytest.mark.parametrize("name", ["lxml", "hardpan.nothing", "paramiko.nothing"])
def test_any_other_missing_module_is_a_bug(name: str) -> None:
    assert missing_package(lacking(name), "scan") is None
    assert missing_package(ModuleNotFoundError("planted"), "scan") is None


def test_every_extra_of_the_table_exists() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]

    assert set(EXTRAS.values()) <= set(project["optional-dependencies"])
