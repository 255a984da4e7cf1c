"""From a profile to what the vendors' roles are given, and the keys that are let through."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from hardpan.builder import pipeline as building
from hardpan.builder.layers import containers, keys, nvidia_driver, packages
from hardpan.builder.layers import registry as layers
from hardpan.builder.machine.tunnel import Endpoint
from hardpan.builder.repository import Files
from hardpan.errors import InputError, TrustError
from hardpan.files import sha256_bytes
from hardpan.problems import Problems
from hardpan.profiles.containers import Containers, SignedRegistry
from hardpan.profiles.load import load
from hardpan.profiles.model import Profile
from hardpan.profiles.repositories import SiteRepository
from hardpan.profiles.software.plan import LISTED, Origin

ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: {{ x }}\n\nmDME\n"
ARMOUR += "-----END PGP PUBLIC KEY BLOCK-----\n"
PEM = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"
IDS = ("cuda", "site", "rocky", "epel", "amdgpu", "rocm-therock", "nvidia-container-toolkit")


def mirrored(name: str, *names: str, **hardware: Any) -> Profile:
    """A shipped profile with these layers and a mirror of everything."""
    shipped = load(name)
    section = getattr(shipped.hardware, shipped.hardware.accelerator)
    changed = {shipped.hardware.accelerator: section.model_copy(update=hardware)}
    mirrors = tuple(
        SiteRepository(
            id=one,
            url=f"https://mirror.example/{one}/",
            key=ARMOUR,
            key_sha256=sha256_bytes(ARMOUR.encode()),
        )
        for one in IDS
    )
    update = {"layers": names, "repositories": mirrors}
    return shipped.model_copy(
        update={**update, "hardware": shipped.hardware.model_copy(update=changed)}
    )


def given(profile: Profile, layer: str) -> dict[str, Any]:
    """The variables that the layer's role gets."""
    return packages.variables(profile, layer, packages.keys(profile, layer))


REFUSED = [
    ("rocky9-stig-nvidia", "nvidia_driver", "repository site: expected url and key and key_sha256"),
    ("rocky9-stig-nvidia", "nvidia_driver", "repository rocky: expected url and key and key_sha2"),
    (
        "rocky10-stig-nvidia",
        "containers",
        "repository nvidia-container-toolkit: expected key_sha256 of https://nvidia.github.io/",
    ),
    (
        "rocky9-stig-amd",
        "amd_driver",
        "repository epel: expected url and key and key_sha256, which",
    ),
    ("rocky9-stig-amd", "rocm", "rocm-therock: expected key_sha256 of https://repo.amd.com/"),
    ("rocky10-stig-amd", "rocm", "which rocm (amdrocm7.14-gfx942) need; found none"),
]


@pytest.mark.parametrize(("name", "layer", "problem"), REFUSED)
def test_a_repository_that_nothing_can_be_built_from_is_named_with_what_to_add(
    name: str, layer: str, problem: str
) -> None:
    profile = load(name).model_copy(update={"layers": (layer,)})

    found = Problems()
    with found.of("layers"):
        layers.check(profile)

    (told,) = [p.error for p in found.found if problem in str(p.error)]
    assert isinstance(told, InputError)
    assert "add it to the profile's repositories" in told.hint


def refusals(profile: Profile) -> list[str]:
    """What stands in the way of building the profile's layers, each without its reason."""
    found = Problems()
    with found.of("layers"):
        layers.check(profile)
    return [str(p.error).partition(": expected ")[0] for p in found.found]


def test_what_nvidia_pins_and_gives_an_address_for_is_enough() -> None:
    shipped = load("rocky9-stig-nvidia")

    assert refusals(shipped.model_copy(update={"layers": ("cuda",)})) == []
    assert refusals(shipped.model_copy(update={"layers": ("cuda", "containers")})) == [
        "rocky9-stig-nvidia: repository rocky",
        "rocky9-stig-nvidia: repository nvidia-container-toolkit",
    ]


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("rocky9-stig-nvidia", ["site", "rocky", "nvidia-container-toolkit"]),
        ("rocky10-stig-nvidia", ["site", "rocky", "nvidia-container-toolkit"]),
        ("rocky9-stig-amd", ["amdgpu", "rocky", "epel", "rocm-therock"]),
    ],
)
def test_with_all_mirrors_everything_can_be_built(name: str, needed: list[str]) -> None:
    names = [x for x in LISTED if x == "containers" or x in load(name).layers]
    profile = mirrored(name, *names)

    assert refusals(profile) == []
    assert refusals(profile.model_copy(update={"repositories": ()})) == [
        f"{name}: repository {one}" for one in needed
    ]


def test_a_key_in_the_profile_that_is_not_the_pinned_one_is_told_before_the_build() -> None:
    good = mirrored("rocky9-stig-amd", "rocm", "amd_driver")
    wrong = tuple(
        one.model_copy(update={"key_sha256": "0" * 64}) if one.id in ("epel", "rocky") else one
        for one in good.repositories
    )

    found = Problems()
    with found.of("layers"):
        layers.check(good.model_copy(update={"repositories": wrong}))

    assert [type(p.error) for p in found.found] == [TrustError, TrustError]
    for one, told in zip(("rocky", "epel"), found.found, strict=True):
        assert str(told.error).startswith(
            f"key of repository {one} from the profile's repositories"
        )


def test_el9_enables_a_stream_and_el10_holds_by_versionlock() -> None:
    nine = given(mirrored("rocky9-stig-nvidia", "nvidia_driver"), "nvidia_driver")
    ten = given(mirrored("rocky10-stig-nvidia", "nvidia_driver"), "nvidia_driver")

    assert nine["nvidia_driver_streams"] == ["nvidia-driver:580-open"]
    assert ten["nvidia_driver_streams"] == []
    locked = {p["name"] for p in ten["nvidia_driver_packages"] if p["lock"]}
    assert locked == {"nvidia-driver-cuda", "nvidia-persistenced", "kmod-nvidia-580.178.04"}


def test_the_kernels_version_goes_where_the_package_has_it() -> None:
    signed = given(mirrored("rocky9-stig-nvidia", "nvidia_driver"), "nvidia_driver")
    built = given(mirrored("rocky9-stig-amd", "amd_driver"), "amd_driver")

    assert _kernel_in(signed["nvidia_driver_packages"]) == {"kmod-nvidia-580.178.04": "name"}
    assert _kernel_in(built["amd_driver_packages"]) == {"kernel-devel-matched": "version"}


def _kernel_in(told: list[dict[str, str]]) -> dict[str, str]:
    return {p["name"]: p["of_kernel"] for p in told if p["of_kernel"]}


def test_every_address_of_a_repository_goes_over_with_its_key() -> None:
    profile = mirrored("rocky9-stig-nvidia", "cuda")
    more = profile.repositories[0].model_copy(update={"more_urls": ("https://two.example/",)})

    (one,) = given(profile.model_copy(update={"repositories": (more,)}), "cuda")[
        "cuda_repositories"
    ]

    assert one["id"] == "hardpan-cuda"
    assert one["urls"] == ["https://mirror.example/cuda/", "https://two.example/"]
    assert base64.b64decode(one["key"]).decode() == ARMOUR


def at(profile: Profile, url: str, *more: str) -> Profile:
    """The same with the mirror of one repository somewhere else."""
    first, *others = profile.repositories
    moved = first.model_copy(update={"url": url, "more_urls": more})
    return profile.model_copy(update={"repositories": (moved, *others)})


def test_what_a_guest_may_reach_is_what_its_layers_repositories_have_for_addresses() -> None:
    profile = mirrored("rocky9-stig-nvidia", "nvidia_driver", "cuda", "stig")
    moved = at(
        profile, "http://10.1.2.3:8080/cuda/", "https://two.example/", "https://two.example/x/"
    )

    assert packages.reached(moved) == (
        Endpoint("http", "10.1.2.3", 8080),
        Endpoint("https", "two.example", 443),
        Endpoint("https", "mirror.example", 443),
    )
    # What no layer installs from is not reached either.
    alone = at(mirrored("rocky9-stig-amd", "rocm"), "http://10.1.2.3:8080/cuda/")
    assert packages.reached(alone) == (Endpoint("https", "mirror.example", 443),)
    assert packages.reached(load("rocky9-stig")) == ()


def test_a_folder_of_the_machine_that_is_built_is_no_mirror() -> None:
    profile = mirrored("rocky9-stig-nvidia", "cuda", "containers", accept_eula=True)
    moved = at(profile, "https://mirror.example/cuda/", "file:///srv/cuda/", "file:///srv/more/")

    building.check(moved.model_copy(update={"layers": ("containers",)}), image=True)
    with pytest.raises(InputError) as caught:
        building.problems(moved, image=True).raise_all()

    assert str(caught.value).startswith(
        "rocky9-stig-nvidia: repository cuda: expected an http or https address, which cuda"
    )
    assert "found file:///srv/cuda/, file:///srv/more/: a folder of the machine" in str(
        caught.value
    )
    assert "http://127.0.0.1:PORT/" in caught.value.hint
    # Hosts that are hardened in another way may well have one, and an ISO needs none.
    layers.check(moved)
    building.check(moved, image=False)


@pytest.mark.parametrize("proxy", ["", "http://10.0.2.100:3128"])
def test_the_guests_proxy_goes_over_with_the_packages(proxy: str) -> None:
    given: dict[str, object] = {}

    class Asked:
        profile = mirrored("rocky9-stig-nvidia", "cuda")
        layer = "cuda"
        guest = SimpleNamespace(proxy=proxy)

        def run(self, variables: dict[str, object]) -> None:
            given.update(variables)

    packages.install(Asked(), {"cuda_more": 1})  # type: ignore[arg-type]

    assert given["vendor_packages_proxy"] == proxy
    assert given["cuda_more"] == 1


@pytest.mark.parametrize(
    ("signing", "nvswitch", "dkms", "units"),
    [
        ("site_key", False, "", ["nvidia-persistenced.service"]),
        (
            "secure_boot_off",
            True,
            "nvidia",
            ["nvidia-persistenced.service", "nvidia-fabricmanager.service"],
        ),
    ],
)
def test_who_signs_decides_about_dkms_and_the_switch_about_its_unit(
    signing: str, nvswitch: bool, dkms: str, units: list[str]
) -> None:
    profile = mirrored(
        "rocky9-stig-nvidia", "nvidia_driver", module_signing=signing, nvswitch=nvswitch
    )

    told = nvidia_driver.variables(profile)

    assert told["nvidia_driver_dkms"] == dkms
    assert told["nvidia_driver_units"] == units
    assert told["nvidia_driver_version"] == "580.178.04"


@pytest.mark.parametrize("layer", LISTED)
def test_a_role_declares_what_it_is_given_and_is_given_what_it_needs(layer: str) -> None:
    vendor = "amd" if layer in ("amd_driver", "rocm") else "nvidia"
    profile = mirrored(f"rocky9-stig-{vendor}", layer)
    told = given(profile, layer)
    if layer == "nvidia_driver":
        told |= nvidia_driver.variables(profile)
    if layer == "containers":
        told |= containers.variables(profile)
    spec = layers.PLAYBOOKS / "roles" / layer / "meta" / "argument_specs.yml"
    options = yaml.safe_load(spec.read_text("utf-8"))["argument_specs"]["main"]["options"]

    assert set(told) <= set(options)
    assert {n for n, o in options.items() if o.get("required")} <= set(told)
    assert "{{" not in json.dumps(told), "Ansible would take it for a template"


def test_no_registry_means_no_image() -> None:
    files = containers.policy(load("rocky9-stig-nvidia"))

    policy = json.loads(files["/etc/containers/policy.json"])
    assert list(files) == ["/etc/containers/policy.json"]
    assert policy["default"] == [{"type": "reject"}]
    assert set(policy["transports"]) == {"containers-storage"}


def test_a_registry_is_taken_with_its_own_key_alone() -> None:
    registry = SignedRegistry(registry="registry.example/ai", sigstore_key=PEM)
    named = Containers(registries=(registry,))

    files = containers.policy(load("rocky9-stig-nvidia").model_copy(update={"containers": named}))

    (rule,) = json.loads(files["/etc/containers/policy.json"])["transports"]["docker"][
        "registry.example/ai"
    ]
    assert rule["type"] == "sigstoreSigned"
    assert files[rule["keyPath"]] == PEM
    attached = json.loads(files["/etc/containers/registries.d/hardpan.yaml"])
    assert attached["docker"]["registry.example/ai"] == {"use-sigstore-attachments": True}


def origin(**changed: Any) -> Origin:
    (one,) = packages.origins(load("rocky9-stig-nvidia"), "cuda")
    known = {name: getattr(one, name) for name in Origin.__slots__}
    return Origin(**{**known, **changed})


WITHOUT = sha256_bytes(ARMOUR.replace("Version: {{ x }}\n", "").encode())
WHOLE = sha256_bytes(ARMOUR.encode())
WRONG_KEYS = [
    ("file", WITHOUT, ARMOUR, "expected sha256"),
    ("file_without_version_lines", WHOLE, ARMOUR, "found " + WITHOUT),
    ("file", WHOLE, ARMOUR + "\n", "key of repository cuda from https://developer.download."),
    ("file", None, ARMOUR, "expected sha256 None, found"),
    ("file", sha256_bytes(b"\x99\x01"), "\x99\x01", "expected an armoured public key"),
    ("file", sha256_bytes(b""), "", "expected an armoured public key"),
]


@pytest.mark.parametrize(("what", "pinned", "data", "problem"), WRONG_KEYS)
def test_another_key_than_the_pinned_one_is_an_error_of_trust(
    what: str, pinned: str | None, data: str, problem: str
) -> None:
    with pytest.raises(TrustError) as caught:
        keys.checked(origin(digest_of=what, key_sha256=pinned), data.encode("latin-1"))

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("what", "pinned"), [("file", WHOLE), ("file_without_version_lines", WITHOUT)]
)
def test_the_pinned_key_is_taken_as_it_is(what: str, pinned: str) -> None:
    made = keys.checked(origin(digest_of=what, key_sha256=pinned), ARMOUR.encode())

    assert made == ARMOUR.encode()


def test_a_vendors_key_is_asked_of_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(self: Files, name: str, to: Any, *, most: int) -> None:
        asked.append(f"{self}{name}")
        to.write_bytes(b"another")

    monkeypatch.setattr(Files, "fetch", fetch)

    with pytest.raises(TrustError, match="expected sha256 d0664fbb"):
        packages.keys(load("rocky9-stig-nvidia"), "cuda")

    cuda = "https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64/"
    assert asked == [f"{cuda}D42D0685.pub"]


def test_a_wrong_key_in_the_profile_is_found_without_a_network() -> None:
    profile = mirrored("rocky9-stig-nvidia", "cuda")
    wrong = profile.repositories[0].model_copy(update={"key_sha256": "0" * 64})

    with pytest.raises(TrustError, match="key of repository cuda from the profile's repositories"):
        packages.keys(profile.model_copy(update={"repositories": (wrong,)}), "cuda")
