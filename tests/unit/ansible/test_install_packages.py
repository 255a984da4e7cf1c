"""The program that installs a vendor's packages: what it decides, without a machine to change."""

import configparser
import hashlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from hardpan.builder.layers import registry as layers

HOST = layers.PLAYBOOKS / "files/vendor_host.py"
PROGRAM = layers.PLAYBOOKS / "roles/vendor_packages/files/install_packages.py"
EL9 = "5.14.0-611.5.1.el9_7"
KERNELS = {"kernel-core": [("5.14.0", f"0:{EL9}")]}
SAME_VERSION = {"version": "580.1", "patterns": ["kmod-nvidia*", "libnvsdm"]}


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The shared helpers, under the name that the programs import."""
    return load_program(HOST, "vendor_host", monkeypatch)


@pytest.fixture
def program(shared: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    assert shared.changes == []
    return load_program(PROGRAM, "install_packages", monkeypatch)


def load_program(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a program of a role from its file."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def kernel(shared: ModuleType, package: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = SimpleNamespace(name=f"{package}.x86_64", is_dir=lambda: True)
    folders = SimpleNamespace(iterdir=lambda: [_Folder(folder.name)])
    monkeypatch.setattr(shared, "Path", lambda _: folders)
    version = package.partition("-")[0]
    return shared.Kernel({"kernel-core": [(version, f"0:{package}")]})


class _Folder:
    def __init__(self, name: str) -> None:
        self.name = name

    def __truediv__(self, _: str) -> "_Folder":
        return self

    def is_dir(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ("5.14.0-611.5.1.el9_7", "kmod-nvidia-580.1-5.14.0-611.5.1"),
        ("6.12.0-124.8.1.el10_1", "kmod-nvidia-580.1-6.12.0-124.8.1"),
        ("6.12.0-55.el10", "kmod-nvidia-580.1-6.12.0-55"),
    ],
)
def test_precompiled_module_name_omits_dist_tag(
    shared: ModuleType, monkeypatch: pytest.MonkeyPatch, package: str, expected: str
) -> None:
    package_request = {"name": "kmod-nvidia-580.1", "version": "580.1", "of_kernel": "name"}

    assert kernel(shared, package, monkeypatch).resolve(package_request) == (expected, "580.1")


def test_kernel_headers_use_kernel_version(
    shared: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_request = {"name": "kernel-devel-matched", "version": "", "of_kernel": "version"}

    kernel_version = kernel(shared, EL9, monkeypatch)

    assert kernel_version.resolve(package_request) == ("kernel-devel-matched", EL9)
    assert kernel_version.release == f"{EL9}.x86_64"


@pytest.mark.parametrize(
    ("installed", "problem"),
    [
        ({}, "expected one kernel-core, got 0: none"),
        ({"kernel-core": [("6", "0:6-1.el9"), ("5", "0:5-1.el9")]}, "got 2: 5-1.el9, 6-1.el9"),
    ],
)
def test_kernel_count_must_be_exactly_1(
    shared: ModuleType, installed: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SystemExit, match=problem):
        shared.Kernel(installed)


@pytest.mark.parametrize(
    ("installed", "problem"),
    [
        ({"libnvsdm": [("580.2", "0:580.2-1")]}, "libnvsdm: expected 580.1, got 580.2"),
        (
            {"kmod-nvidia-open-dkms": [("580.1", "3:580.1-1"), ("575.3", "3:575.3-1")]},
            "kmod-nvidia-open-dkms: expected 580.1, got 575.3",
        ),
    ],
)
def test_mixed_driver_versions_fail(
    program: ModuleType, installed: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SystemExit, match=problem):
        program.check_same_version(installed, SAME_VERSION)


def test_same_version_check_needs_a_version(program: ModuleType) -> None:
    installed = {"libnvsdm": [("1", "0:1-1")], "bash": [("5", "0:5-1")]}

    assert program.matching(installed, SAME_VERSION) == ["libnvsdm"]
    with pytest.raises(SystemExit):
        program.check_same_version(installed, SAME_VERSION)
    assert program.matching(installed, {**SAME_VERSION, "version": ""}) == []
    program.check_same_version(installed, {**SAME_VERSION, "version": ""})


def test_versionlock_adds_entries_once_and_keeps_others(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    locks = tmp_path / "versionlock.list"
    locks.write_text("# a person's own\nbash-0:5-1.*\n")
    monkeypatch.setattr(program, "LOCKS", locks)

    for _ in range(2):
        program.lock(["kernel-core"], KERNELS)

    assert locks.read_text() == f"# a person's own\nbash-0:5-1.*\nkernel-core-0:{EL9}.*\n"
    assert program.changes == [f"wrote {locks}"]


def repository(**updates: Any) -> dict[str, Any]:
    """A repository of a request."""
    fields = {"id": "hardpan-x", "urls": ["https://a/"], "key": "a2V5", "key_file": ""}
    return {**fields, "key_sha256": "", "build_only": False, **updates}


class FakeHost:
    """Commands that the program runs, and the keys that rpm trusts."""

    def __init__(self, shared: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.commands: list[str] = []
        self.keys = ["gpg-pubkey-old"]
        monkeypatch.setattr(shared, "run", self.run)
        for name in ("KEYS", "REPOS", "BUILD_ONLY", "MEDIA"):
            monkeypatch.setattr(shared, name, folder / name)
        (folder / "REPOS").mkdir()

    def run(self, argv: list[str], *_: Any, **__: Any) -> str:
        """Record a command; ``rpm --import`` adds a key."""
        self.commands.append(" ".join(argv))
        if argv[:2] == ["rpm", "--import"]:
            self.keys.append("gpg-pubkey-new")
        return "\n".join(self.keys) + "\n" if argv[1:] == ["-q", "gpg-pubkey"] else ""


def test_build_only_repository_and_its_key_are_removed(
    shared: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = FakeHost(shared, monkeypatch, tmp_path)

    with shared.build_repositories([repository(build_only=True)]):
        assert (tmp_path / "BUILD_ONLY/hardpan-x.repo").is_file()
        assert f"rpm --import {tmp_path}/BUILD_ONLY/RPM-GPG-KEY-hardpan-x" in host.commands

    assert host.commands[-1] == "rpm -e gpg-pubkey-new"
    assert not (tmp_path / "BUILD_ONLY").exists()
    assert list((tmp_path / "REPOS").iterdir()) == []
    assert shared.changes == []


def test_build_only_repository_is_removed_after_an_error(
    shared: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = FakeHost(shared, monkeypatch, tmp_path)

    with (
        pytest.raises(SystemExit, match="no such package"),
        shared.build_repositories([repository(build_only=True)]),
    ):
        shared.fail("no such package")

    assert host.commands[-1] == "rpm -e gpg-pubkey-new"
    assert not (tmp_path / "BUILD_ONLY").exists()


def test_media_are_mounted_with_the_installed_key(
    shared: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = FakeHost(shared, monkeypatch, tmp_path)
    key = tmp_path / "RPM-GPG-KEY-Rocky-9"
    key.write_bytes(b"key")
    media = repository(
        urls=[f"file://{tmp_path}/MEDIA/BaseOS/"],
        key="",
        key_file=str(key),
        key_sha256=hashlib.sha256(b"key").hexdigest(),
        build_only=True,
    )

    with shared.build_repositories([media]):
        text = (tmp_path / "BUILD_ONLY/hardpan-x.repo").read_text()
        assert f"gpgkey=file://{key}\n" in text
        assert "\ngpgcheck=1\n" in text

    mount = f"mount -t iso9660 -o ro,nodev,nosuid,noexec /dev/sr0 {tmp_path}/MEDIA"
    assert [c for c in host.commands if "mount" in c] == [mount, f"umount {tmp_path}/MEDIA"]
    key.write_bytes(b"another")
    with pytest.raises(SystemExit, match=f"{key}: expected sha256"):
        shared.repositories([media])


def test_repository_file_names_key_and_enables_gpgcheck(
    shared: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shared, "KEYS", tmp_path / "keys")
    monkeypatch.setattr(shared, "REPOS", tmp_path / "repos")

    shared.repositories([repository(urls=["https://a/", "https://b/"])])

    text = (tmp_path / "repos/hardpan-x.repo").read_text()
    key = tmp_path / "keys/RPM-GPG-KEY-hardpan-x"
    assert key.read_bytes() == b"key"
    assert f"gpgkey=file://{key}\n" in text
    # Two addresses in one section would be two mirrors of one repository.
    read = configparser.ConfigParser()
    read.read_string(text)
    assert {name: read[name]["baseurl"] for name in read.sections()} == {
        "hardpan-x": "https://a/",
        "hardpan-x-2": "https://b/",
    }
    assert text.count("\ngpgcheck=1\n") == 2
    assert "--setopt=gpgcheck=1" in shared.DNF


LABELS = [
    ("PodmanArgs=--security-opt=label=disable", True),
    ("PodmanArgs=--security-opt label:disable", True),
    ("SecurityLabelDisable=true", True),
    ("SecurityLabelDisable = yes", True),
    ("label = false", True),
    ("# label=disable is what NVIDIA's guide says", False),
    ("SecurityLabelDisable=false", False),
    ("label = true", False),
]


@pytest.mark.parametrize(("line", "refused"), LABELS)
def test_disabled_selinux_label_is_rejected_with_location(
    program: ModuleType, tmp_path: Path, line: str, refused: bool
) -> None:
    role = layers.PLAYBOOKS / "roles/containers/vars/main.yml"
    (rule,) = load_yaml(role)["containers_forbidden"]
    file = tmp_path / "a.container"
    file.write_text(f"[Container]\n{line}\n")
    rule["paths"] = [f"{tmp_path}/*.container"]

    if not refused:
        program.forbidden([rule])
        line = "SecurityLabelDisable=1"
        file.write_text(f"{file.read_text()}{line}\n")
    message = re.escape(f"{file}: {line}: containers keep their SELinux label")
    with pytest.raises(SystemExit, match=message):
        program.forbidden([rule])


def load_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def test_proxy_is_passed_to_dnf_only(shared: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def run(argv: list[str], *, env: dict[str, str], **_: object) -> SimpleNamespace:
        calls.append((argv[0], env.get("http_proxy"), env.get("https_proxy")))
        return SimpleNamespace(returncode=0, stdout=b"", stderr=b"")

    monkeypatch.setattr(shared.subprocess, "run", run)
    proxy = "http://10.0.2.100:3128"
    for proxy_url in ("", proxy):
        shared.use_proxy(proxy_url)
        shared.run([*shared.DNF, "install", "x"])
        shared.run(["dkms", "status"])

    plain = ("dkms", None, None)
    assert calls == [("dnf", None, None), plain, ("dnf", proxy, proxy), plain]
    # dnf keeps its arguments in the image, in the history of its transactions.
    assert proxy not in shared.DNF
