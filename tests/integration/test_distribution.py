"""What is in the sdist and in the wheel."""

import tarfile
from pathlib import Path

import pytest

from hardpan.core.files import sha256_file
from tests.integration.distribution import (
    LINKED_FOLDERS,
    PROJECT,
    REPO,
    VERSION,
    Distribution,
    build_distribution,
    copy_checkout,
    dependency_closure,
    list_tracked_files,
)

pytestmark = pytest.mark.integration

_STALE_FILES = {
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


def test_wheel_contains_exactly_the_tracked_files(built: Distribution) -> None:
    links = [f"hardpan/{name}" for name in LINKED_FOLDERS]
    package = {name for name in list_tracked_files("hardpan") if name not in links}
    package |= {f"hardpan/{name}" for name in list_tracked_files(*LINKED_FOLDERS)}
    info = f"hardpan-{VERSION}.dist-info"
    metadata_files = ["METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"]
    licenses = [path for pattern in PROJECT["license-files"] for path in REPO.glob(pattern)]
    metadata_files += [f"licenses/{path.relative_to(REPO)}" for path in licenses]

    names = built.list_names()

    assert len(package) >= _MIN_FILES
    assert sorted(names) == sorted(package | {f"{info}/{name}" for name in metadata_files})
    assert {name.partition("/")[0] for name in names} == {"hardpan", info}
    assert {"hardpan/py.typed", "hardpan/builder/ansible/ansible.cfg"} <= set(names)
    assert built.read(f"{info}/licenses/LICENSE") == (REPO / "LICENSE").read_bytes()
    assert built.read(f"{info}/top_level.txt") == b"hardpan\n"


def test_sdist_excludes_lab_and_tests(built: Distribution) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"LICENSE", "README.md", "pyproject.toml", "hardpan/profiles/lab-ai.yaml"} <= names
    assert {name.partition("/")[0] for name in names if "/" in name} == {
        "hardpan",
        "hardpan.egg-info",
    }


def test_lab_files_have_gpl_licence_headers() -> None:
    programs = [name for name in list_tracked_files("images/lab") if name.endswith(".py")]

    assert "GNU GENERAL PUBLIC LICENSE" in (REPO / "images/lab/LICENSE").read_text("utf-8")
    assert len(programs) >= 20
    for name in programs:
        first_line = (REPO / name).read_text("utf-8").partition("\n")[0]
        assert first_line == "# SPDX-License-Identifier: GPL-2.0-or-later", name


def test_metadata_has_extras_by_role(built: Distribution) -> None:
    metadata = built.metadata

    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == PROJECT["license"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_all("Project-URL") == ["Homepage, https://hardpan.dev"]
    assert metadata.get_all("Classifier") == PROJECT["classifiers"]
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert set(metadata.get_all("Provides-Extra", [])) == {
        *("all", "build", "pdf", "scan", "tools", "tsa")
    }
    assert dependency_closure("hardpan", built) < dependency_closure("hardpan[scan]", built)
    assert dependency_closure("hardpan[scan]", built) < dependency_closure("hardpan[build]", built)
    parts = [
        dependency_closure(f"hardpan[{extra}]", built) for extra in ("build", "pdf", "tools", "tsa")
    ]
    assert dependency_closure("hardpan[all]", built) == set().union(*parts)


def test_rebuild_of_used_checkout_gives_the_same_wheel(built: Distribution, tmp_path: Path) -> None:
    copy = copy_checkout(tmp_path / "used")
    for name, text in _STALE_FILES.items():
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    rebuilt = build_distribution(copy, tmp_path / "dist")

    assert rebuilt.list_names() == built.list_names()
    assert sha256_file(rebuilt.wheel) == sha256_file(built.wheel)
    with tarfile.open(built.sdist) as first_archive, tarfile.open(rebuilt.sdist) as second_archive:
        assert second_archive.getnames() == first_archive.getnames()
