"""The program that installs a vendor's packages: what it decides, without a machine to change."""

import configparser
import importlib.util
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from hardpan.builder.layers import registry as layers

PROGRAM = layers.PLAYBOOKS / "roles/vendor_packages/files/apply.py"
EL9 = "5.14.0-611.5.1.el9_7"
KERNELS = {"kernel-core": [("5.14.0", f"0:{EL9}")]}
SAME = {"version": "580.1", "patterns": ["kmod-nvidia*", "libnvsdm"]}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("apply", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kernel(program: ModuleType, package: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = SimpleNamespace(name=f"{package}.x86_64", is_dir=lambda: True)
    folders = SimpleNamespace(iterdir=lambda: [_Folder(folder.name)])
    monkeypatch.setattr(program, "Path", lambda _: folders)
    version = package.partition("-")[0]
    return program.Kernel({"kernel-core": [(version, f"0:{package}")]})


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
def test_a_precompiled_module_is_named_without_the_distributions_mark(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, package: str, expected: str
) -> None:
    asked = {"name": "kmod-nvidia-580.1", "version": "580.1", "of_kernel": "name"}

    assert kernel(program, package, monkeypatch).wanted(asked) == (expected, "580.1")


def test_headers_come_at_the_kernels_own_version(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"name": "kernel-devel-matched", "version": "", "of_kernel": "version"}

    found = kernel(program, EL9, monkeypatch)

    assert found.wanted(asked) == ("kernel-devel-matched", EL9)
    assert found.release == f"{EL9}.x86_64"


@pytest.mark.parametrize(
    ("have", "problem"),
    [
        ({}, "expected one kernel-core, found 0: none"),
        ({"kernel-core": [("6", "0:6-1.el9"), ("5", "0:5-1.el9")]}, "found 2: 5-1.el9, 6-1.el9"),
    ],
)
def test_any_number_of_kernels_but_one_ends_it(
    program: ModuleType, have: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SystemExit, match=problem):
        program.Kernel(have)


@pytest.mark.parametrize(
    ("have", "problem"),
    [
        ({"libnvsdm": [("580.2", "0:580.2-1")]}, "libnvsdm: expected 580.1, found 580.2"),
        (
            {"kmod-nvidia-open-dkms": [("580.1", "3:580.1-1"), ("575.3", "3:575.3-1")]},
            "kmod-nvidia-open-dkms: expected 580.1, found 575.3",
        ),
    ],
)
def test_two_versions_of_a_driver_end_it(
    program: ModuleType, have: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SystemExit, match=problem):
        program.one_of(have, SAME)


def test_a_layer_without_one_version_asks_for_none(program: ModuleType) -> None:
    have = {"libnvsdm": [("1", "0:1-1")], "bash": [("5", "0:5-1")]}

    assert program.matching(have, SAME) == ["libnvsdm"]
    with pytest.raises(SystemExit):
        program.one_of(have, SAME)
    assert program.matching(have, {**SAME, "version": ""}) == []
    program.one_of(have, {**SAME, "version": ""})


def test_locks_are_added_once_and_others_stay(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    locks = tmp_path / "versionlock.list"
    locks.write_text("# a person's own\nbash-0:5-1.*\n")
    monkeypatch.setattr(program, "LOCKS", locks)

    for _ in range(2):
        program.lock(["kernel-core"], KERNELS)

    assert locks.read_text() == f"# a person's own\nbash-0:5-1.*\nkernel-core-0:{EL9}.*\n"
    assert program.changes == [f"wrote {locks}"]


def test_a_repository_is_written_with_its_key_and_never_unchecked(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(program, "KEYS", tmp_path / "keys")
    monkeypatch.setattr(program, "REPOS", tmp_path / "repos")

    program.repositories([{"id": "hardpan-x", "urls": ["https://a/", "https://b/"], "key": "a2V5"}])

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
    assert "--setopt=gpgcheck=1" in program.DNF


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
def test_giving_up_the_label_is_refused_with_its_place(
    program: ModuleType, tmp_path: Path, line: str, refused: bool
) -> None:
    role = layers.PLAYBOOKS / "roles/containers/vars/main.yml"
    (rule,) = layers_yaml(role)["containers_forbidden"]
    file = tmp_path / "a.container"
    file.write_text(f"[Container]\n{line}\n")
    rule["paths"] = [f"{tmp_path}/*.container"]

    if not refused:
        program.forbidden([rule])
        line = "SecurityLabelDisable=1"
        file.write_text(f"{file.read_text()}{line}\n")
    why = re.escape(f"{file}: {line}: containers keep their SELinux label")
    with pytest.raises(SystemExit, match=why):
        program.forbidden([rule])


def layers_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def test_dnf_alone_is_told_of_a_proxy(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def ended(argv: list[str], *, env: dict[str, str], **_: object) -> SimpleNamespace:
        seen.append((argv[0], env.get("http_proxy"), env.get("https_proxy")))
        return SimpleNamespace(returncode=0, stdout=b"", stderr=b"")

    monkeypatch.setattr(program.subprocess, "run", ended)
    proxy = "http://10.0.2.100:3128"
    for one in ("", proxy):
        program.through(one)
        program.run([*program.DNF, "install", "x"])
        program.run(["dkms", "status"])

    plain = ("dkms", None, None)
    assert seen == [("dnf", None, None), plain, ("dnf", proxy, proxy), plain]
    # dnf keeps its arguments in the image, in the history of its transactions.
    assert proxy not in program.DNF
