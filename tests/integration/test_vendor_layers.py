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
from pathlib import Path
from typing import Any

import pytest

from hardpan.builder.layers import keys, packages
from hardpan.builder.layers import registry as layers
from hardpan.builder.receipts import Assessment
from hardpan.errors import ToolError, TrustError
from hardpan.events import silent
from hardpan.files import Sha256, sha256_bytes
from hardpan.process import run
from hardpan.profiles.load import load
from hardpan.profiles.model import Profile
from hardpan.profiles.repositories import SiteRepository
from tests.integration.lab_host import Kernel, LabHost, Payload, lab_host
from tests.integration.vendor_mirror import DRIVER, NEWER, OLDER, Key, kmod_name, made, new_key

pytestmark = pytest.mark.integration

NOTHING = Assessment(content_sha256=Sha256("0" * 64), counts={}, remedies=())
MIRROR = "/srv/mirror"


@dataclass(frozen=True)
class Site:
    """The mirror, the kernel that its packages are for, and the keys."""

    mirror: Path
    kernel: Kernel
    key: Key
    other: Key

    @property
    def kmod(self) -> str:
        """The package of the precompiled kernel module."""
        return kmod_name(self.kernel, DRIVER)


@pytest.fixture(scope="module")
def site(lab_payload: Payload, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One mirror for all tests."""
    kernel = lab_payload.kernel
    # gpg's socket has a short name or none.
    with tempfile.TemporaryDirectory(prefix="hp-gpg-") as name:
        homes = [Path(name) / x for x in ("ours", "other")]
        key, other = (new_key(h, f"{h.name}@example.invalid") for h in homes)
        try:
            mirror = made(tmp_path_factory.mktemp("mirror"), key, kernel)
            yield Site(mirror=mirror, kernel=kernel, key=key, other=other)
        finally:
            for home in homes:
                run(["gpgconf", "--homedir", home, "--kill", "all"], timeout_s=20)


@pytest.fixture
def host(lab_payload: Payload, tmp_path: Path, site: Site) -> Iterator[LabHost]:
    """A fresh lab host with the mirror on it."""
    with lab_host(lab_payload, tmp_path, install=["dnf-plugins-core"]) as running:
        shutil.copytree(site.mirror, running.root / MIRROR.lstrip("/"))
        yield running


def ours(site: Site, name: str, *names: str, key: Key | None = None, **hardware: Any) -> Profile:
    """A shipped profile with these layers, and all of its repositories on the mirror."""
    shipped = load(name)
    release = shipped.release.removeprefix("rocky")
    folders = {"cuda": f"cuda{release}", "nvidia-container-toolkit": "toolkit"}
    folders |= {x: x for x in ("site", "rocky", "epel", "amdgpu", "rocm-therock", "rocm-classic")}
    public = (key or site.key).public
    repositories = tuple(
        SiteRepository(
            id=one,
            # The distribution's packages lie at its second address, as AppStream's do.
            url=f"file://{MIRROR}/{'epel' if one == 'rocky' else folder}/",
            more_urls=(f"file://{MIRROR}/rocky/",) if one == "rocky" else (),
            key=public,
            key_sha256=sha256_bytes(public.encode()),
        )
        for one, folder in folders.items()
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


def applied(profile: Profile, host: LabHost, tmp_path: Path) -> list[int]:
    """How many tasks changed something, layer by layer."""
    done = layers.apply(profile, host.guest, NOTHING, cache=tmp_path, emit=silent)
    return [receipt.changed for receipt in done]


def versions(host: LabHost, *patterns: str) -> dict[str, str]:
    """Name -> version of what is installed."""
    asked = " ".join(f"'{p}'" for p in patterns)
    said = host.run(f"rpm -qa --qf '%{{NAME}} %{{VERSION}}\\n' {asked}").stdout
    return dict(line.split() for line in said.splitlines())


@pytest.mark.parametrize(
    ("release", "names"),
    [(9, ("nvidia_driver", "cuda", "containers")), (10, ("nvidia_driver", "containers"))],
)
def test_nvidias_layers_converge_and_stay(
    site: Site, host: LabHost, tmp_path: Path, release: int, names: tuple[str, ...]
) -> None:
    profile = ours(site, f"rocky{release}-stig-nvidia", *names, nvswitch=True, accept_eula=True)

    assert applied(profile, host, tmp_path) == [1] * len(names)
    image = "/boot/initramfs-$(ls /lib/modules).img"
    before = host.run(f"stat -c %Y.%i {image}").stdout
    assert applied(profile, host, tmp_path) == [0] * len(names)
    assert host.run(f"stat -c %Y.%i {image}").stdout == before

    driver = versions(host, "nvidia-driver*", "kmod-nvidia*", "*nvidia-[finp]*", "libnvsdm")
    assert set(driver.values()) == {DRIVER}
    assert {site.kmod, "nvidia-fabricmanager", "libnvidia-nscq", "libnvsdm", "nvidia-imex"} <= set(
        driver
    )
    assert versions(host, "cuda*") == ({"cuda-toolkit-13-3": "13.3.0"} if "cuda" in names else {})
    stream = host.run("cat /etc/dnf/modules.d/nvidia-driver.module || :").stdout
    assert ("stream=580-open" in stream) is (release == 9)
    # A newer branch lies in the mirror; neither dnf's update nor a person's wish takes it.
    host.run("dnf -y -q update --disablerepo='*' --enablerepo='hardpan-*'")
    host.run(
        f"dnf -y -q install nvidia-driver-cuda-{NEWER} --disablerepo='*' --enablerepo='hardpan-*'",
        ok=(1,),
    )
    assert versions(host, "nvidia-driver-cuda") == {"nvidia-driver-cuda": DRIVER}
    assert versions(host, "nvidia-container*") == {"nvidia-container-toolkit-base": "1.20.0"}
    assert len(host.run("rpm -q kernel-core").stdout.splitlines()) == 1
    _holds(host, site.kernel)


def _holds(host: LabHost, kernel: Kernel) -> None:
    """What a converged machine shows, beside its packages."""
    units = "nvidia-persistenced nvidia-fabricmanager nvidia-cdi-refresh.path nvidia-cdi-refresh"
    assert host.run(f"systemctl is-enabled {units}").stdout.split() == ["enabled"] * 4
    repos = host.run("cat /etc/yum.repos.d/*.repo").stdout
    assert "gpgcheck=0" not in repos
    listing = host.run("lsinitramfs /boot/initramfs-*.img").stdout
    assert "nouveau.ko" not in listing
    assert "etc/modprobe.d/hardpan-nvidia.conf" in listing
    assert '"reject"' in host.run("cat /etc/containers/policy.json").stdout
    locks = host.run("cat /etc/dnf/plugins/versionlock.list").stdout.splitlines()
    assert f"nvidia-driver-cuda-3:{DRIVER}-1.el9.*" in locks or any(".el10.*" in x for x in locks)
    assert f"kernel-core-0:{kernel.package}.*" in locks
    assert len(locks) == len(set(locks))


def test_dkms_builds_for_the_one_kernel_and_whatever_runs(
    site: Site, host: LabHost, tmp_path: Path
) -> None:
    why = {"module_signing": "secure_boot_off", "secure_boot_off_reason": "A test."}
    profile = ours(site, "rocky9-stig-nvidia", "nvidia_driver", **why)

    assert applied(profile, host, tmp_path) == [1]

    kernel = host.run("ls /lib/modules").stdout.strip()
    book = host.run(f"cat /var/lib/dkms-book-{kernel}").stdout
    assert book == f"nvidia/{DRIVER}, {kernel}, x86_64: installed\n"
    version = site.kernel.package.partition("-")[0]
    assert versions(host, "kernel-devel-matched") == {"kernel-devel-matched": version}


def test_amds_layers_converge_and_stay(site: Site, host: LabHost, tmp_path: Path) -> None:
    profile = ours(site, "rocky9-stig-amd", "amd_driver", "rocm")

    assert applied(profile, host, tmp_path) == [1, 1]
    assert applied(profile, host, tmp_path) == [0, 0]

    assert {"render", "video"} <= set(host.run("id -Gn ai").stdout.split())
    assert host.run("udevadm verify /etc/udev/rules.d/70-hardpan-amd.rules").returncode == 0
    assert "amdgpu/6.14.14" in host.run("cat /var/lib/dkms-book-*").stdout
    assert set(versions(host, "amdrocm*", "rocm-*", "amd-smi*")) == {"amdrocm7.14-gfx942"}
    # The generation before has other names, at another address.
    assert applied(ours(site, "rocky9-stig-amd", "rocm", rocm="7.0.1"), host, tmp_path) == [1]
    classic = {"rocm-hip-runtime", "rocm-smi-lib", "amd-smi-lib"}
    assert set(versions(host, "rocm-*", "amd-smi*")) == classic


def test_what_cannot_be_ends_in_the_right_error(site: Site, host: LabHost, tmp_path: Path) -> None:
    good = ours(site, "rocky9-stig-nvidia", "nvidia_driver")

    def refused(profile: Profile) -> str:
        with pytest.raises(ToolError, match=rf"{profile.layers[0]}: task .* failed") as caught:
            applied(profile, host, tmp_path)
        return caught.value.tail

    host.run("mkdir -p /etc/containers/systemd")
    host.run("echo 'PodmanArgs=--security-opt=label=disable' > /etc/containers/systemd/a.container")
    said = refused(ours(site, "rocky9-stig-nvidia", "containers"))
    assert "/etc/containers/systemd/a.container: PodmanArgs=--security-opt=label=disable" in said
    assert versions(host, "podman") == {}

    # Signed by another key than the pinned one.
    said = refused(ours(site, "rocky9-stig-nvidia", "nvidia_driver", key=site.other))
    assert "GPG" in said
    assert versions(host, "nvidia-driver*") == {}

    said = refused(ours(site, "rocky9-stig-nvidia", "nvidia_driver", branch="570", driver="570.9"))
    assert "nvidia-driver:570-open" in said

    said = refused(ours(site, "rocky9-stig-nvidia", "nvidia_driver", driver="580.200.01"))
    assert "nvidia-driver-cuda-580.200.01" in said

    host.run(f"rpm -i --nodeps {MIRROR}/side/kmod-nvidia-open-dkms-*.rpm")
    assert f"kmod-nvidia-open-dkms: expected {DRIVER}, found {OLDER} installed" in refused(good)
    host.run("rpm -e kmod-nvidia-open-dkms")

    host.run(f"rpm -i {MIRROR}/side/{site.kmod}-*.rpm")
    assert "expected the site's signature, found none" in refused(good)
    host.run(f"rpm -e --nodeps {site.kmod}")

    host.run(f"rpm -i --nodeps {MIRROR}/side/kernel-core-*.rpm")
    assert f"expected one kernel-core, found 2: {site.kernel.package}, 6.99.1-1.lab9" in refused(
        good
    )
    host.run("rpm -e kernel-core-6.99.1-1.lab9")

    # Another stream than ours is not switched away from.
    host.run("dnf -y -q module reset nvidia-driver; dnf -y -q module enable nvidia-driver:595-open")
    assert "dnf module reset" in refused(good)


def test_a_key_from_the_network_is_checked_before_anything_is_sent(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "vendor.pub").write_text(f"Version: 1\n{site.key.public}")
    handler = type(
        "Quiet",
        (http.server.SimpleHTTPRequestHandler,),
        {"log_message": lambda *_: None, "directory": str(tmp_path)},
    )
    profile = ours(site, "rocky9-stig-nvidia", "cuda")
    (origin,) = packages.origins(profile, "cuda")
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a: handler(*a, directory=str(tmp_path))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/vendor.pub"
        fetched = replace(origin, key=None, key_url=address)
        with pytest.raises(TrustError, match=r"key of repository cuda from http://127\.0\.0\.1"):
            keys.key_of(fetched)
        whole = replace(fetched, digest_of="file_without_version_lines")
        with pytest.raises(TrustError, match="expected an armoured public key"):
            keys.key_of(whole)
        server.shutdown()
