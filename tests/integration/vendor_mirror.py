"""A generated mirror of the vendors' repositories: their names and versions, our payload and key.

The payloads are what the layers act on: unit files, udev rules, a dkms that keeps book,
module metadata. No driver is in it and nothing of it touches a GPU.
"""

import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hardpan.core.process import find_program, run
from tests.integration.lab_host import LabKernel

DRIVER = "580.178.04"
NEWER = "595.91.07"
OLDER = "575.64.05"
_INSTALL_SECTION = "[Install]\nWantedBy=multi-user.target\n"
_UNIT = f"[Unit]\nDescription={{0}}\n[Service]\nExecStart=/bin/true\n{_INSTALL_SECTION}"
_PATH_UNIT = f"[Path]\nPathChanged=/run/{{0}}\n{_INSTALL_SECTION}"
_DKMS = """\
#!/bin/sh
# Stands in for a compiler: installs the sources' object files as modules of the kernel.
book=/var/lib/dkms
case "$1" in
    status) cat "$book/$3" 2> /dev/null || : ;;
    autoinstall)
        grep -q '^sign_file=/nonexistent' /etc/dkms/framework.conf.d/*.conf || exit 1
        mkdir -p "$book" "/lib/modules/$3/extra"
        echo 'what DKMS signs with by default' > "$book/mok.key"
        for module in /usr/src/*-dkms-*; do
            name=${module##*/}
            cp "$module"/*.ko "/lib/modules/$3/extra/"
            xz -f "/lib/modules/$3/extra"/*.ko
            echo "${name%%-dkms-*}/${name##*-dkms-}, $3, x86_64: installed"
        done > "$book/$3"
        ;;
esac
"""


@dataclass(frozen=True)
class RpmFixture:
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


def driver(version: str, release: str) -> tuple[RpmFixture, ...]:
    """NVIDIA's driver for computing, with DKMS and with the parts for NVSwitch."""
    same = f"3:{version}"
    return (
        RpmFixture(
            "nvidia-driver-cuda",
            version,
            release,
            3,
            requires=(f"nvidia-driver-cuda-libs = {same}", f"nvidia-kmod = {same}"),
        ),
        RpmFixture("nvidia-driver-cuda-libs", version, release, 3),
        RpmFixture("nvidia-persistenced", version, release, 3, files=unit("nvidia-persistenced")),
        RpmFixture(
            "kmod-nvidia-open-dkms",
            version,
            release,
            3,
            requires=("dkms",),
            provides=(f"nvidia-kmod = {same}",),
            files={
                f"/usr/src/nvidia-dkms-{version}/dkms.conf": "PACKAGE_NAME=nvidia\n",
                f"/usr/src/nvidia-dkms-{version}/nvidia.ko": "",
                f"/usr/src/nvidia-dkms-{version}/nvidia-uvm.ko": "",
            },
            module="unsigned",
        ),
        RpmFixture("nvidia-fabricmanager", version, release, files=unit("nvidia-fabricmanager")),
        RpmFixture("libnvidia-nscq", version, release),
        RpmFixture("libnvsdm", version, release),
        RpmFixture("nvidia-imex", version, release),
    )


def kmod_name(kernel: LabKernel, version: str) -> str:
    """The package of a precompiled kernel module, named as NVIDIA's packaging names it."""
    return f"kmod-nvidia-{version}-{kernel.package.removesuffix('.lab9')}"


def kmod(
    kernel: LabKernel, version: str, release: str = "3.lab9", module: str = "signed"
) -> RpmFixture:
    """A precompiled kernel module for that kernel."""
    return RpmFixture(
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
    RpmFixture("cuda-toolkit-13-3", "13.3.0"),
    # A newer version, and the package name that would also install the newest driver.
    RpmFixture("cuda-toolkit-13-4", "13.4.0"),
    RpmFixture(
        "cuda", "13.4.0", requires=("cuda-toolkit-13-4", f"nvidia-driver-cuda >= 3:{NEWER}")
    ),
    RpmFixture("libcudnn9-cuda-13", "9.14.0"),
    RpmFixture("libnccl", "2.29.1"),
    RpmFixture("datacenter-gpu-manager-4-cuda13", "4.5.0", files=unit("nvidia-dcgm")),
)


def repositories(kernel: LabKernel) -> Mapping[str, Sequence[RpmFixture]]:
    """The packages of each repository; those for a kernel are for the lab media's ``kernel``."""
    version, _, release = kernel.package.partition("-")
    return {
        "cuda9": (
            *driver(DRIVER, "1.el9"),
            *driver(NEWER, "1.el9"),
            *TOOLKIT,
            kmod(kernel, DRIVER, "9.lab9"),
        ),
        "cuda10": (*driver(DRIVER, "1.el10"), *driver(NEWER, "1.el10"), *TOOLKIT),
        "site": (kmod(kernel, DRIVER), kmod(kernel, NEWER)),
        "epel": (
            RpmFixture("dkms", "3.2.2", requires=("gcc-build",), files={"/usr/sbin/dkms": _DKMS}),
        ),
        "amdgpu": (
            RpmFixture(
                "amdgpu-dkms",
                "6.14.14",
                requires=("dkms",),
                files={
                    "/usr/src/amdgpu-dkms-6.14.14/dkms.conf": "PACKAGE_NAME=amdgpu\n",
                    "/usr/src/amdgpu-dkms-6.14.14/amdgpu.ko": "",
                },
                module="unsigned",
            ),
            RpmFixture("amdgpu-dkms-firmware", "30.10.1"),
        ),
        "rocm-therock": (
            RpmFixture("amdrocm7.14-gfx942", "7.14.0"),
            RpmFixture("amdrocm7.14-gfx950", "7.14.0"),
        ),
        "rocm-classic": tuple(
            RpmFixture(name, "7.0.1")
            for name in ("rocm-hip-runtime", "rocm-smi-lib", "amd-smi-lib")
        ),
        "toolkit": tuple(
            RpmFixture(
                "nvidia-container-toolkit-base",
                toolkit,
                files=unit("nvidia-cdi-refresh") | unit("nvidia-cdi-refresh", path=True),
            )
            for toolkit in ("1.20.0", "1.21.0")
        ),
        "rocky": (
            RpmFixture("podman", "5.6.0", requires=("container-selinux",)),
            RpmFixture("container-selinux", "2.240.0"),
            RpmFixture("kernel-headers", version, release),
            RpmFixture("gcc-build", "11.5.0"),
            RpmFixture(
                "kernel-devel-matched",
                version,
                release,
                requires=(f"kernel-core = {kernel.package}",),
            ),
            # Newer ones, which would bring a second kernel along.
            RpmFixture(
                "kernel-devel-matched",
                "6.99.1",
                "1.lab9",
                requires=("kernel-core = 6.99.1-1.lab9",),
            ),
            RpmFixture("kernel-core", "6.99.1", "1.lab9"),
        ),
        # Not in a repository: what a machine may have already.
        "side": (
            RpmFixture("kernel-core", "6.99.1", "1.lab9"),
            RpmFixture("kmod-nvidia-open-dkms", OLDER, "1.el9", 3),
            kmod(kernel, DRIVER, "4.lab9", "unsigned"),
        ),
    }


_EL9_STREAMS = {"580-open": DRIVER, "580": DRIVER, "595-open": NEWER}
"""Stream -> driver; the one without a suffix has the precompiled modules too."""


@dataclass(frozen=True)
class GpgKey:
    """An OpenPGP key of the test's own."""

    public: str
    """Armoured."""

    home: Path
    user: str


def create_key(home: Path, user: str) -> GpgKey:
    """Make a key without a passphrase."""
    home.mkdir(mode=0o700)
    _gpg(home, "--passphrase", "", "--quick-generate-key", user, "rsa3072", "sign", "never")
    return GpgKey(public=_gpg(home, "--armor", "--export", user), home=home, user=user)


def build_mirror(folder: Path, key: GpgKey, kernel: LabKernel) -> Path:
    """Build, sign and index all repositories below ``folder``."""
    packages_folder = folder / "built"
    packages = repositories(kernel)
    # A spec can hold one version of a name, so each round is a spec of its own.
    pending = {rpm.file: rpm for rpms in packages.values() for rpm in rpms}
    while pending:
        names: dict[str, RpmFixture] = {}
        for rpm in pending.values():
            names.setdefault(rpm.name, rpm)
        _build_packages(tuple(names.values()), folder / f"spec{len(pending)}", packages_folder)
        for rpm in names.values():
            del pending[rpm.file]
    sign_command: list[str | Path] = ["rpmsign", "--define", f"_gpg_name {key.user}"]
    sign_command += ["--define", f"__gpg {find_program('gpg')}", "--addsign"]
    run(
        [*sign_command, *sorted(packages_folder.glob("*.rpm"))],
        timeout_s=120,
        env={"GNUPGHOME": str(key.home)},
    )
    mirror = folder / "mirror"
    for name, rpms in packages.items():
        folder_of_repository = mirror / name
        folder_of_repository.mkdir(parents=True)
        for rpm in rpms:
            shutil.copy(packages_folder / rpm.file, folder_of_repository)
        if name != "side":
            run(["createrepo_c", "-q", folder_of_repository], timeout_s=60)
    modules = folder / "modules.yaml"
    modules.write_text("".join(_modules(kernel)))
    run(["modifyrepo_c", "--mdtype=modules", modules, mirror / "cuda9/repodata"], timeout_s=60)
    return mirror


def _modules(kernel: LabKernel) -> Iterator[str]:
    for stream, version in _EL9_STREAMS.items():
        precompiled = (kmod(kernel, version, "9.lab9"),) if stream == "580" else ()
        artifacts = (*driver(version, "1.el9"), *precompiled)
        rpms = [f"      - {r.name}-{r.evr}.x86_64\n" for r in artifacts]
        yield (
            "---\ndocument: modulemd\nversion: 2\ndata:\n  name: nvidia-driver\n"
            f'  stream: "{stream}"\n  version: 20261109\n  context: hardpan\n  arch: x86_64\n'
            "  summary: A test's\n  description: A test's\n  license:\n    module: [MIT]\n"
            "  dependencies:\n    - requires:\n        platform: [el9]\n"
            f"  artifacts:\n    rpms:\n{''.join(rpms)}...\n"
        )


def _build_packages(rpms: Sequence[RpmFixture], workdir: Path, destination: Path) -> None:
    workdir.mkdir()
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
            path_in_root = workdir / "root" / path.lstrip("/")
            path_in_root.parent.mkdir(parents=True, exist_ok=True)
            path_in_root.write_bytes(
                _build_kernel_module(rpm, workdir)
                if rpm.module and path.endswith(".ko")
                else text.encode()
            )
            path_in_root.chmod(0o755 if "bin/" in path else 0o644)
    (workdir / "root").mkdir(exist_ok=True)
    spec.append(f"%install\nmkdir -p %{{buildroot}}\ncp -a {workdir}/root/. %{{buildroot}}/\n")
    (workdir / "all.spec").write_text("".join(spec))
    file_name_format = "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"
    macros = {"_topdir": workdir, "_rpmdir": destination, "_build_name_fmt": file_name_format}
    flags = [x for name, value in macros.items() for x in ("--define", f"{name} {value}")]
    argv = ["rpmbuild", "-bb", "--quiet", "--target", "x86_64", *flags, workdir / "all.spec"]
    run(argv, timeout_s=120)


def _build_kernel_module(rpm: RpmFixture, workdir: Path) -> bytes:
    """Build an object with a module's description and, on request, a kernel-style signature."""
    source, object_file = workdir / "module.c", workdir / "module.o"
    module_info = f"version={rpm.version}\\0license=Dual MIT/GPL"
    source.write_text(
        f'const char told[] __attribute__((section(".modinfo"))) = "{module_info}";\n'
    )
    run(["gcc", "-c", source, "-o", object_file], timeout_s=30)
    if rpm.module == "unsigned":
        return object_file.read_bytes()
    key, certificate, signature = (workdir / x for x in ("site.key", "site.crt", "module.p7s"))
    create_certificate = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=a site",
    ]
    run([*create_certificate, "-keyout", key, "-out", certificate], timeout_s=60)
    sign_command = ["openssl", "cms", "-sign", "-binary", "-noattr", "-nocerts", "-outform", "DER"]
    sign_command += ["-md", "sha256", "-signer", str(certificate), "-inkey", str(key)]
    run([*sign_command, "-in", object_file, "-out", signature], timeout_s=30)
    data = signature.read_bytes()
    # struct module_signature: PKCS#7, no lengths but the signature's own.
    tail = struct.pack(">BBBBBxxxI", 0, 0, 2, 0, 0, len(data))
    return object_file.read_bytes() + data + tail + b"~Module signature appended~\n"


def _gpg(home: Path, *arguments: str) -> str:
    argv = ["gpg", "--batch", "--pinentry-mode", "loopback", "--homedir", home, *arguments]
    return run(argv, timeout_s=60).stdout
