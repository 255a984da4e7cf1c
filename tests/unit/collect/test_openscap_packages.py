from pathlib import Path

import pytest

from hardpan.core.errors import InputError
from hardpan.scanners.collect.openscap_packages import load_packages


def test_packages_are_loaded_in_order(tmp_path: Path) -> None:
    rpm, deb = tmp_path / "openscap-1.4.rpm", tmp_path / "libopenscap25_1.3.7_amd64.deb"
    rpm.write_bytes(b"\xed\xab\xee\xdb\x03")
    deb.write_bytes(b"!<arch>\ndebian-binary")

    packages = load_packages([rpm, deb])

    assert [(p.name, p.is_rpm) for p in packages] == [(rpm.name, True), (deb.name, False)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("openscap.rpm", b"!<arch>\n"),
        ("openscap.deb", b"text"),
        ("openscap.tar", b"\xed\xab\xee\xdb"),
        ("a b;c.rpm", b"\xed\xab\xee\xdb"),
    ],
)
def test_other_file_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(InputError, match="expected an RPM or Debian package"):
        load_packages([tmp_path / name])


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.rpm"):
        load_packages([tmp_path / "absent.rpm"])
