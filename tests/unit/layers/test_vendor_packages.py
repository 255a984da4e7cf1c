"""Variables of the vendors' roles from a profile, and the signing keys that are accepted."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from hardpan.builder.dnf.repository import RepositoryClient
from hardpan.builder.layers import containers, nvidia_driver, signing_keys, vendor_packages
from hardpan.builder.layers import registry as layers
from hardpan.builder.layers.base import PreparedLayer
from hardpan.builder.profile_checks import collect_profile_errors
from hardpan.builder.vm.egress_proxy import Endpoint
from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import InputError, TrustError
from hardpan.core.files import sha256_bytes
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.containers import Containers, SignedRegistry
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.repositories import SiteRepository
from hardpan.profiles.software_catalog.package_plan import CATALOG_LAYERS, RepositorySource

ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: {{ x }}\n\nmDME\n"
ARMOUR += "-----END PGP PUBLIC KEY BLOCK-----\n"
PEM = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"
IDS = ("cuda", "site", "rocky", "epel", "amdgpu", "rocm-therock", "nvidia-container-toolkit")


def with_mirrors(name: str, *names: str, **hardware: Any) -> Profile:
    """A shipped profile with these layers and a mirror of everything."""
    shipped = load_profile(name)
    section = getattr(shipped.hardware, shipped.hardware.accelerator)
    section_update = {shipped.hardware.accelerator: section.model_copy(update=hardware)}
    mirrors = tuple(
        SiteRepository(
            id=repository_id,
            url=f"https://mirror.example/{repository_id}/",
            key=ARMOUR,
            key_sha256=sha256_bytes(ARMOUR.encode()),
        )
        for repository_id in IDS
    )
    update = {"layers": names, "repositories": mirrors}
    return shipped.model_copy(
        update={**update, "hardware": shipped.hardware.model_copy(update=section_update)}
    )


def layer_variables(profile: Profile, layer: str) -> dict[str, Any]:
    """The variables that the layer's role gets."""
    return vendor_packages.role_variables(profile, layer, vendor_packages.load_keys(profile, layer))


INCOMPLETE_REPOSITORIES = [
    ("rocky9-stig-amd", "amd_driver", "amdgpu: expected key_sha256 of https://repo.radeon.com/"),
    ("rocky9-stig-amd", "rocm", "rocm-therock: expected key_sha256 of https://repo.amd.com/"),
    ("rocky10-stig-amd", "rocm", "which rocm (amdrocm7.14-gfx942) need; got none"),
]


@pytest.mark.parametrize(("name", "layer", "problem"), INCOMPLETE_REPOSITORIES)
def test_incomplete_repository_is_reported_with_hint(name: str, layer: str, problem: str) -> None:
    profile = load_profile(name).model_copy(update={"layers": (layer,)})

    errors = ErrorCollector()
    with errors.collecting("layers"):
        layers.check_layers(profile)

    (error,) = [p.error for p in errors.collected if problem in str(p.error)]
    assert isinstance(error, InputError)
    assert "add it to the profile's repositories" in error.hint


def repository_errors(profile: Profile) -> list[str]:
    """Return the errors that prevent a build of the profile's layers, without the reasons."""
    errors = ErrorCollector()
    with errors.collecting("layers"):
        layers.check_layers(profile)
    return [str(p.error).partition(": expected ")[0] for p in errors.collected]


@pytest.mark.parametrize("name", ["rocky9-stig-nvidia", "rocky10-stig-nvidia"])
def test_pinned_vendor_repositories_and_media_need_no_mirror(name: str) -> None:
    profile = load_profile(name).model_copy(update={"layers": ("cuda", "containers")})

    assert repository_errors(profile) == []
    assert vendor_packages.uses_media(profile)
    assert not vendor_packages.uses_media(load_profile(name).model_copy(update={"layers": ()}))


def test_media_repository_is_mounted_and_its_key_is_on_the_host() -> None:
    profile = load_profile("rocky9-stig-nvidia")
    keys = {"cuda": b"", "rocky": b""}

    variables = vendor_packages.role_variables(profile, "cuda", keys)

    assert variables["cuda_repositories"] == [
        {
            "id": "hardpan-cuda",
            "urls": ["https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64/"],
            "key": "",
            "key_file": "",
            "key_sha256": "",
            "build_only": False,
        },
        {
            "id": "hardpan-rocky",
            "urls": ["file:///run/hardpan-media/BaseOS/", "file:///run/hardpan-media/AppStream/"],
            "key": "",
            "key_file": "/etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9",
            "key_sha256": "3a66e521e7a4abac9768d889c7cd60a8250f59512b275cf576c8a10ff34624c1",
            "build_only": True,
        },
    ]


def test_mirror_of_the_distribution_replaces_the_media() -> None:
    profile = with_mirrors("rocky9-stig-nvidia", "cuda")

    assert not vendor_packages.uses_media(profile)
    assert vendor_packages.load_keys(profile, "cuda")["rocky"] == ARMOUR.encode()
    assert Endpoint("https", "mirror.example", 443) in vendor_packages.allowed_endpoints(profile)


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("rocky9-stig-nvidia", []),
        ("rocky10-stig-nvidia", []),
        ("rocky9-stig-amd", ["amdgpu", "rocm-therock"]),
    ],
)
def test_profile_with_all_mirrors_has_no_errors(name: str, required: list[str]) -> None:
    names = [x for x in CATALOG_LAYERS if x == "containers" or x in load_profile(name).layers]
    profile = with_mirrors(name, *names)

    assert repository_errors(profile) == []
    assert repository_errors(profile.model_copy(update={"repositories": ()})) == [
        f"{name}: repository {repository_id}" for repository_id in required
    ]


def test_mismatched_profile_keys_are_reported_before_build() -> None:
    profile = with_mirrors("rocky9-stig-amd", "rocm", "amd_driver")
    repositories = tuple(
        repository.model_copy(update={"key_sha256": "0" * 64})
        if repository.id in ("epel", "rocky")
        else repository
        for repository in profile.repositories
    )

    errors = ErrorCollector()
    with errors.collecting("layers"):
        layers.check_layers(profile.model_copy(update={"repositories": repositories}))

    assert [type(p.error) for p in errors.collected] == [TrustError, TrustError]
    for repository, problem in zip(("rocky", "epel"), errors.collected, strict=True):
        assert str(problem.error).startswith(
            f"key of repository {repository} from the profile's repositories"
        )


def test_el9_enables_module_stream_and_el10_uses_versionlock() -> None:
    nine = layer_variables(with_mirrors("rocky9-stig-nvidia", "nvidia_driver"), "nvidia_driver")
    ten = layer_variables(with_mirrors("rocky10-stig-nvidia", "nvidia_driver"), "nvidia_driver")

    assert nine["nvidia_driver_streams"] == ["nvidia-driver:580-open"]
    assert ten["nvidia_driver_streams"] == []
    locked = {p["name"] for p in ten["nvidia_driver_packages"] if p["lock"]}
    assert locked == {"nvidia-driver-cuda", "nvidia-persistenced"}


def test_kernel_version_is_placed_by_package_kind() -> None:
    profile = with_mirrors("rocky9-stig-nvidia", "nvidia_driver", module_signing="site_key")
    signed = layer_variables(profile, "nvidia_driver")
    profile = with_mirrors("rocky9-stig-amd", "amd_driver")
    keys = vendor_packages.load_keys(profile, "amd_driver")
    built = vendor_packages.modules_request(profile, "amd_driver", keys)

    assert _kernel_placement(signed["nvidia_driver_packages"]) == {"kmod-nvidia-580.178.04": "name"}
    assert _kernel_placement(rows(built["packages"])) == {"kernel-devel-matched": "version"}


def test_site_repository_needs_address_and_key() -> None:
    profile = with_mirrors("rocky9-stig-nvidia", "nvidia_driver", module_signing="site_key")

    with pytest.raises(InputError, match="repository site: expected url and key and key_sha256"):
        layers.check_layers(profile.model_copy(update={"repositories": ()}))


def _kernel_placement(packages_variables: list[dict[str, Any]]) -> dict[str, str]:
    return {p["name"]: p["of_kernel"] for p in packages_variables if p["of_kernel"]}


def test_repository_variables_include_all_urls_and_key() -> None:
    profile = with_mirrors("rocky9-stig-nvidia", "cuda")
    extended = profile.repositories[0].model_copy(update={"more_urls": ("https://two.example/",)})

    repository, _ = layer_variables(
        profile.model_copy(update={"repositories": (extended,)}), "cuda"
    )["cuda_repositories"]

    assert repository["id"] == "hardpan-cuda"
    assert repository["urls"] == ["https://mirror.example/cuda/", "https://two.example/"]
    assert base64.b64decode(repository["key"]).decode() == ARMOUR


def with_first_mirror_at(profile: Profile, url: str, *more_urls: str) -> Profile:
    """The same with the mirror of one repository somewhere else."""
    first, *others = profile.repositories
    moved = first.model_copy(update={"url": url, "more_urls": more_urls})
    return profile.model_copy(update={"repositories": (moved, *others)})


def test_allowed_endpoints_are_repository_addresses() -> None:
    profile = with_mirrors("rocky9-stig-nvidia", "nvidia_driver", "cuda", "stig")
    moved = with_first_mirror_at(
        profile, "http://10.1.2.3:8080/cuda/", "https://two.example/", "https://two.example/x/"
    )

    assert vendor_packages.allowed_endpoints(moved) == (
        Endpoint("http", "10.1.2.3", 8080),
        Endpoint("https", "two.example", 443),
        Endpoint("https", "mirror.example", 443),
    )
    # What no layer installs from is not reached either.
    rocm_only = with_first_mirror_at(
        with_mirrors("rocky9-stig-amd", "rocm"), "http://10.1.2.3:8080/cuda/"
    )
    assert vendor_packages.allowed_endpoints(rocm_only) == (
        Endpoint("https", "mirror.example", 443),
    )
    assert vendor_packages.allowed_endpoints(load_profile("rocky9-stig")) == ()


def test_file_url_mirror_is_rejected_for_image_build() -> None:
    profile = with_mirrors("rocky9-stig-nvidia", "cuda", "containers", accept_eula=True)
    moved = with_first_mirror_at(
        profile, "https://mirror.example/cuda/", "file:///srv/cuda/", "file:///srv/more/"
    )

    collect_profile_errors(
        moved.model_copy(update={"layers": ("containers",)}), builds_image=True
    ).raise_if_any()
    with pytest.raises(InputError) as caught:
        collect_profile_errors(moved, builds_image=True).raise_if_any()

    assert str(caught.value).startswith(
        "rocky9-stig-nvidia: repository cuda: expected an http or https address for cuda"
    )
    assert "got file:///srv/cuda/, file:///srv/more/: the folder does" in str(caught.value)
    assert "http://127.0.0.1:PORT/" in caught.value.hint
    # Hosts that are hardened in another way may well have one, and an ISO needs none.
    layers.check_layers(moved)
    collect_profile_errors(moved, builds_image=False).raise_if_any()


@pytest.mark.parametrize("proxy", ["", "http://10.0.2.100:3128"])
def test_guest_proxy_is_passed_to_role(proxy: str) -> None:
    variables: dict[str, object] = {}

    class RecordingTask:
        guest = SimpleNamespace(proxy=proxy)

        def run(self, role_variables: dict[str, object]) -> None:
            variables.update(role_variables)

    prepared = PreparedLayer(variables={"cuda_more": 1})
    vendor_packages.install_packages(RecordingTask(), prepared)  # type: ignore[arg-type]

    assert variables["vendor_packages_proxy"] == proxy
    assert variables["cuda_more"] == 1


@pytest.mark.parametrize(
    ("nvswitch", "units"), [(False, []), (True, ["nvidia-fabricmanager.service"])]
)
def test_driver_units_follow_nvswitch(nvswitch: bool, units: list[str]) -> None:
    profile = with_mirrors("rocky9-stig-nvidia", "nvidia_driver", nvswitch=nvswitch)

    variables = nvidia_driver.role_variables(profile)

    assert variables["nvidia_driver_units"] == ["nvidia-persistenced.service", *units]
    assert variables["nvidia_driver_version"] == "580.178.04"


@pytest.mark.parametrize(
    ("signing", "kernel_module", "is_built", "licence"),
    [
        ("automatic", "open", True, "MIT OR GPL-2.0-only"),
        ("secure_boot_off", "proprietary", True, "LicenseRef-NVIDIA"),
        ("site_key", "open", False, ""),
    ],
)
def test_build_makes_modules_unless_the_site_does(
    signing: str, kernel_module: str, is_built: bool, licence: str
) -> None:
    settings = {"module_signing": signing, "kernel_module": kernel_module}
    profile = with_mirrors("rocky9-stig-nvidia", "nvidia_driver", **settings)

    package = nvidia_driver.module_package(profile)

    assert (package is not None) is is_built
    if package is not None:
        assert package.name == "kmod-nvidia-580.178.04"
        assert package.provides == ("nvidia-kmod = 3:580.178.04",)
        assert package.licence == licence


def test_build_packages_are_requested_for_the_build_only() -> None:
    profile = with_mirrors("rocky9-stig-nvidia", "nvidia_driver")
    keys = vendor_packages.load_keys(profile, "nvidia_driver")

    request = vendor_packages.modules_request(profile, "nvidia_driver", keys)
    variables = layer_variables(profile, "nvidia_driver")

    assert [p["name"] for p in rows(request["packages"])] == [
        *("kmod-nvidia-open-dkms", "kernel-devel-matched", "kernel-headers", "dkms")
    ]
    assert [p["name"] for p in rows(request["precompiled"])] == ["kmod-nvidia-open-580.178.04"]
    assert [r["id"] for r in rows(request["repositories"])] == [
        *("hardpan-cuda", "hardpan-rocky", "hardpan-epel")
    ]
    assert [p["name"] for p in variables["nvidia_driver_packages"]] == [
        *("nvidia-driver-cuda", "nvidia-persistenced", "python3-dnf-plugin-versionlock")
    ]
    assert [r["id"] for r in variables["nvidia_driver_repositories"]] == [
        *("hardpan-cuda", "hardpan-rocky")
    ]


def rows(value: object) -> list[dict[str, Any]]:
    """The rows of a request."""
    assert isinstance(value, list)
    return value


@pytest.mark.parametrize("layer", CATALOG_LAYERS)
def test_vendor_role_variables_match_argument_specs(layer: str) -> None:
    vendor = "amd" if layer in ("amd_driver", "rocm") else "nvidia"
    profile = with_mirrors(f"rocky9-stig-{vendor}", layer)
    variables = layer_variables(profile, layer)
    if layer == "nvidia_driver":
        variables |= nvidia_driver.role_variables(profile)
    if layer == "containers":
        variables |= containers.role_variables(profile)
    spec = layers.PLAYBOOKS / "roles" / layer / "meta" / "argument_specs.yml"
    options = yaml.safe_load(spec.read_text("utf-8"))["argument_specs"]["main"]["options"]

    assert set(variables) <= set(options)
    assert {n for n, o in options.items() if o.get("required")} <= set(variables)
    assert "{{" not in json.dumps(variables), "Ansible would take it for a template"


def test_policy_rejects_all_images_without_registry() -> None:
    files = containers.render_policy(load_profile("rocky9-stig-nvidia"))

    policy = json.loads(files["/etc/containers/policy.json"])
    assert list(files) == ["/etc/containers/policy.json"]
    assert policy["default"] == [{"type": "reject"}]
    assert set(policy["transports"]) == {"containers-storage"}


def test_registry_images_require_registry_key() -> None:
    registry = SignedRegistry(registry="registry.example/ai", sigstore_key=PEM)
    named = Containers(registries=(registry,))

    files = containers.render_policy(
        load_profile("rocky9-stig-nvidia").model_copy(update={"containers": named})
    )

    (rule,) = json.loads(files["/etc/containers/policy.json"])["transports"]["docker"][
        "registry.example/ai"
    ]
    assert rule["type"] == "sigstoreSigned"
    assert files[rule["keyPath"]] == PEM
    attached = json.loads(files["/etc/containers/registries.d/hardpan.yaml"])
    assert attached["docker"]["registry.example/ai"] == {"use-sigstore-attachments": True}


def cuda_repository(**updates: Any) -> RepositorySource:
    repository, _ = vendor_packages.repositories_for(load_profile("rocky9-stig-nvidia"), "cuda")
    fields = {name: getattr(repository, name) for name in RepositorySource.__slots__}
    return RepositorySource(**{**fields, **updates})


SHA256_WITHOUT_VERSION = sha256_bytes(ARMOUR.replace("Version: {{ x }}\n", "").encode())
SHA256_OF_FILE = sha256_bytes(ARMOUR.encode())
INVALID_KEYS = [
    ("file", SHA256_WITHOUT_VERSION, ARMOUR, "expected sha256"),
    ("file_without_version_lines", SHA256_OF_FILE, ARMOUR, "got " + SHA256_WITHOUT_VERSION),
    (
        "file",
        SHA256_OF_FILE,
        ARMOUR + "\n",
        "key of repository cuda from https://developer.download.",
    ),
    ("file", None, ARMOUR, "expected sha256 None, got"),
    ("file", sha256_bytes(b"\x99\x01"), "\x99\x01", "expected an armoured public key"),
    ("file", sha256_bytes(b""), "", "expected an armoured public key"),
]


@pytest.mark.parametrize(("digest_kind", "pinned", "data", "problem"), INVALID_KEYS)
def test_mismatched_key_raises_trust_error(
    digest_kind: str, pinned: str | None, data: str, problem: str
) -> None:
    with pytest.raises(TrustError) as caught:
        signing_keys.verify_key(
            cuda_repository(digest_of=digest_kind, key_sha256=pinned), data.encode("latin-1")
        )

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("digest_kind", "pinned"),
    [("file", SHA256_OF_FILE), ("file_without_version_lines", SHA256_WITHOUT_VERSION)],
)
def test_pinned_key_is_returned_unchanged(digest_kind: str, pinned: str) -> None:
    key = signing_keys.verify_key(
        cuda_repository(digest_of=digest_kind, key_sha256=pinned), ARMOUR.encode()
    )

    assert key == ARMOUR.encode()


def test_vendor_key_is_fetched_from_vendor_url(monkeypatch: pytest.MonkeyPatch) -> None:
    urls: list[str] = []

    def fetch(self: RepositoryClient, name: str, path: Any, *, max_bytes: int) -> None:
        urls.append(f"{self}{name}")
        path.write_bytes(b"another")

    monkeypatch.setattr(RepositoryClient, "fetch", fetch)

    with pytest.raises(TrustError, match="expected sha256 d0664fbb"):
        vendor_packages.load_keys(load_profile("rocky9-stig-nvidia"), "cuda")

    cuda = "https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64/"
    assert urls == [f"{cuda}D42D0685.pub"]


def test_mismatched_profile_key_fails_offline() -> None:
    profile = with_mirrors("rocky9-stig-nvidia", "cuda")
    repository = profile.repositories[0].model_copy(update={"key_sha256": "0" * 64})

    with pytest.raises(TrustError, match="key of repository cuda from the profile's repositories"):
        vendor_packages.load_keys(
            profile.model_copy(update={"repositories": (repository,)}), "cuda"
        )
