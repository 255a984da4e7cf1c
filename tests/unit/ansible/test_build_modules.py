"""The program that builds a vendor's kernel modules: what it does, without a machine to change."""

import json
import lzma
import tarfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hardpan.builder.layers import registry as layers
from tests.unit.ansible.test_install_packages import HOST, load_program

PROGRAM = layers.PLAYBOOKS / "roles/kernel_modules/files/build_modules.py"
RELEASE = "5.14.0-1.el9.x86_64"
RESULT = "kmod-nvidia-580.1-5.14.0-1"
REQUEST = {
    "name": "nvidia",
    "proxy": "",
    "repositories": [],
    "streams": [],
    "packages": [
        {"name": "kmod-nvidia-open-dkms", "version": "580.1", "of_kernel": ""},
        {"name": "kernel-devel-matched", "version": "", "of_kernel": "version"},
    ],
    "precompiled": [{"name": "kmod-nvidia-open-580.1", "version": "580.1", "of_kernel": "name"}],
    "result": {"name": "kmod-nvidia-580.1", "version": "580.1", "of_kernel": "name"},
}


class BuildHost:
    """A host on which dnf installs DKMS, and DKMS writes a module."""

    def __init__(self, folder: Path) -> None:
        self.commands: list[str] = []
        self.packages = {"kernel-core": [("5.14.0", "0:5.14.0-1.el9")]}
        self.available = ""
        self.has_built = True
        self.modules = folder / "modules" / RELEASE
        self.settings = folder / "dkms/framework.conf.d/hardpan.conf"
        (self.modules / "kernel").mkdir(parents=True)
        (self.modules / "kernel/drm.ko.xz").write_bytes(lzma.compress(b"drm"))
        self.dkms_state = folder / "state"
        self.sources = folder / "src"
        (self.sources / "kernels").mkdir(parents=True)

    def installed(self) -> dict[str, list[tuple[str, str]]]:
        """The packages."""
        return dict(self.packages)

    def run(self, argv: list[str], *_: Any, **__: Any) -> str:
        """Run a command."""
        command = " ".join(argv)
        self.commands.append(command)
        if "repoquery" in argv:
            return self.available
        if "install" in argv and argv[0] == "dnf":
            assert "sign_file=/nonexistent" in self.settings.read_text()
            self.packages |= {"dkms": [("3", "0:3-1")], "gpg-pubkey": [("a", "0:a-b")]}
            self.dkms_state.mkdir()
            (self.dkms_state / "mok.key").write_text("a private key")
            (self.sources / "nvidia-580.1").mkdir()
        if argv[:2] == ["dkms", "autoinstall"]:
            (self.modules / "extra").mkdir()
            (self.modules / "extra/nvidia.ko.xz").write_bytes(lzma.compress(b"nvidia"))
        if argv[:2] == ["rpm", "-e"]:
            del self.packages["dkms"]
        is_status = argv[:2] == ["dkms", "status"] and self.has_built
        return f"nvidia/580.1, {RELEASE}, x86_64: installed\n" if is_status else ""


@pytest.fixture
def host(tmp_path: Path) -> BuildHost:
    return BuildHost(tmp_path)


@pytest.fixture
def program(host: BuildHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    shared = load_program(HOST, "vendor_host", monkeypatch)
    module = load_program(PROGRAM, "build_modules", monkeypatch)
    kernel = SimpleNamespace(package="5.14.0-1.el9", release=RELEASE, resolve=resolve_package)
    monkeypatch.setattr(module, "Kernel", lambda _: kernel)
    for owner in (shared, module):
        monkeypatch.setattr(owner, "run", host.run)
        monkeypatch.setattr(owner, "installed", host.installed)
    monkeypatch.setattr(shared, "BUILD_ONLY", tmp_path / "repos")
    monkeypatch.setattr(module, "MODULE_FOLDERS", tmp_path / "modules")
    monkeypatch.setattr(module, "SOURCES", host.sources)
    monkeypatch.setattr(module, "DKMS_STATE", host.dkms_state)
    monkeypatch.setattr(module, "DKMS_SETTINGS", host.settings)
    return module


def resolve_package(package: dict[str, str]) -> tuple[str, str]:
    """Name and version, as the class ``Kernel`` fills them in."""
    if package["of_kernel"] == "name":
        return f"{package['name']}-5.14.0-1", package["version"]
    return package["name"], "5.14.0-1.el9" if package["of_kernel"] else package["version"]


def build(program: ModuleType, **updates: object) -> tuple[str, dict[str, bytes]]:
    """State and modules."""
    state, modules = program.find_or_build({**REQUEST, **updates}, program.Kernel(None))
    return state, modules


def test_build_exports_modules_and_removes_its_packages(
    program: ModuleType, host: BuildHost
) -> None:
    assert build(program) == ("built", {"nvidia.ko": b"nvidia"})

    assert host.packages.keys() == {"kernel-core", "gpg-pubkey"}
    assert [p.name for p in host.modules.rglob("*.ko*")] == ["drm.ko.xz"]
    assert not host.dkms_state.exists()
    assert not host.settings.parent.parent.exists()
    assert [p.name for p in host.sources.iterdir()] == ["kernels"]
    (install,) = [c for c in host.commands if " install " in c]
    assert install.endswith("kmod-nvidia-open-dkms-580.1 kernel-devel-matched-5.14.0-1.el9")
    assert host.commands[-1] == f"depmod {RELEASE}"
    assert program.changes == [f"built nvidia.ko for {RELEASE}"]


def test_failed_build_removes_its_packages(program: ModuleType, host: BuildHost) -> None:
    host.has_built = False

    with pytest.raises(SystemExit, match="dkms built no nvidia"):
        build(program)

    assert "dkms" not in host.packages
    assert not host.dkms_state.exists()
    assert [p.name for p in host.modules.rglob("*.ko*")] == ["drm.ko.xz"]


def test_precompiled_modules_are_preferred(program: ModuleType, host: BuildHost) -> None:
    host.available = "kmod-nvidia-open-580.1-5.14.0-1-580.1\n"

    assert build(program) == ("precompiled", {})
    assert not any(" install " in c for c in host.commands)
    (query,) = [c for c in host.commands if "repoquery" in c]
    assert "--setopt=hardpan-*.module_hotfixes=1" in query


def test_installed_package_is_not_built_again(program: ModuleType, host: BuildHost) -> None:
    host.packages[RESULT] = [("580.1", "3:580.1-1.hardpan")]

    assert build(program) == ("installed", {})
    assert host.commands == []


@pytest.mark.parametrize("name", ["kmod-nvidia-580.1", "kmod-nvidia-open-580.1"])
def test_installed_package_of_the_vendor_is_used_again(
    program: ModuleType, host: BuildHost, name: str
) -> None:
    """The vendor's package of proprietary modules has the name of the build's."""
    host.packages[f"{name}-5.14.0-1"] = [("580.1", "3:580.1-9.el9")]
    precompiled = [{"name": name, "version": "580.1", "of_kernel": "name"}]

    assert build(program, precompiled=precompiled) == ("precompiled", {})
    assert host.commands == []


def test_archive_has_outcome_and_modules(program: ModuleType, tmp_path: Path) -> None:
    archive = tmp_path / "modules.tar"

    program.write_archive(archive, {"state": "built"}, {"nvidia.ko": b"nvidia"})

    with tarfile.open(archive) as tar:
        contents = {m.name: f.read() for m in tar if (f := tar.extractfile(m))}
    assert json.loads(contents.pop("outcome.json")) == {"state": "built"}
    assert contents == {"nvidia.ko": b"nvidia"}
    assert archive.stat().st_mode & 0o777 == 0o600


def test_programs_do_not_redefine_shared_names() -> None:
    """A role concatenates the shared file and its program into one module."""

    def names(path: Path) -> set[str]:
        lines = path.read_text("utf-8").splitlines()
        starts = [line.split("(")[0].split(":")[0].split("=")[0] for line in lines if line]
        parts = [s.split() for s in starts if s[:1].isalpha() or s.startswith("_")]
        return {p[-1] for p in parts if len(p) <= 2 and p[0] not in ("from", "import", "if")}

    shared = names(HOST)
    programs = [PROGRAM, layers.PLAYBOOKS / "roles/vendor_packages/files/install_packages.py"]

    assert {"run", "MODULES", "Kernel"} <= shared
    assert [shared & names(path) for path in programs] == [set(), set()]
