from hardpan.builder.vm.probe import Acceleration, boot_sector


def test_boot_sector_has_bios_signature() -> None:
    sector = boot_sector()

    assert len(sector) == 512
    assert sector.endswith(b"\x55\xaa")


def test_tcg_uses_max_cpu_and_longer_timeouts() -> None:
    tcg = Acceleration(kind="tcg", reason="")

    assert "max,-erms,-fsrm,-la57" in tcg.arguments
    assert "host" not in tcg.arguments
    assert tcg.timeout_factor > Acceleration(kind="kvm", reason="").timeout_factor
