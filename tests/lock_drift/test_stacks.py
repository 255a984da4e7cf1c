"""A stack contains the files of its lock and is built by the locked build tools."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from hardpan.builder.python_stacks import locks
from hardpan.builder.python_stacks.fetch import download_wheels
from hardpan.builder.python_stacks.model import LockedStack, StackWheels
from hardpan.core.events import discard
from hardpan.core.files import sha256_file
from hardpan.profiles.schema.frameworks import Stack
from tests.lock_drift.local_index import LocalIndex, make_newer_release, make_wheel, serve

pytestmark = pytest.mark.integration

_BACKEND = """
import zipfile

def build_wheel(to, config_settings=None, metadata_directory=None):
    name = "native-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{to}/{name}", "w") as archive:
        archive.writestr("native.py", "BUILT_BY = 'backend VERSION'")
        info = "native-1.0.dist-info"
        metadata = "Metadata-Version: 2.1\\nName: native\\nVersion: 1.0\\n"
        archive.writestr(f"{info}/METADATA", metadata)
        tag = "Root-Is-Purelib: true\\nTag: py3-none-any\\n"
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\n" + tag)
        archive.writestr(f"{info}/RECORD", "")
    return name
"""
_PYPROJECT = """
[build-system]
requires = ["backend>=1"]
build-backend = "backend"
[project]
name = "native"
version = "1.0"
"""


def render_lock(*paths: Path) -> str:
    """A lock with these files."""
    names = [path.name.removesuffix(".tar.gz").split("-")[:2] for path in paths]
    return "".join(
        f"{name}=={version} --hash=sha256:{sha256_file(path)}\n"
        for (name, version), path in zip(names, paths, strict=True)
    )


def download_stack(folder: Path, index: LocalIndex, monkeypatch: pytest.MonkeyPatch) -> StackWheels:
    """The files of a stack that takes ``native`` as source, by the locks in ``folder``."""
    for name, value in index.environment.items():
        monkeypatch.setenv(name, value)
    stack = Stack.model_validate(
        {
            "name": "one",
            "packages": ["app"],
            "lock": str(folder / "one.lock"),
            "python": "3.12",
            "sources": [{"name": "native", "build_lock": str(folder / "build.lock")}],
        }
    )
    recipe = LockedStack(
        stack=stack,
        release="rocky9",
        lock=locks.read_lock(stack),
        build_tools=locks.read_build_tools(stack),
    )
    return download_wheels(recipe, folder / "cache", discard)


def make_sdist(folder: Path) -> Path:
    """A source that asks for any release of its build tool."""
    path = folder / "native-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("native-1.0/pyproject.toml")
        member.size = len(_PYPROJECT)
        archive.addfile(member, io.BytesIO(_PYPROJECT.encode()))
    return path


def test_stack_uses_locked_files_and_locked_build_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    app = make_wheel(files, "app", "1.0", requires=("part[more]>=1",))
    part = make_wheel(files, "part", "1.0")
    native = make_sdist(files)
    old, new = (
        make_wheel(files, "backend", v, files={"backend.py": _BACKEND.replace("VERSION", v)})
        for v in ("1.0", "2.0")
    )
    for path in (app, part, native):
        make_newer_release(files, path.name.partition("-")[0], "1.0")
    (tmp_path / "one.lock").write_text(render_lock(app, part, native), "utf-8")
    (tmp_path / "build.lock").write_text(render_lock(old), "utf-8")

    with serve(files, frozenset(path.name for path in (app, part, native, old))) as index:
        stack_wheels = download_stack(tmp_path, index, monkeypatch)

    assert set(index.downloads) == index.locked
    assert new.name not in index.downloads
    names = {path.name for path in stack_wheels.folder.iterdir()}
    assert names == {app.name, part.name, "native-1.0-py3-none-any.whl"}
    with zipfile.ZipFile(stack_wheels.folder / "native-1.0-py3-none-any.whl") as archive:
        assert archive.read("native.py") == b"BUILT_BY = 'backend 1.0'"
