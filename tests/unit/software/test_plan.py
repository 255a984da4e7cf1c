"""From a profile to its packages."""

from typing import Any

import pytest

from hardpan.builder import inputs
from hardpan.profiles.load import load
from hardpan.profiles.model import Profile
from hardpan.profiles.software import eula
from hardpan.profiles.software.fill import matcher
from hardpan.profiles.software.plan import Wanted, plan

DRIVER = "580.178.04"


def nvidia(release: int = 9, **changed: Any) -> Profile:
    return _with(load(f"rocky{release}-stig-nvidia"), "nvidia", changed)


def amd(release: int = 9, **changed: Any) -> Profile:
    return _with(load(f"rocky{release}-stig-amd"), "amd", changed)


def _with(profile: Profile, vendor: str, changed: dict[str, Any]) -> Profile:
    section = getattr(profile.hardware, vendor).model_copy(update=changed)
    hardware = profile.hardware.model_copy(update={vendor: section})
    return profile.model_copy(update={"hardware": hardware})


def of(profile: Profile, layer: str) -> dict[str, Wanted]:
    (made,) = (x for x in plan(profile) if x.layer == layer)
    return {w.package: w for w in made.packages or ()}


def test_a_driver_for_computing_brings_no_desktop_and_no_switch_parts() -> None:
    assert list(of(nvidia(), "nvidia_driver")) == [
        "nvidia-driver-cuda",
        "nvidia-persistenced",
        f"kmod-nvidia-{DRIVER}-*",
        "python3-dnf-plugin-versionlock",
    ]


def test_nvswitch_adds_its_parts_at_the_drivers_version() -> None:
    more = of(nvidia(nvswitch=True), "nvidia_driver").keys() - of(nvidia(), "nvidia_driver").keys()

    assert more == {"nvidia-fabricmanager", "libnvidia-nscq", "libnvsdm", "nvidia-imex"}
    assert {of(nvidia(nvswitch=True), "nvidia_driver")[name].version for name in more} == {DRIVER}


def test_el9_holds_the_driver_by_module_stream_and_el10_by_versionlock() -> None:
    nine = of(nvidia(9), "nvidia_driver")["nvidia-driver-cuda"]
    ten = of(nvidia(10), "nvidia_driver")["nvidia-driver-cuda"]

    assert (nine.version, nine.stream, nine.lock) == (DRIVER, "nvidia-driver:580-open", None)
    assert (ten.version, ten.stream, ten.lock) == (DRIVER, None, "versionlock")
    assert nine.origin.key_sha256 != ten.origin.key_sha256
    assert "/rhel9/" in str(nine.origin.url)
    assert "/rhel10/" in str(ten.origin.url)


@pytest.mark.parametrize(
    ("signing", "kind", "kmod", "repository"),
    [
        ("site_key", "open", f"kmod-nvidia-{DRIVER}-*", "site"),
        ("site_key", "proprietary", f"kmod-nvidia-{DRIVER}-*", "site"),
        ("secure_boot_off", "open", "kmod-nvidia-open-dkms", "cuda"),
        ("secure_boot_off", "proprietary", "kmod-nvidia-latest-dkms", "cuda"),
    ],
)
def test_who_signs_decides_about_the_kernel_module(
    signing: str, kind: str, kmod: str, repository: str
) -> None:
    profile = nvidia(module_signing=signing, kernel_module=kind)

    found = of(profile, "nvidia_driver")

    assert {n for n in found if n.startswith("kmod-")} == {kmod}
    assert found[kmod].origin.id == repository
    assert ("dkms" in found) == (signing == "secure_boot_off")
    stream = {"open": "nvidia-driver:580-open", "proprietary": "nvidia-driver:580-dkms"}[kind]
    assert found["nvidia-driver-cuda"].stream == stream


def test_the_toolkit_is_named_by_its_version_and_never_cuda() -> None:
    names = list(of(nvidia(cuda="12.9"), "cuda"))

    assert names[0] == "cuda-toolkit-12-9"
    assert "datacenter-gpu-manager-4-cuda12" in names
    assert "cuda" not in names


@pytest.mark.parametrize(
    ("release", "rocm", "gfx", "packages", "where"),
    [
        (9, "7.0.1", "gfx942", ["rocm-hip-runtime", "rocm-smi-lib", "amd-smi-lib"], "el9/7.0.1/m"),
        (10, "7.2", "gfx950", ["rocm-hip-runtime", "rocm-smi-lib", "amd-smi-lib"], "el10/7.2/m"),
        (9, "7.9", "gfx90a", ["amdrocm7.9-gfx90a"], "packages-multi-arch/rhel9/"),
        (10, "7.14.1", "gfx942", ["amdrocm7.14-gfx942"], "packages-multi-arch/rhel10/"),
        (10, "10.0", "gfx950", ["amdrocm10.0-gfx950"], "stable.repo.amd.com/rocm/core/"),
    ],
)
def test_rocm_is_named_as_its_generation_names_it(
    release: int, rocm: str, gfx: str, packages: list[str], where: str
) -> None:
    found = of(amd(release, rocm=rocm, gfx_target=gfx), "rocm")

    assert list(found) == packages
    assert all(where in str(w.origin.url) for w in found.values())


def test_amds_driver_is_pinned_by_its_repositorys_address() -> None:
    dkms = of(amd(), "amd_driver")["amdgpu-dkms"]

    assert dkms.origin.url == "https://repo.radeon.com/amdgpu/30.10.1/el/9.6/main/x86_64/"
    assert dkms.version is None


@pytest.mark.parametrize(
    ("name", "toolkit"), [("rocky9-stig-nvidia", True), ("rocky9-stig-amd", False)]
)
def test_containers_get_the_toolkit_for_nvidia_alone(name: str, toolkit: bool) -> None:
    profile = load(name).model_copy(update={"layers": ("containers", "stig")})

    found = of(profile, "containers")

    assert ("nvidia-container-toolkit-base" in found) is toolkit
    assert "podman" in found


def test_a_layer_that_is_not_listed_says_so_instead_of_nothing() -> None:
    made = {x.layer: x.packages for x in plan(load("rocky9-stig-cpu"))}

    assert made == {"ml_frameworks": None, "stig": None}


def test_what_is_not_known_is_called_unknown() -> None:
    cuda = next(x for x in inputs.layers(nvidia()) if x["layer"] == "cuda")
    rocm = next(x for x in inputs.layers(amd()) if x["layer"] == "rocm")

    assert cuda["size"] == "unknown for 4 of 4 packages"
    assert "to be pinned" in str(rocm["from"])


def test_only_a_persons_yes_accepts_a_licence() -> None:
    assert "nvidia-driver-cuda" in eula.unaccepted(nvidia())
    assert eula.unaccepted(nvidia(accept_eula=True)) == ()
    assert eula.unaccepted(amd()) == ()


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("cuda-toolkit-{cuda_dash}", "cuda-toolkit-13-3", True),
        ("cuda-toolkit-{cuda_dash}", "cuda-toolkit-13", False),
        ("cuda-toolkit-{cuda_dash}", "cuda-toolkit-13-3-config-common", False),
        ("amdrocm{rocm_series}-{gfx}", "amdrocm7.14-gfx90a", True),
        ("amdrocm{rocm_series}-{gfx}", "amdrocm7x14-gfx90a", False),
        ("amdrocm{rocm_series}-{gfx}", "amdrocm\u0667.14-gfx90a", False),
        ("kmod-nvidia-{driver}-*", "kmod-nvidia-580.178.04-5.14.0-611", True),
        ("kmod-nvidia-{driver}-*", "kmod-nvidia-open-dkms", False),
    ],
)
def test_a_pattern_fits_what_it_can_become(pattern: str, name: str, fits: bool) -> None:
    assert (matcher(pattern).fullmatch(name) is not None) is fits
