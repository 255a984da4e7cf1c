"""A mirror of the vendors' repositories, made here: their names and versions, our payload and key.

The payloads are what the layers act on: unit files, udev rules, a dkms that keeps book,
module metadata. No driver is in it and nothing of it touches a GPU.
"""

import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hardpan.process import run, which
from tests.integration.lab_host import Kernel

DRIVER = "580.178.04"
NEWER = "595.91.07"
OLDER = "575.64.05"
_WANTED = "[Install]\nWantedBy=multi-user.target\n"
_UNIT = f"[Unit]\nDescription={{0}}\n[Service]\nExecStart=/bin/true\n{_WANTED}"
_PATH_UNIT = f"[Path]\nPathChanged=/run/{{0}}\n{_WANTED}"
_DKMS = """\
#!/bin/sh
# Keeps book of what it would have built, and for which kernel.
book=/var/lib/dkms-book
case "$1" in
    status) cat "$book-$3" 2> /dev/null || : ;;
    autoinstall)
        for module in /usr/src/*-dkms-*; do
            name=${module##*/}
            echo "${name%%-dkms-*}/${name##*-dkms-}, $3, x86_64: installed"
        done > "$book-$3"
        ;;
esac
"""


@dataclass(frozen=True)
class Rpm:
    """One package to build."""

    name: str
    version: str
    release: str = "1"
    epoch: int = 0
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    module: str = ""
    """``signed`` or ``unsigned`` for one that carries a kernel module."""

    @property
    def evr(self) -> str:
        """Epoch, version and release."""
        return f"{self.epoch}:{self.version}-{self.release}"

    @property
    def file(self) -> str:
        """The file that rpmbuild makes of it."""
        return f"{self.name}-{self.version}-{self.release}.x86_64.rpm"


def unit(name: str, *, path: bool = False) -> dict[str, str]:
    """A unit file, as a package carries it."""
    text = _PATH_UNIT if path else _UNIT
    kind = "path" if path else "service"
    return {f"/usr/lib/systemd/system/{name}.{kind}": text.format(name)}


def driver(version: str, release: str) -> tuple[Rpm, ...]:
    """NVIDIA's driver for computing, with DKMS and with the parts for NVSwitch."""
    same = f"3:{version}"
    return (
        Rpm(
            "nvidia-driver-cuda",
            version,
            release,
            3,
            requires=(f"nvidia-driver-cuda-libs = {same}", f"nvidia-kmod = {same}"),
        ),
        Rpm("nvidia-driver-cuda-libs", version, release, 3),
        Rpm("nvidia-persistenced", version, release, 3, files=unit("nvidia-persistenced")),
        Rpm(
            "kmod-nvidia-open-dkms",
            version,
            release,
            3,
            requires=("dkms",),
            provides=(f"nvidia-kmod = {same}",),
            files={f"/usr/src/nvidia-dkms-{version}/dkms.conf": "PACKAGE_NAME=nvidia\n"},
        ),
        Rpm("nvidia-fabricmanager", version, release, files=unit("nvidia-fabricmanager")),
        Rpm("libnvidia-nscq", version, release),
        Rpm("libnvsdm", version, release),
        Rpm("nvidia-imex", version, release),
    )


def kmod_name(kernel: Kernel, version: str) -> str:
    """The package of a precompiled kernel module, named as NVIDIA's packaging names it."""
    return f"kmod-nvidia-{version}-{kernel.package.removesuffix('.lab9')}"


def kmod(kernel: Kernel, version: str, release: str = "3.lab9", module: str = "signed") -> Rpm:
    """A precompiled kernel module for that kernel."""
    return Rpm(
        kmod_name(kernel, version),
        version,
        release,
        3,
        requires=(f"kernel-core = {kernel.package}",),
        provides=(f"nvidia-kmod = 3:{version}",),
        files={f"/usr/lib/modules/{kernel.release}/extra/nvidia-{version}/nvidia.ko": ""},
        module=module,
    )


TOOLKIT = (
    Rpm("cuda-toolkit-13-3", "13.3.0"),
    # A newer one beside it, and the name that would bring the newest driver along.
    Rpm("cuda-toolkit-13-4", "13.4.0"),
    Rpm("cuda", "13.4.0", requires=("cuda-toolkit-13-4", f"nvidia-driver-cuda >= 3:{NEWER}")),
    Rpm("libcudnn9-cuda-13", "9.14.0"),
    Rpm("libnccl", "2.29.1"),
    Rpm("datacenter-gpu-manager-4-cuda13", "4.5.0", files=unit("nvidia-dcgm")),
)


def repositories(kernel: Kernel) -> Mapping[str, Sequence[Rpm]]:
    """The packages of each repository; those for a kernel are for the lab media's ``kernel``."""
    version, _, release = kernel.package.partition("-")
    return {
        "cuda9": (*driver(DRIVER, "1.el9"), *driver(NEWER, "1.el9"), *TOOLKIT),
        "cuda10": (*driver(DRIVER, "1.el10"), *driver(NEWER, "1.el10"), *TOOLKIT),
        "site": (kmod(kernel, DRIVER), kmod(kernel, NEWER)),
        "epel": (Rpm("dkms", "3.2.2", files={"/usr/sbin/dkms": _DKMS}),),
        "amdgpu": (
            Rpm(
                "amdgpu-dkms",
                "6.14.14",
                requires=("dkms",),
                files={"/usr/src/amdgpu-dkms-6.14.14/dkms.conf": "PACKAGE_NAME=amdgpu\n"},
            ),
        ),
        "rocm-therock": (Rpm("amdrocm7.14-gfx942", "7.14.0"), Rpm("amdrocm7.14-gfx950", "7.14.0")),
        "rocm-classic": tuple(
            Rpm(name, "7.0.1") for name in ("rocm-hip-runtime", "rocm-smi-lib", "amd-smi-lib")
        ),
        "toolkit": tuple(
            Rpm(
                "nvidia-container-toolkit-base",
                toolkit,
                files=unit("nvidia-cdi-refresh") | unit("nvidia-cdi-refresh", path=True),
            )
            for toolkit in ("1.20.0", "1.21.0")
        ),
        "rocky": (
            Rpm("podman", "5.6.0", requires=("container-selinux",)),
            Rpm("container-selinux", "2.240.0"),
            Rpm("kernel-headers", version, release),
            Rpm(
                "kernel-devel-matched",
                version,
                release,
                requires=(f"kernel-core = {kernel.package}",),
            ),
            # Newer ones, which would bring a second kernel along.
            Rpm(
                "kernel-devel-matched",
                "6.99.1",
                "1.lab9",
                requires=("kernel-core = 6.99.1-1.lab9",),
            ),
            Rpm("kernel-core", "6.99.1", "1.lab9"),
        ),
        # Not in a repository: what a machine may have already.
        "side": (
            Rpm("kernel-core", "6.99.1", "1.lab9"),
            Rpm("kmod-nvidia-open-dkms", OLDER, "1.el9", 3),
            kmod(kernel, DRIVER, "4.lab9", "unsigned"),
        ),
    }


_EL9_STREAMS = {"580-open": DRIVER, "595-open": NEWER}


@dataclass(frozen=True)
class Key:
    """An OpenPGP key of the test's own."""

    public: str
    """Armoured."""

    home: Path
    user: str


def new_key(home: Path, user: str) -> Key:
    """Make a key without a passphrase."""
    home.mkdir(mode=0o700)
    _gpg(home, "--passphrase", "", "--quick-generate-key", user, "rsa3072", "sign", "never")
    return Key(public=_gpg(home, "--armor", "--export", user), home=home, user=user)


def made(folder: Path, key: Key, kernel: Kernel) -> Path:
    """Build, sign and index all repositories below ``folder``."""
    built = folder / "built"
    packages = repositories(kernel)
    # A spec can hold one version of a name, so each round is a spec of its own.
    todo = {rpm.file: rpm for rpms in packages.values() for rpm in rpms}
    while todo:
        names: dict[str, Rpm] = {}
        for rpm in todo.values():
            names.setdefault(rpm.name, rpm)
        _build(tuple(names.values()), folder / f"spec{len(todo)}", built)
        for rpm in names.values():
            del todo[rpm.file]
    sign: list[str | Path] = ["rpmsign", "--define", f"_gpg_name {key.user}"]
    sign += ["--define", f"__gpg {which('gpg')}", "--addsign"]
    run([*sign, *sorted(built.glob("*.rpm"))], timeout_s=120, env={"GNUPGHOME": str(key.home)})
    mirror = folder / "mirror"
    for name, rpms in packages.items():
        place = mirror / name
        place.mkdir(parents=True)
        for rpm in rpms:
            shutil.copy(built / rpm.file, place)
        if name != "side":
            run(["createrepo_c", "-q", place], timeout_s=60)
    modules = folder / "modules.yaml"
    modules.write_text("".join(_modules()))
    run(["modifyrepo_c", "--mdtype=modules", modules, mirror / "cuda9/repodata"], timeout_s=60)
    return mirror


def _modules() -> Iterator[str]:
    for stream, version in _EL9_STREAMS.items():
        rpms = [f"      - {r.name}-{r.evr}.x86_64\n" for r in driver(version, "1.el9")]
        yield (
            "---\ndocument: modulemd\nversion: 2\ndata:\n  name: nvidia-driver\n"
            f'  stream: "{stream}"\n  version: 20261109\n  context: hardpan\n  arch: x86_64\n'
            "  summary: A test's\n  description: A test's\n  license:\n    module: [MIT]\n"
            "  dependencies:\n    - requires:\n        platform: [el9]\n"
            f"  artifacts:\n    rpms:\n{''.join(rpms)}...\n"
        )


def _build(rpms: Sequence[Rpm], room: Path, to: Path) -> None:
    room.mkdir()
    spec = [
        "%global debug_package %{nil}\n%global __os_install_post %{nil}\n",
        "Name: all\nVersion: 1\nRelease: 1\nSummary: All\nLicense: MIT\nAutoReqProv: no\n",
        "%description\nAll.\n",
    ]
    for rpm in rpms:
        spec.append(f"%package -n {rpm.name}\nVersion: {rpm.version}\nRelease: {rpm.release}\n")
        spec.append(f"Summary: A test's\nAutoReqProv: no\nEpoch: {rpm.epoch}\n")
        spec += [f"Requires: {x}\n" for x in rpm.requires]
        spec += [f"Provides: {x}\n" for x in rpm.provides]
        spec.append(f"%description -n {rpm.name}\nA test's.\n%files -n {rpm.name}\n")
        spec += [f"{path}\n" for path in rpm.files]
        for path, text in rpm.files.items():
            place = room / "root" / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(_module(rpm, room) if rpm.module else text.encode())
            place.chmod(0o755 if "bin/" in path else 0o644)
    (room / "root").mkdir(exist_ok=True)
    spec.append(f"%install\nmkdir -p %{{buildroot}}\ncp -a {room}/root/. %{{buildroot}}/\n")
    (room / "all.spec").write_text("".join(spec))
    named = "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"
    defined = {"_topdir": room, "_rpmdir": to, "_build_name_fmt": named}
    flags = [x for name, value in defined.items() for x in ("--define", f"{name} {value}")]
    argv = ["rpmbuild", "-bb", "--quiet", "--target", "x86_64", *flags, room / "all.spec"]
    run(argv, timeout_s=120)


def _module(rpm: Rpm, room: Path) -> bytes:
    """An object with a module's description and, if asked for, a signature as the kernel's own."""
    source, built = room / "module.c", room / "module.o"
    told = f"version={rpm.version}\\0license=Dual MIT/GPL"
    source.write_text(f'const char told[] __attribute__((section(".modinfo"))) = "{told}";\n')
    run(["gcc", "-c", source, "-o", built], timeout_s=30)
    if rpm.module == "unsigned":
        return built.read_bytes()
    key, certificate, signature = (room / x for x in ("site.key", "site.crt", "module.p7s"))
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a site"]
    run([*new, "-keyout", key, "-out", certificate], timeout_s=60)
    sign = ["openssl", "cms", "-sign", "-binary", "-noattr", "-nocerts", "-outform", "DER"]
    sign += ["-md", "sha256", "-signer", str(certificate), "-inkey", str(key)]
    run([*sign, "-in", built, "-out", signature], timeout_s=30)
    data = signature.read_bytes()
    # struct module_signature: PKCS#7, no lengths but the signature's own.
    tail = struct.pack(">BBBBBxxxI", 0, 0, 2, 0, 0, len(data))
    return built.read_bytes() + data + tail + b"~Module signature appended~\n"


def _gpg(home: Path, *arguments: str) -> str:
    argv = ["gpg", "--batch", "--pinentry-mode", "loopback", "--homedir", home, *arguments]
    return run(argv, timeout_s=60).stdout
