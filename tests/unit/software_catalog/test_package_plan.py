"""From a profile to its packages."""

from typing import Any

import pytest

from hardpan.builder import build_manifest
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.software_catalog import eula
from hardpan.profiles.software_catalog.package_plan import PackageSpec, plan_packages
from hardpan.profiles.software_catalog.placeholders import to_pattern

DRIVER = "580.178.04"


def nvidia(release: int = 9, **changed: Any) -> Profile:
    return _with_section(load_profile(f"rocky{release}-stig-nvidia"), "nvidia", changed)


def amd(release: int = 9, **changed: Any) -> Profile:
    return _with_section(load_profile(f"rocky{release}-stig-amd"), "amd", changed)


def _with_section(profile: Profile, vendor: str, changed: dict[str, Any]) -> Profile:
    section = getattr(profile.hardware, vendor).model_copy(update=changed)
    hardware = profile.hardware.model_copy(update={vendor: section})
    return profile.model_copy(update={"hardware": hardware})


def packages_of(profile: Profile, layer: str) -> dict[str, PackageSpec]:
    (layer_plan,) = (x for x in plan_packages(profile) if x.layer == layer)
    return {w.package: w for w in layer_plan.packages or ()}


def test_compute_driver_has_no_desktop_or_nvswitch_packages() -> None:
    assert list(packages_of(nvidia(), "nvidia_driver")) == [
        "nvidia-driver-cuda",
        "nvidia-persistenced",
        f"kmod-nvidia-open-{DRIVER}-*",
        "kmod-nvidia-open-dkms",
        "kernel-devel-matched",
        "kernel-headers",
        "dkms",
        "python3-dnf-plugin-versionlock",
    ]


def test_nvswitch_packages_have_driver_version() -> None:
    added = (
        packages_of(nvidia(nvswitch=True), "nvidia_driver").keys()
        - packages_of(nvidia(), "nvidia_driver").keys()
    )

    assert added == {"nvidia-fabricmanager", "libnvidia-nscq", "libnvsdm", "nvidia-imex"}
    assert {
        packages_of(nvidia(nvswitch=True), "nvidia_driver")[name].version for name in added
    } == {DRIVER}


def test_driver_is_pinned_by_stream_on_el9_and_versionlock_on_el10() -> None:
    nine = packages_of(nvidia(9), "nvidia_driver")["nvidia-driver-cuda"]
    ten = packages_of(nvidia(10), "nvidia_driver")["nvidia-driver-cuda"]

    assert (nine.version, nine.stream, nine.lock) == (DRIVER, "nvidia-driver:580-open", None)
    assert (ten.version, ten.stream, ten.lock) == (DRIVER, None, "versionlock")
    assert nine.repository.key_sha256 != ten.repository.key_sha256
    assert "/rhel9/" in str(nine.repository.url)
    assert "/rhel10/" in str(ten.repository.url)


OPEN_MODULES = {f"kmod-nvidia-open-{DRIVER}-*": "precompiled", "kmod-nvidia-open-dkms": "build"}
PROPRIETARY_MODULES = {
    f"kmod-nvidia-{DRIVER}-*": "precompiled",
    "kmod-nvidia-latest-dkms": "build",
}


@pytest.mark.parametrize(
    ("signing", "kind", "kmods", "repository"),
    [
        ("site_key", "open", {f"kmod-nvidia-{DRIVER}-*": "run"}, "site"),
        ("site_key", "proprietary", {f"kmod-nvidia-{DRIVER}-*": "run"}, "site"),
        ("automatic", "open", OPEN_MODULES, "cuda"),
        ("secure_boot_off", "open", OPEN_MODULES, "cuda"),
        ("automatic", "proprietary", PROPRIETARY_MODULES, "cuda"),
    ],
)
def test_module_signing_selects_kernel_module_packages(
    signing: str, kind: str, kmods: dict[str, str], repository: str
) -> None:
    profile = nvidia(module_signing=signing, kernel_module=kind)

    packages = packages_of(profile, "nvidia_driver")

    assert {n: p.purpose for n, p in packages.items() if n.startswith("kmod-")} == kmods
    assert {packages[name].repository.id for name in kmods} == {repository}
    build_tools = {"dkms", "kernel-devel-matched", "kernel-headers"}
    assert build_tools & set(packages) == (set() if signing == "site_key" else build_tools)
    assert {packages[n].purpose for n in build_tools if n in packages} <= {"build"}
    stream = {"open": "nvidia-driver:580-open", "proprietary": "nvidia-driver:580-dkms"}[kind]
    assert packages["nvidia-driver-cuda"].stream == stream


def test_cuda_toolkit_package_has_version_in_name() -> None:
    names = list(packages_of(nvidia(cuda="12.9"), "cuda"))

    assert names[0] == "cuda-toolkit-12-9"
    assert "datacenter-gpu-manager-4-cuda12" in names
    assert "cuda" not in names


@pytest.mark.parametrize(
    ("release", "rocm", "gfx", "packages", "url_part"),
    [
        (9, "7.0.1", "gfx942", ["rocm-hip-runtime", "rocm-smi-lib", "amd-smi-lib"], "el9/7.0.1/m"),
        (10, "7.2", "gfx950", ["rocm-hip-runtime", "rocm-smi-lib", "amd-smi-lib"], "el10/7.2/m"),
        (9, "7.9", "gfx90a", ["amdrocm7.9-gfx90a"], "packages-multi-arch/rhel9/"),
        (10, "7.14.1", "gfx942", ["amdrocm7.14-gfx942"], "packages-multi-arch/rhel10/"),
        (10, "10.0", "gfx950", ["amdrocm10.0-gfx950"], "stable.repo.amd.com/rocm/core/"),
    ],
)
def test_rocm_packages_depend_on_generation(
    release: int, rocm: str, gfx: str, packages: list[str], url_part: str
) -> None:
    specs = packages_of(amd(release, rocm=rocm, gfx_target=gfx), "rocm")

    assert list(specs) == packages
    assert all(url_part in str(w.repository.url) for w in specs.values())


def test_amd_driver_is_pinned_by_repository_address() -> None:
    dkms = packages_of(amd(), "amd_driver")["amdgpu-dkms"]

    assert dkms.repository.url == "https://repo.radeon.com/amdgpu/30.10.1/el/9.6/main/x86_64/"
    assert dkms.version is None


@pytest.mark.parametrize(
    ("name", "toolkit"), [("rocky9-stig-nvidia", True), ("rocky9-stig-amd", False)]
)
def test_container_toolkit_is_installed_for_nvidia_only(name: str, toolkit: bool) -> None:
    profile = load_profile(name).model_copy(update={"layers": ("containers", "stig")})

    packages = packages_of(profile, "containers")

    assert ("nvidia-container-toolkit-base" in packages) is toolkit
    assert "podman" in packages


def test_layer_outside_catalog_has_no_package_list() -> None:
    packages_by_layer = {
        x.layer: x.packages for x in plan_packages(load_profile("rocky9-stig-cpu"))
    }

    assert packages_by_layer == {"ml_frameworks": None, "stig": None}


def test_missing_sizes_and_digests_are_reported_as_unknown() -> None:
    cuda = next(x for x in build_manifest.describe_layers(nvidia()) if x["layer"] == "cuda")
    rocm = next(x for x in build_manifest.describe_layers(amd()) if x["layer"] == "rocm")

    assert cuda["size"] == "unknown for 4 of 4 packages"
    assert "required before" in str(rocm["repositories"])


def test_licence_requires_explicit_acceptance() -> None:
    assert "nvidia-driver-cuda" in eula.unaccepted_packages(nvidia())
    assert eula.unaccepted_packages(nvidia(accept_eula=True)) == ()
    assert eula.unaccepted_packages(amd()) == ()


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
def test_placeholder_pattern_matches_possible_names(pattern: str, name: str, fits: bool) -> None:
    assert (to_pattern(pattern).fullmatch(name) is not None) is fits
