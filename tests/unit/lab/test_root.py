"""The lab's root is built of packages; what is done to it from outside stays inside of it."""

import lzma
from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from images.lab import boot
from images.lab.root import require_inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the usual links: some right only for who runs in it."""
    folder = tmp_path / "root"
    (folder / "usr/lib").mkdir(parents=True)
    (folder / "var").mkdir()
    (folder / "lib").symlink_to("usr/lib")
    (folder / "var/run").symlink_to(tmp_path / "run")
    (folder / "var/up").symlink_to("../..")
    (folder / "etc").symlink_to("/etc")
    (folder / "loop").symlink_to("loop")
    return folder


@pytest.mark.parametrize("name", ["usr/lib/x", "lib/x", "usr/none/x", "."])
def test_path_inside_root_is_accepted(root: Path, name: str) -> None:
    assert require_inside(root, root / name) == root / name


@pytest.mark.parametrize("name", ["var/run/x", "var/up/x", "etc/shadow", "usr/../../x", "etc"])
def test_link_leaving_root_is_refused(root: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected a place inside of"):
        require_inside(root, root / name)


def test_kernel_module_size_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "x.ko.xz"
    module.write_bytes(lzma.compress(b"module" * 100))
    assert boot._read_module(module) == b"module" * 100
    monkeypatch.setattr(boot, "MAX_MODULE_BYTES", 1000)
    module.write_bytes(lzma.compress(b"\0" * (4 << 20)))

    with pytest.raises(InputError, match="unpacks to more than 1000 bytes"):
        boot._read_module(module)
    module.write_bytes(b"this is no XZ data at all")
    with pytest.raises(InputError, match="expected XZ data"):
        boot._read_module(module)
