import importlib.util
from importlib.machinery import SourceFileLoader
from types import ModuleType

import pytest

from images.lab.root import OVERLAY

PROGRAM = OVERLAY / "usr/libexec/fapolicyd-rpm-trust"
SHA256 = "ab" * 32


@pytest.fixture(scope="module")
def program() -> ModuleType:
    loader = SourceFileLoader("fapolicyd_rpm_trust", str(PROGRAM))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def make_row(path: str, *, digest: str = SHA256, mode: int = 0o100755, flags: int = 0) -> str:
    return f"{path}\t120\t{digest}\t{mode}\t{flags}\n"


def test_trust_file_lists_each_regular_file_once_and_sorted(program: ModuleType) -> None:
    row = make_row("/usr/bin/ls")
    listing = row + make_row("/etc/a b.conf", flags=17) + row

    assert program.render_trust(listing).splitlines() == [
        f"/etc/a b.conf 120 {SHA256}",
        f"/usr/bin/ls 120 {SHA256}",
    ]


@pytest.mark.parametrize(
    "row",
    [
        make_row("/usr/bin", mode=0o040755, digest=""),
        make_row("/usr/bin/sh", mode=0o120777, digest=""),
        make_row("/usr/share/doc/x.py", flags=2),
        make_row("/var/log/x.log", flags=64),
        make_row("/usr/lib/x/LICENSE", flags=128),
        make_row("/usr/share/misc/magic.mgc"),
        make_row("/usr/include/python3.13/x.h"),
    ],
)
def test_trust_file_omits_links_folders_and_data(program: ModuleType, row: str) -> None:
    assert program.render_trust(row) == ""


@pytest.mark.parametrize(
    "path", ["/usr/share/python3/runpy.py", "/usr/share/x/libexec/tool", "/opt/x/bin/tool"]
)
def test_trust_file_lists_code_below_data_folders(program: ModuleType, path: str) -> None:
    assert program.render_trust(make_row(path)) == f"{path} 120 {SHA256}\n"


def test_negative_modes_of_old_packages_are_read(program: ModuleType) -> None:
    """rpm prints the mode as a signed 16-bit number in some versions."""
    assert program.render_trust(make_row("/usr/bin/ls", mode=0o100755 - (1 << 16))) != ""
