"""What is in the sdist and in the wheel."""

import tarfile
from pathlib import Path

import pytest

from hardpan.files import sha256_file
from tests.integration.distribution import (
    LINKED,
    PROJECT,
    REPO,
    VERSION,
    Built,
    build,
    closure,
    copy_checkout,
    tracked,
)

pytestmark = pytest.mark.integration

_LEFT_OVER = {
    "hardpan/__pycache__/cli.cpython-311.pyc": "bytecode",
    "scanners/evidence/__pycache__/verify.cpython-311.pyc": "bytecode",
    "builder/ansible/.ansible/.lock": "by ansible-lint",
    "build/lib/hardpan/deleted.py": "by 'pip wheel .', before the module was deleted",
    "hardpan.egg-info/SOURCES.txt": "images/lab/build.py\ntests/conftest.py\n",
    "tests/conftest.py": "",
}
"""What a checkout holds that was worked in, and what an old list of sources names."""

_MIN_FILES = 480
"""Files of the import package; it had 487 when this was written."""


def test_wheel_holds_every_tracked_file_of_the_package_and_no_other(built: Built) -> None:
    links = [f"hardpan/{name}" for name in LINKED]
    package = {name for name in tracked("hardpan") if name not in links}
    package |= {f"hardpan/{name}" for name in tracked(*LINKED)}
    info = f"hardpan-{VERSION}.dist-info"
    about = ["METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"]
    about += [f"licenses/{name}" for name in PROJECT["license-files"]]

    names = built.names()

    assert len(package) >= _MIN_FILES
    assert sorted(names) == sorted(package | {f"{info}/{name}" for name in about})
    assert {name.partition("/")[0] for name in names} == {"hardpan", info}
    assert {"hardpan/py.typed", "hardpan/builder/ansible/ansible.cfg"} <= set(names)
    assert built.read(f"{info}/licenses/LICENSE") == (REPO / "LICENSE").read_bytes()
    assert built.read(f"{info}/top_level.txt") == b"hardpan\n"


def test_sdist_holds_neither_the_lab_nor_the_tests(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"LICENSE", "README.md", "pyproject.toml", "hardpan/profiles/lab-ai.yaml"} <= names
    assert {name.partition("/")[0] for name in names if "/" in name} == {
        "hardpan",
        "hardpan.egg-info",
    }


def test_lab_has_a_licence_of_its_own() -> None:
    programs = [name for name in tracked("images/lab") if name.endswith(".py")]

    assert "GNU GENERAL PUBLIC LICENSE" in (REPO / "images/lab/LICENSE").read_text("utf-8")
    assert len(programs) >= 20
    for name in programs:
        first = (REPO / name).read_text("utf-8").partition("\n")[0]
        assert first == "# SPDX-License-Identifier: GPL-2.0-or-later", name


def test_metadata_has_extras_by_role(built: Built) -> None:
    about = built.metadata

    assert about["Version"] == VERSION
    assert about["License-Expression"] == PROJECT["license"]
    assert about["Requires-Python"] == ">=3.11"
    assert about.get_all("Project-URL") == ["Homepage, https://hardpan.dev"]
    assert about.get_all("Classifier") == PROJECT["classifiers"]
    assert "Typing :: Typed" in about.get_all("Classifier", [])
    assert set(about.get_all("Provides-Extra", [])) == {
        *("all", "build", "pdf", "scan", "tools", "tsa")
    }
    assert closure("hardpan", built) < closure("hardpan[scan]", built)
    assert closure("hardpan[scan]", built) < closure("hardpan[build]", built)
    parts = [closure(f"hardpan[{extra}]", built) for extra in ("build", "pdf", "tools", "tsa")]
    assert closure("hardpan[all]", built) == set().union(*parts)


def test_second_build_of_a_used_checkout_gives_the_same_wheel(built: Built, tmp_path: Path) -> None:
    copy = copy_checkout(tmp_path / "used")
    for name, text in _LEFT_OVER.items():
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    again = build(copy, tmp_path / "dist")

    assert again.names() == built.names()
    assert sha256_file(again.wheel) == sha256_file(built.wheel)
    with tarfile.open(built.sdist) as first, tarfile.open(again.sdist) as second:
        assert second.getnames() == first.getnames()
