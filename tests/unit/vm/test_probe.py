from pathlib import Path

import pytest

from hardpan.builder.vm import probe
from hardpan.builder.vm.probe import Acceleration, boot_sector


def test_boot_sector_has_bios_signature() -> None:
    sector = boot_sector()

    assert len(sector) == 512
    assert sector.endswith(b"\x55\xaa")


def test_tcg_uses_max_cpu_and_longer_timeouts() -> None:
    tcg = Acceleration(kind="tcg", reason="")

    assert "max,-erms,-fsrm,-la57,-smap" in tcg.arguments
    assert "host" not in tcg.arguments
    assert tcg.timeout_factor > Acceleration(kind="kvm", reason="").timeout_factor


def test_find_qemu_uses_the_program_of_enterprise_linux(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qemu_kvm = tmp_path / "qemu-kvm"
    monkeypatch.setattr(probe, "find_program", lambda _: None)
    monkeypatch.setattr(probe, "_EL_QEMU", qemu_kvm)

    assert probe.find_qemu() is None
    qemu_kvm.touch()
    assert probe.find_qemu() == qemu_kvm
