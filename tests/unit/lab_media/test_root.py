"""The lab's root is built of packages; what is done to it from outside stays inside of it."""

import lzma
from pathlib import Path

import pytest

from hardpan.errors import InputError
from images.lab import boot
from images.lab.root import require_inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the usual links: some right only for who runs in it."""
    made = tmp_path / "root"
    (made / "usr/lib").mkdir(parents=True)
    (made / "var").mkdir()
    (made / "lib").symlink_to("usr/lib")
    (made / "var/run").symlink_to(tmp_path / "run")
    (made / "var/up").symlink_to("../..")
    (made / "etc").symlink_to("/etc")
    (made / "loop").symlink_to("loop")
    return made


@pytest.mark.parametrize("name", ["usr/lib/x", "lib/x", "usr/none/x", "."])
def test_a_place_of_the_root_is_taken(root: Path, name: str) -> None:
    assert require_inside(root, root / name) == root / name


@pytest.mark.parametrize("name", ["var/run/x", "var/up/x", "etc/shadow", "usr/../../x", "etc"])
def test_a_link_out_of_the_root_is_refused(root: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected a place inside of"):
        require_inside(root, root / name)


def test_a_kernel_module_is_unpacked_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "x.ko.xz"
    module.write_bytes(lzma.compress(b"module" * 100))
    assert boot._plain_module(module) == b"module" * 100
    monkeypatch.setattr(boot, "MAX_MODULE_BYTES", 1000)
    module.write_bytes(lzma.compress(b"\0" * (4 << 20)))

    with pytest.raises(InputError, match="unpacks to more than 1000 bytes"):
        boot._plain_module(module)
    module.write_bytes(b"this is no XZ data at all")
    with pytest.raises(InputError, match="expected XZ data"):
        boot._plain_module(module)
