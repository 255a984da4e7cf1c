"""What a build guest exports as kernel modules, and the package that is made of them."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from hardpan.builder.layers import kernel_modules, nvidia_driver
from hardpan.builder.layers.kernel_modules import BuiltModules, ModulePackage
from hardpan.core.errors import ToolError
from hardpan.profiles.loader.profile_file import load_profile

PACKAGE = ModulePackage(
    dkms_name="nvidia",
    name="kmod-nvidia-580.1",
    version="580.1",
    licence="MIT",
    epoch=3,
    provides=("nvidia-kmod = 3:580.1",),
)
OUTCOME = {
    "state": "built",
    "name": "kmod-nvidia-580.1-5.14.0-1",
    "kernel_package": "5.14.0-1.el9",
    "kernel_release": "5.14.0-1.el9.x86_64",
}


def write_archive(path: Path, members: Mapping[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    """An archive with these files."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(data), kind, "/etc/shadow"
            tar.addfile(info, io.BytesIO(data))
    return path


def outcome(**updates: str) -> bytes:
    return json.dumps({**OUTCOME, **updates}).encode()


def test_archive_of_a_build_is_read(tmp_path: Path) -> None:
    archive = write_archive(
        tmp_path / "a.tar", {"outcome.json": outcome(), "nvidia.ko": b"1", "nvidia-uvm.ko": b"2"}
    )

    built = kernel_modules.read_archive(archive, PACKAGE)

    assert built == BuiltModules(
        state="built",
        name="kmod-nvidia-580.1-5.14.0-1",
        kernel_package="5.14.0-1.el9",
        kernel_release="5.14.0-1.el9.x86_64",
        modules={"nvidia.ko": b"1", "nvidia-uvm.ko": b"2"},
    )


MALFORMED = [
    ({"outcome.json": outcome(), "../nvidia.ko": b"1"}, "the file '../nvidia.ko'"),
    ({"outcome.json": outcome(), "a\x1b.ko": b"1"}, r"the file 'a\\x1b.ko'"),
    ({"outcome.json": outcome(), "nvidia.sh": b"1"}, "the file 'nvidia.sh'"),
    ({"outcome.json": b"x" * 5000}, "'outcome.json' of 5000 bytes"),
    ({"outcome.json": b"{"}, "an outcome that is not JSON"),
    ({"outcome.json": b"[]"}, r"the outcome '\[\]'"),
    ({"outcome.json": outcome(state="ready")}, "the outcome"),
    ({"outcome.json": outcome(kernel_release="../x")}, "the outcome"),
    ({"outcome.json": outcome(kernel_release="")}, "the outcome"),
    ({"outcome.json": outcome(name="bash-5"), "nvidia.ko": b"1"}, "built as 'bash-5'"),
    ({"outcome.json": outcome()}, "with 0 modules"),
    ({"outcome.json": outcome(state="installed"), "nvidia.ko": b"1"}, "with 1 modules"),
    ({"outcome.json": outcome(), **{f"m{i}.ko": b"" for i in range(70)}}, "more than 64 files"),
]


@pytest.mark.parametrize(("members", "problem"), MALFORMED)
def test_malformed_archive_is_rejected(
    tmp_path: Path, members: dict[str, bytes], problem: str
) -> None:
    with pytest.raises(ToolError, match=problem):
        kernel_modules.read_archive(write_archive(tmp_path / "a.tar", members), PACKAGE)


def test_link_in_the_archive_is_rejected(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar", {"nvidia.ko": b""}, kind=tarfile.SYMTYPE)

    with pytest.raises(ToolError, match=r"the file 'nvidia\.ko' of 0 bytes"):
        kernel_modules.read_archive(archive, PACKAGE)


def test_missing_archive_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no archive"):
        kernel_modules.read_archive(tmp_path / "none.tar", PACKAGE)


def test_package_requires_its_kernel_and_provides_the_module(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar", {"outcome.json": outcome(), "nvidia.ko": b"1"})

    lines = kernel_modules.render_spec(
        PACKAGE, kernel_modules.read_archive(archive, PACKAGE)
    ).splitlines()

    assert {
        "Name: kmod-nvidia-580.1-5.14.0-1",
        "Epoch: 3",
        "Version: 580.1",
        "Requires: kernel-core = 5.14.0-1.el9",
        "Provides: nvidia-kmod = 3:580.1",
        "/usr/lib/modules/5.14.0-1.el9.x86_64/extra/hardpan",
        "/etc/pki/hardpan/module-signing.der",
    } <= set(lines)
    assert lines[-1] == "/sbin/depmod -a 5.14.0-1.el9.x86_64 || :"


def test_role_gets_the_package_of_the_result() -> None:
    package = nvidia_driver.module_package(load_profile("rocky9-stig-nvidia"))
    assert package is not None

    variables = kernel_modules.role_variables(package, {"proxy": ""})

    request = variables["kernel_modules_request"]
    assert isinstance(request, dict)
    assert request["name"] == "nvidia"
    assert request["result"]["name"] == "kmod-nvidia-580.178.04"
    assert request["result"]["of_kernel"] == "name"
