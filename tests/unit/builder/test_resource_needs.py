"""Disk and memory that a build needs grow with its packages and layers."""

import pytest

from hardpan.builder import resource_needs
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import LayerName

GIB = 1 << 30


def test_install_needs_more_than_its_packages() -> None:
    assert resource_needs.install_required_mib(856 << 20) == 2094
    assert resource_needs.install_required_mib(4 * GIB) == 6144
    assert resource_needs.install_required_mib(0) == 3584


@pytest.mark.parametrize("release", ["rocky9", "rocky10"])
def test_bigger_layers_need_more_disk(release: str) -> None:
    profiles = [load_profile(f"{release}-stig{suffix}") for suffix in ("", "-cpu", "-nvidia")]

    needs = [resource_needs.image_mib(profile, GIB) for profile in profiles]

    assert needs[0] == resource_needs.install_required_mib(GIB)
    assert needs == sorted(set(needs))
    assert needs[2] > 30_000


@pytest.mark.parametrize("layer", sorted(resource_needs.LAYER_MIB))
def test_layer_needs_more_disk_and_no_less_memory(layer: LayerName) -> None:
    profile = load_profile("lab-stig").model_copy(update={"layers": ("stig",)})
    larger = profile.model_copy(update={"layers": (layer, "stig")})

    disk = [resource_needs.image_mib(p, GIB) for p in (profile, larger)]
    overlays = [resource_needs.layer_required_mib(larger, name) for name in larger.layers]
    memory = [resource_needs.guest_memory_mib(p, 300) for p in (profile, larger)]

    assert disk[0] < disk[1]
    assert overlays[0] > overlays[1] == 512
    assert memory[0] <= memory[1]


def test_memory_grows_with_packages_and_layers() -> None:
    stig, cpu = load_profile("rocky9-stig"), load_profile("rocky9-stig-cpu")

    assert resource_needs.guest_memory_mib(stig, 396) == 1420
    assert resource_needs.guest_memory_mib(stig, 800) == 1824
    assert resource_needs.guest_memory_mib(cpu, 396) > 1420
