"""The vendors' layers by their real roles, over SSH, on a booted lab host with a local mirror.

dnf, rpm, module streams, versionlock and signatures are real; the packages have the
vendors' names and versions and no driver in them.
"""

import http.server
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hardpan.builder.artifacts import Assessment
from hardpan.builder.layers import registry as layers
from hardpan.builder.layers import signing_keys, vendor_packages
from hardpan.core.errors import ToolError, TrustError
from hardpan.core.events import discard
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.repositories import SiteRepository
from hardpan.signing.kernel_module import (
    COMMON_NAME,
    MAGIC,
    ensure_module_key,
    strip_signature,
)
from tests.integration.lab_host import LabHost, LabKernel, Payload, lab_host
from tests.integration.vendor_mirror import (
    DRIVER,
    NEWER,
    OLDER,
    GpgKey,
    build_mirror,
    create_key,
    kmod_name,
)

pytestmark = pytest.mark.integration

NO_FIXES = Assessment(content_sha256=Sha256("0" * 64), counts={}, fixes=())
MIRROR = "/srv/mirror"


@dataclass(frozen=True)
class MirrorFixture:
    """The mirror, the kernel that its packages are for, and the keys."""

    mirror: Path
    kernel: LabKernel
    key: GpgKey
    untrusted_key: GpgKey

    @property
    def kmod(self) -> str:
        """The package of the precompiled kernel module."""
        return kmod_name(self.kernel, DRIVER)


@pytest.fixture(scope="module")
def mirror(
    lab_payload: Payload, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MirrorFixture]:
    """One mirror for all tests."""
    kernel = lab_payload.kernel
    # gpg's socket has a short name or none.
    with tempfile.TemporaryDirectory(prefix="hp-gpg-") as name:
        homes = [Path(name) / x for x in ("ours", "other")]
        key, untrusted_key = (create_key(h, f"{h.name}@example.invalid") for h in homes)
        try:
            mirror = build_mirror(tmp_path_factory.mktemp("mirror"), key, kernel)
            yield MirrorFixture(mirror=mirror, kernel=kernel, key=key, untrusted_key=untrusted_key)
        finally:
            for home in homes:
                run(["gpgconf", "--homedir", home, "--kill", "all"], timeout_s=20)


@pytest.fixture
def host(lab_payload: Payload, tmp_path: Path, mirror: MirrorFixture) -> Iterator[LabHost]:
    """A fresh lab host with the mirror on it."""
    with lab_host(lab_payload, tmp_path, install=["dnf-plugins-core"]) as running:
        shutil.copytree(mirror.mirror, running.root / MIRROR.lstrip("/"))
        yield running


def mirrored_profile(
    mirror: MirrorFixture, name: str, *names: str, key: GpgKey | None = None, **hardware: Any
) -> Profile:
    """A shipped profile with these layers, and all of its repositories on the mirror."""
    shipped = load_profile(name)
    release = shipped.release.removeprefix("rocky")
    folders = {"cuda": f"cuda{release}", "nvidia-container-toolkit": "toolkit"}
    folders |= {x: x for x in ("site", "rocky", "epel", "amdgpu", "rocm-therock", "rocm-classic")}
    public = (key or mirror.key).public
    repositories = tuple(
        SiteRepository(
            id=repository_id,
            # The distribution's packages are at its second URL, as AppStream's are.
            url=f"file://{MIRROR}/{'epel' if repository_id == 'rocky' else folder}/",
            more_urls=(f"file://{MIRROR}/rocky/",) if repository_id == "rocky" else (),
            key=public,
            key_sha256=sha256_bytes(public.encode()),
        )
        for repository_id, folder in folders.items()
    )
    vendor = shipped.hardware.accelerator
    section = getattr(shipped.hardware, vendor).model_copy(update=hardware)
    return shipped.model_copy(
        update={
            "layers": names,
            "repositories": repositories,
            "hardware": shipped.hardware.model_copy(update={vendor: section}),
        }
    )


def apply_layers(profile: Profile, host: LabHost, tmp_path: Path) -> list[int]:
    """How many tasks changed something, layer by layer."""
    results = layers.apply_layers(profile, host.guest, NO_FIXES, cache=tmp_path, emit=discard)
    return [receipt.changed_tasks for receipt in results]


def installed_versions(host: LabHost, *patterns: str) -> dict[str, str]:
    """Name -> version of what is installed."""
    query = " ".join(f"'{p}'" for p in patterns)
    output = host.run(f"rpm -qa --qf '%{{NAME}} %{{VERSION}}\\n' {query}").stdout
    return dict(line.split() for line in output.splitlines())


@pytest.mark.parametrize(
    ("release", "names"),
    [(9, ("nvidia_driver", "cuda", "containers")), (10, ("nvidia_driver", "containers"))],
)
def test_nvidia_layers_are_idempotent(
    mirror: MirrorFixture, host: LabHost, tmp_path: Path, release: int, names: tuple[str, ...]
) -> None:
    profile = mirrored_profile(
        mirror, f"rocky{release}-stig-nvidia", *names, nvswitch=True, accept_eula=True
    )
    old_packages = set(installed_versions(host, "*"))

    # The modules are built by a role of their own.
    assert apply_layers(profile, host, tmp_path) == [2, *[1] * (len(names) - 1)]
    image = "/boot/initramfs-$(ls /lib/modules).img"
    old_stat = host.run(f"stat -c %Y.%i {image}").stdout
    assert apply_layers(profile, host, tmp_path) == [0] * len(names)
    assert host.run(f"stat -c %Y.%i {image}").stdout == old_stat

    driver = installed_versions(
        host, "nvidia-driver*", "kmod-nvidia*", "*nvidia-[finp]*", "libnvsdm"
    )
    assert set(driver.values()) == {DRIVER}
    assert {
        mirror.kmod,
        "nvidia-fabricmanager",
        "libnvidia-nscq",
        "libnvsdm",
        "nvidia-imex",
    } <= set(driver)
    assert installed_versions(host, "cuda*") == (
        {"cuda-toolkit-13-3": "13.3.0"} if "cuda" in names else {}
    )
    stream = host.run("cat /etc/dnf/modules.d/nvidia-driver.module || :").stdout
    assert ("stream=580-open" in stream) is (release == 9)
    # The mirror has a newer branch; neither 'dnf update' nor an explicit install selects it.
    host.run("dnf -y -q update --disablerepo='*' --enablerepo='hardpan-*'")
    host.run(
        f"dnf -y -q install nvidia-driver-cuda-{NEWER} --disablerepo='*' --enablerepo='hardpan-*'",
        ok=(1,),
    )
    assert installed_versions(host, "nvidia-driver-cuda") == {"nvidia-driver-cuda": DRIVER}
    assert installed_versions(host, "nvidia-container*") == {
        "nvidia-container-toolkit-base": "1.20.0"
    }
    assert len(host.run("rpm -q kernel-core").stdout.splitlines()) == 1
    _assert_configured(host, mirror.kernel)
    _assert_nothing_of_the_build_remains(host, set(installed_versions(host, "*")) - old_packages)
    _assert_modules_are_signed(host, tmp_path, "nvidia", "nvidia-uvm")


def _assert_configured(host: LabHost, kernel: LabKernel) -> None:
    """Check the configuration of a converged machine, except its packages."""
    units = "nvidia-persistenced nvidia-fabricmanager nvidia-cdi-refresh.path nvidia-cdi-refresh"
    assert host.run(f"systemctl is-enabled {units}").stdout.split() == ["enabled"] * 4
    repos = host.run("cat /etc/yum.repos.d/*.repo").stdout
    assert "gpgcheck=0" not in repos
    listing = host.run("lsinitrd /boot/initramfs-*.img").stdout
    assert "nouveau.ko" not in listing
    assert "etc/modprobe.d/hardpan-nvidia.conf" in listing
    assert '"reject"' in host.run("cat /etc/containers/policy.json").stdout
    locks = host.run("cat /etc/dnf/plugins/versionlock.list").stdout.splitlines()
    assert f"nvidia-driver-cuda-3:{DRIVER}-1.el9.*" in locks or any(".el10.*" in x for x in locks)
    assert f"kernel-core-0:{kernel.package}.*" in locks
    assert len(locks) == len(set(locks))


def _assert_nothing_of_the_build_remains(host: LabHost, new_packages: set[str]) -> None:
    """Check that the image has no compiler, no source of modules and no key of a build."""
    unwanted = ("dkms", "gcc", "kernel-", "kmod-nvidia-open-dkms")
    assert not {n for n in new_packages if n == "amdgpu-dkms" or n.startswith(unwanted)}
    assert (
        host.run("ls -d /var/lib/dkms /etc/dkms /usr/src/*-dkms-* 2>&1 || :").stdout.count(
            "No such file"
        )
        == 3
    )
    folders = "/etc /root /home /opt /usr/src /var/lib /var/tmp /tmp /boot /run"
    keys = host.run(
        f"grep -rlI --exclude-dir=private 'PRIVATE KEY-----' {folders} 2> /dev/null || :"
    ).stdout.split()
    assert [k for k in keys if not k.startswith("/etc/ssh/ssh_host_")] == []
    assert "what DKMS signs with" not in host.run("cat /var/lib/dkms/* 2>&1 || :").stdout
    assert "hardpan-epel" not in host.run("ls /etc/yum.repos.d").stdout


def _assert_modules_are_signed(host: LabHost, tmp_path: Path, *names: str) -> None:
    """Check the installed modules with modinfo, and their signatures with openssl."""
    key = ensure_module_key(tmp_path / "module-key")
    shipped = host.root / "etc/pki/hardpan/module-signing.der"
    assert shipped.read_bytes() == key.certificate.read_bytes()
    (folder,) = host.root.glob("usr/lib/modules/*/extra/hardpan")
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"{n}.ko" for n in names)
    for path in folder.iterdir():
        guest_path = f"/{path.relative_to(host.root)}"
        assert host.run(f"modinfo -F signer {guest_path}").stdout.strip() == COMMON_NAME
        assert host.run(f"rpm -V $(rpm -qf {guest_path})").stdout == ""
        _verify_by_openssl(path.read_bytes(), key.certificate, tmp_path)


def _verify_by_openssl(module: bytes, certificate: Path, tmp_path: Path) -> None:
    content, signature = tmp_path / "module", tmp_path / "module.p7s"
    unsigned = strip_signature(module)
    content.write_bytes(unsigned)
    signature.write_bytes(module[len(unsigned) : -len(MAGIC) - 12])
    argv: list[str | Path] = ["openssl", "cms", "-verify", "-binary", "-inform", "DER"]
    argv += ["-in", signature, "-content", content, "-out", "/dev/null"]
    # The certificate is trusted by enrolment, so no chain is checked.
    run([*argv, "-certfile", certificate, "-noverify"], timeout_s=30)


def test_precompiled_modules_of_the_vendor_are_used(
    mirror: MirrorFixture, host: LabHost, tmp_path: Path
) -> None:
    profile = mirrored_profile(
        mirror, "rocky9-stig-nvidia", "nvidia_driver", kernel_module="proprietary"
    )

    # The role that looks for them writes the repository's file.
    assert apply_layers(profile, host, tmp_path) == [2]
    assert apply_layers(profile, host, tmp_path) == [0]

    release = host.run(f"rpm -q --qf '%{{RELEASE}}' {mirror.kmod}").stdout
    assert release == "9.lab9"
    assert "stream=580\n" in host.run("cat /etc/dnf/modules.d/nvidia-driver.module").stdout
    assert not (host.root / "etc/pki/hardpan").exists()


def test_package_of_the_site_is_used(mirror: MirrorFixture, host: LabHost, tmp_path: Path) -> None:
    profile = mirrored_profile(
        mirror, "rocky9-stig-nvidia", "nvidia_driver", module_signing="site_key"
    )

    assert apply_layers(profile, host, tmp_path) == [1]
    assert apply_layers(profile, host, tmp_path) == [0]

    assert host.run(f"rpm -q --qf '%{{RELEASE}}' {mirror.kmod}").stdout == "3.lab9"


def test_amd_layers_are_idempotent(mirror: MirrorFixture, host: LabHost, tmp_path: Path) -> None:
    profile = mirrored_profile(mirror, "rocky9-stig-amd", "amd_driver", "rocm")

    old_packages = set(installed_versions(host, "*"))
    assert apply_layers(profile, host, tmp_path) == [2, 1]
    assert apply_layers(profile, host, tmp_path) == [0, 0]

    _assert_nothing_of_the_build_remains(host, set(installed_versions(host, "*")) - old_packages)
    _assert_modules_are_signed(host, tmp_path, "amdgpu")
    assert installed_versions(host, "amdgpu*") == {"amdgpu-dkms-firmware": "30.10.1"}
    assert {"render", "video"} <= set(host.run("id -Gn ai").stdout.split())
    assert host.run("udevadm verify /etc/udev/rules.d/70-hardpan-amd.rules").returncode == 0
    assert set(installed_versions(host, "amdrocm*", "rocm-*", "amd-smi*")) == {"amdrocm7.14-gfx942"}
    # The generation before has other names, at another address.
    assert apply_layers(
        mirrored_profile(mirror, "rocky9-stig-amd", "rocm", rocm="7.0.1"), host, tmp_path
    ) == [1]
    classic = {"rocm-hip-runtime", "rocm-smi-lib", "amd-smi-lib"}
    assert set(installed_versions(host, "rocm-*", "amd-smi*")) == classic


def test_impossible_requests_fail_with_reason(
    mirror: MirrorFixture, host: LabHost, tmp_path: Path
) -> None:
    with_driver = partial(
        mirrored_profile, mirror, "rocky9-stig-nvidia", "nvidia_driver", module_signing="site_key"
    )
    profile_with_driver = with_driver()

    def error_output(profile: Profile) -> str:
        with pytest.raises(ToolError, match=rf"{profile.layers[0]}: task .* failed") as caught:
            apply_layers(profile, host, tmp_path)
        return caught.value.output_tail

    host.run("mkdir -p /etc/containers/systemd")
    host.run("echo 'PodmanArgs=--security-opt=label=disable' > /etc/containers/systemd/a.container")
    output = error_output(mirrored_profile(mirror, "rocky9-stig-nvidia", "containers"))
    assert "/etc/containers/systemd/a.container: PodmanArgs=--security-opt=label=disable" in output
    assert installed_versions(host, "podman") == {}

    # Signed by another key than the pinned one.
    output = error_output(with_driver(key=mirror.untrusted_key))
    assert "GPG" in output
    assert installed_versions(host, "nvidia-driver*") == {}

    output = error_output(with_driver(branch="570", driver="570.9"))
    assert "nvidia-driver:570-open" in output

    output = error_output(with_driver(driver="580.200.01"))
    assert "nvidia-driver-cuda-580.200.01" in output

    host.run(f"rpm -i --nodeps {MIRROR}/side/kmod-nvidia-open-dkms-*.rpm")
    assert f"kmod-nvidia-open-dkms: expected {DRIVER}, got {OLDER} installed" in error_output(
        profile_with_driver
    )
    host.run("rpm -e kmod-nvidia-open-dkms")

    host.run(f"rpm -i {MIRROR}/side/{mirror.kmod}-*.rpm")
    assert "expected a signature, got none" in error_output(profile_with_driver)
    host.run(f"rpm -e --nodeps {mirror.kmod}")

    host.run(f"rpm -i --nodeps {MIRROR}/side/kernel-core-*.rpm")
    assert (
        f"expected one kernel-core, got 2: {mirror.kernel.package}, 6.99.1-1.lab9"
        in error_output(profile_with_driver)
    )
    host.run("rpm -e kernel-core-6.99.1-1.lab9")

    # A different enabled stream is not replaced.
    host.run("dnf -y -q module reset nvidia-driver; dnf -y -q module enable nvidia-driver:595-open")
    assert "dnf module reset" in error_output(profile_with_driver)


def test_fetched_key_is_verified_before_use(mirror: MirrorFixture, tmp_path: Path) -> None:
    (tmp_path / "vendor.pub").write_text(f"Version: 1\n{mirror.key.public}")
    handler = type(
        "Quiet",
        (http.server.SimpleHTTPRequestHandler,),
        {"log_message": lambda *_: None, "directory": str(tmp_path)},
    )
    profile = mirrored_profile(mirror, "rocky9-stig-nvidia", "cuda")
    (repository,) = (r for r in vendor_packages.repositories_for(profile, "cuda") if r.id == "cuda")
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a: handler(*a, directory=str(tmp_path))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/vendor.pub"
        fetched = replace(repository, key=None, key_url=address)
        with pytest.raises(TrustError, match=r"key of repository cuda from http://127\.0\.0\.1"):
            signing_keys.load_signing_key(fetched)
        with_digest_kind = replace(fetched, digest_of="file_without_version_lines")
        with pytest.raises(TrustError, match="expected an armoured public key"):
            signing_keys.load_signing_key(with_digest_kind)
        server.shutdown()
