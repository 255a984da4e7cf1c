from hardpan.builder.machine.probe import Acceleration, boot_sector


def test_the_boot_sector_is_one_that_a_bios_starts() -> None:
    sector = boot_sector()

    assert len(sector) == 512
    assert sector.endswith(b"\x55\xaa")


def test_without_kvm_the_processor_is_the_fullest_one_and_deadlines_stretch() -> None:
    tcg = Acceleration(kind="tcg", reason="")

    assert "max,-erms,-fsrm,-la57" in tcg.arguments
    assert "host" not in tcg.arguments
    assert tcg.patience > Acceleration(kind="kvm", reason="").patience
