from pathlib import Path

import pytest

from images.lab.installer import initramfs
from images.lab.installer.plan import InstallError

KERNEL = "6.12.1-cloud-amd64"


class FakeConsole:
    """Collects what the installer prints."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def print_line(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A new system with one kernel in ``tmp_path``; the commands that are run in it."""
    recorded: list[list[str]] = []
    monkeypatch.setattr(initramfs, "SYSROOT", tmp_path)
    monkeypatch.setattr(initramfs, "run", lambda argv, **_options: recorded.append(argv))
    (tmp_path / "boot").mkdir()
    (tmp_path / f"boot/vmlinuz-{KERNEL}").touch()
    return recorded


def test_initramfs_is_host_only_without_the_generic_package(
    tmp_path: Path, calls: list[list[str]]
) -> None:
    initramfs.make_initramfs(FakeConsole(), fips=False)  # type: ignore[arg-type]
    assert calls == [["dracut", "--force", "--quiet", f"/boot/initramfs-{KERNEL}.img", KERNEL]]

    config = tmp_path / "usr/lib/dracut/dracut.conf.d/50-generic.conf"
    config.parent.mkdir(parents=True)
    config.touch()
    initramfs.make_initramfs(FakeConsole(), fips=False)  # type: ignore[arg-type]
    assert len(calls) == 1
    assert not (tmp_path / "etc/dracut.conf.d").exists()


def test_fips_installation_has_dracut_module_for_later_kernels(
    tmp_path: Path, calls: list[list[str]]
) -> None:
    initramfs.make_initramfs(FakeConsole(), fips=True)  # type: ignore[arg-type]

    config = (tmp_path / "etc/dracut.conf.d/40-fips.conf").read_text("utf-8")
    assert 'add_dracutmodules+=" fips "' in config.splitlines()


def test_system_without_kernel_is_an_error(tmp_path: Path, calls: list[list[str]]) -> None:
    (tmp_path / f"boot/vmlinuz-{KERNEL}").unlink()

    with pytest.raises(InstallError, match="no kernel in /boot"):
        initramfs.make_initramfs(FakeConsole(), fips=False)  # type: ignore[arg-type]
    assert not calls
