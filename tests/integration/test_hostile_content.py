"""Packages of SCAP content whose files are links, pipes or bombs, unpacked by dpkg-deb and tar."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.core.errors import HardpanError, InputError, ToolError
from hardpan.scanners.content import apt

pytestmark = pytest.mark.integration

PRODUCTS = ("rhel9", "rhel10")
CANDIDATE = apt.PackageCandidate(
    name="ssg-nondebian", version="0.1.90-1", suite="sid", config=Path("apt.conf")
)
FOLDER = "./usr/share/xml/scap/ssg/content"
EL9, EL10 = f"{FOLDER}/ssg-rhel9-ds.xml", f"{FOLDER}/ssg-rhel10-ds.xml"
NOTICE = "./usr/share/doc/ssg-nondebian/copyright"
CONTROL = """\
Package: ssg-nondebian
Source: {source}
Version: 0.1.90-1
Architecture: all
Maintainer: nobody <nobody@example.com>
Description: content
"""


def _make_tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, data in members:
            if info.isreg():
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _make_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return info


def write_deb(
    path: Path, members: list[tuple[tarfile.TarInfo, bytes]], source: str = "ssg"
) -> Path:
    """A package (deb(5)): an ar archive of a version, a control archive and a data archive."""
    control = _make_tar([(_make_member("./control"), CONTROL.format(source=source).encode())])
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": control,
        "data.tar.gz": _make_tar(members),
    }
    data = b"!<arch>\n"
    for name, part in parts.items():
        data += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(part):<10}`\n".encode()
        data += part + b"\n" * (len(part) % 2)
    path.write_bytes(data)
    return path


def package_members(
    *changed: tuple[tarfile.TarInfo, bytes],
) -> list[tuple[tarfile.TarInfo, bytes]]:
    """The whole package with ``changed`` in the place of what has its name."""
    names = [info.name for info, _ in changed]
    complete = [(EL9, b"nine"), (EL10, b"ten"), (NOTICE, b"notice")]
    return [*changed, *((_make_member(name), data) for name, data in complete if name not in names)]


def test_only_content_files_of_a_package_are_unpacked(tmp_path: Path) -> None:
    other = [
        (_make_member("./usr/bin/other"), b"x"),
        (_make_member("./escape", tarfile.SYMTYPE, "/"), b""),
    ]

    deb = write_deb(tmp_path / "x.deb", [*other, *package_members()])

    content = apt.unpack(deb, CANDIDATE, PRODUCTS, tmp_path / "unpacked")

    assert content.streams == {"rhel9": b"nine", "rhel10": b"ten"}
    assert (content.notice, content.name, content.source, content.version) == (
        *(b"notice", "ssg-nondebian", "ssg"),
        "0.1.90-1",
    )
    assert [p.name for p in (tmp_path / "unpacked").iterdir()] == ["usr"]
    assert not (tmp_path / "unpacked/usr/bin").exists()


HOSTILE: list[tuple[str, list[tuple[tarfile.TarInfo, bytes]], type[HardpanError], str]] = [
    ("link", package_members((_make_member(EL9, tarfile.SYMTYPE, "/etc/passwd"), b"")),
     InputError, "got a symbolic link"),
    ("relative link", package_members(
        (_make_member(EL9, tarfile.SYMTYPE, "../../../../../../../secret"), b"")),
     InputError, "got a symbolic link"),
    ("hard link to another of the files", package_members((_make_member(EL10), b"ten"),
                                                  (_make_member(EL9, tarfile.LNKTYPE, EL10), b"")),
     InputError, "got 2 hard links"),
    ("hard link out", package_members((_make_member(EL9, tarfile.LNKTYPE, "../secret"), b"")),
     ToolError, "exited with"),
    ("folder with files in it", package_members((_make_member(EL9, tarfile.DIRTYPE), b""),
                                        (_make_member(f"{EL9}/inner"), b"x")),
     InputError, "expected a regular file, got a folder"),
    ("pipe", package_members((_make_member(EL9, tarfile.FIFOTYPE), b"")), InputError, "got a pipe"),
    ("link and then a file of its name", [
        (_make_member(NOTICE), b"notice"), (_make_member(EL10), b"ten"),
        (_make_member(EL9, tarfile.SYMTYPE, "../../../../../../../secret"), b"")],
     InputError, "got a symbolic link"),
    ("folder that is a link", [
        (_make_member("./usr", tarfile.SYMTYPE, ".."), b""),
        *((_make_member(n.replace("./usr/", "./usr/../x/")), b"") for n in (EL9, EL10, NOTICE))],
     ToolError, "exited with"),
    ("long notice", package_members((_make_member(NOTICE), b"x" * (5 << 20))),
     InputError, "too long: expected at most 4194304 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "error", "problem"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE]
)
def test_hostile_package_is_refused_without_side_effects(
    tmp_path: Path,
    content: list[tuple[tarfile.TarInfo, bytes]],
    error: type[HardpanError],
    problem: str,
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    before = (secret.stat().st_mode, secret.stat().st_nlink, secret.stat().st_mtime_ns)

    with pytest.raises(error, match=problem):
        apt.unpack(
            write_deb(tmp_path / "x.deb", content), CANDIDATE, PRODUCTS, tmp_path / "unpacked"
        )

    assert (secret.stat().st_mode, secret.stat().st_nlink, secret.stat().st_mtime_ns) == before
    assert secret.read_text() == "secret"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["secret", "unpacked", "x.deb"]


def test_decompression_bomb_is_stopped_while_unpacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(apt._PROCESS_LIMITS, max_file_bytes=1 << 20)
    monkeypatch.setattr(apt, "_PROCESS_LIMITS", limits)
    bomb = package_members((_make_member(EL9), b"\0" * (8 << 20)))

    with pytest.raises(ToolError):
        apt.unpack(write_deb(tmp_path / "x.deb", bomb), CANDIDATE, PRODUCTS, tmp_path / "unpacked")

    assert max(p.stat().st_size for p in (tmp_path / "unpacked").rglob("*")) <= 1 << 20


@pytest.mark.parametrize("source", ["a|b", "a\x1b[2Jb"])
def test_invalid_package_names_are_refused(tmp_path: Path, source: str) -> None:
    package = write_deb(tmp_path / "x.deb", package_members(), source=source)

    with pytest.raises(InputError, match="expected a package with name and version"):
        apt.unpack(package, CANDIDATE, PRODUCTS, tmp_path / "unpacked")


def test_invalid_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"!<arch>\n" + b"\xff" * 200)

    with pytest.raises(ToolError, match="dpkg-deb exited with 2"):
        apt.unpack(tmp_path / "x.deb", CANDIDATE, PRODUCTS, tmp_path / "unpacked")
