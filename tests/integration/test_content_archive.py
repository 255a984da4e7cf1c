"""``hardpan content update`` from an archive that cheats: real apt, a signed index."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hardpan.core.errors import HardpanError, InputError, ToolError, TrustError
from hardpan.core.events import discard
from hardpan.core.process import run
from hardpan.scanners.content import apt, datastream, store, update
from tests.unit.content import content_folders
from tests.unit.content.minimal_datastream import MINIMAL_DATASTREAM

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class ArchiveSigners:
    """Two keys; apt is configured to trust the first one."""

    home: Path
    keyring: Path

    def sign(self, key_name: str, release: Path) -> None:
        to = release.with_name("InRelease")
        gpg = [
            "gpg",
            "--homedir",
            self.home,
            "--batch",
            "--yes",
            "--quiet",
            "-u",
            f"{key_name}@x.test",
        ]
        run([*gpg, "--clearsign", "--output", to, release], timeout_s=30)


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveSigners]:
    # gpg's agent listens below its home, and sockets have short names.
    home = Path(tempfile.mkdtemp(prefix="hp-", dir="/tmp"))
    keyring = tmp_path_factory.mktemp("keys") / "archive.gpg"
    gpg = ["gpg", "--homedir", home, "--batch", "--quiet"]
    for key_name in ("archive", "other"):
        make = [*gpg, "--passphrase", "", "--quick-generate-key", f"{key_name}@x.test"]
        run([*make, "ed25519", "sign", "never"], timeout_s=60)
    run([*gpg, "--output", keyring, "--export", "archive@x.test"], timeout_s=30)
    yield ArchiveSigners(home=home, keyring=keyring)
    run(["gpgconf", "--homedir", home, "--kill", "all"], timeout_s=30, ok=(0, 1, 2))
    shutil.rmtree(home)


@dataclass
class SignedArchive:
    """A Debian archive with one package, written by ``publish``."""

    root: Path
    signers: ArchiveSigners

    def publish(
        self,
        *,
        listed: str = "ssg-nondebian",
        name: str = "ssg-nondebian",
        version: str = "0.1.83-1",
        listed_version: str = "",
        signer: str = "archive",
        link: bool = False,
    ) -> None:
        deb = self.root / f"pool/{listed}.deb"
        self._package(deb, name, version, link=link)
        data = deb.read_bytes()
        entry = (
            f"Package: {listed}\nSource: scap-security-guide\n"
            f"Version: {listed_version or version}\n"
            f"Architecture: all\nMaintainer: x <x@x.test>\nFilename: pool/{deb.name}\n"
            f"Size: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\nDescription: x\n\n"
        )
        architecture = run(["dpkg", "--print-architecture"], timeout_s=30).stdout.strip()
        for suite in apt.SUITES:
            dist = self.root / "dists" / suite
            index = dist / f"main/binary-{architecture}/Packages"
            index.parent.mkdir(parents=True)
            index.write_text(entry)
            digest = hashlib.sha256(entry.encode()).hexdigest()
            (dist / "Release").write_text(
                f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\n"
                f"Date: Sat, 28 Nov 2026 10:00:00 UTC\nArchitectures: {architecture} all\n"
                f"Components: main\nSHA256:\n {digest} {len(entry)} "
                f"{index.relative_to(dist)}\n"
            )
            if signer:
                self.signers.sign(signer, dist / "Release")

    def _package(self, deb: Path, name: str, version: str, *, link: bool) -> None:
        tree = self.root / "tree"
        content = tree / "usr/share/xml/scap/ssg/content"
        notice = tree / "usr/share/doc/ssg-nondebian"
        for folder in (tree / "DEBIAN", content, notice, deb.parent):
            folder.mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(
            f"Package: {name}\nSource: scap-security-guide\nVersion: {version}\n"
            "Architecture: all\nMaintainer: x <x@x.test>\nDescription: x\n"
        )
        stream = content_folders.make_stream(
            version.split("-")[0], "2026-10-01", MINIMAL_DATASTREAM
        )
        (content / "ssg-rhel9-ds.xml").write_bytes(stream)
        if link:
            (content / "ssg-rhel10-ds.xml").symlink_to("/etc/hostname")
        else:
            (content / "ssg-rhel10-ds.xml").write_bytes(stream)
        (notice / "copyright").write_text("Copyright: x\n")
        run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, deb], timeout_s=30)


@pytest.fixture
def archive(
    tmp_path: Path, signers: ArchiveSigners, monkeypatch: pytest.MonkeyPatch
) -> SignedArchive:
    """An archive in the place of Debian's, for a hardpan that ships 0.1.82."""
    content_folders.write_content_folder(tmp_path / "shipped", "0.1.82")
    monkeypatch.setattr(store, "shipped_folder", lambda: tmp_path / "shipped")
    monkeypatch.setattr(store, "updated_folder", lambda: tmp_path / "updated")
    monkeypatch.setattr(datastream, "INSTALLED", tmp_path / "installed")
    monkeypatch.setattr(apt, "KEYRING", signers.keyring)
    signed_archive = SignedArchive(tmp_path / "archive", signers)
    monkeypatch.setattr(apt, "find_archive", lambda: f"file:{signed_archive.root}")
    return signed_archive


def test_content_of_the_signed_archive_is_stored(archive: SignedArchive, tmp_path: Path) -> None:
    archive.publish()

    done = update.update_content(discard, cache=tmp_path / "cache")

    assert done.stored == tmp_path / "updated"
    assert datastream.find("rhel9").version == "0.1.83"


def test_older_content_of_the_signed_archive_is_not_stored(
    archive: SignedArchive, tmp_path: Path
) -> None:
    """An old index that is replayed has a good signature."""
    archive.publish(version="0.1.81-1")

    done = update.update_content(discard, cache=tmp_path / "cache")

    assert done.stored is None
    assert [p.is_newer for package in done.packages for p in package.products] == [False, False]
    assert datastream.find("rhel9").version == "0.1.82"


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _tamper_package(archive: SignedArchive) -> None:
    archive.publish()
    _flip(archive.root / "pool/ssg-nondebian.deb")


def _tamper_index(archive: SignedArchive) -> None:
    archive.publish()
    for index in archive.root.glob("dists/*/main/*/Packages"):
        index.write_text(index.read_text().replace("0.1.83", "9.1.83"))


def _tamper_release(archive: SignedArchive) -> None:
    archive.publish()
    for release in archive.root.glob("dists/*/InRelease"):
        release.write_text(release.read_text().replace("Components: main", "Components: mail"))


HOSTILE_ARCHIVES = [
    ("package", _tamper_package, TrustError, "is not what Debian signed: .*Hash Sum mismatch"),
    ("index", _tamper_index, TrustError, "is not what Debian signed"),
    ("release", _tamper_release, TrustError, "is not what Debian signed"),
    ("key", lambda a: a.publish(signer="other"), TrustError, "is not what Debian signed"),
    ("unsigned", lambda a: a.publish(signer=""), TrustError, "is not signed"),
    (
        "other package in the file",
        lambda a: a.publish(name="evil"),
        TrustError,
        "expected ssg-nondebian 0.1.83-1, got evil 0.1.83-1",
    ),
    (
        "other version in the file",
        lambda a: a.publish(version="0.1.60-1", listed_version="0.1.83-1"),
        TrustError,
        "expected ssg-nondebian 0.1.83-1, got ssg-nondebian 0.1.60-1",
    ),
    (
        "other name in the index",
        lambda a: a.publish(listed="ssg-nondebiam", name="ssg-nondebiam"),
        ToolError,
        "finds no ssg-nondebian",
    ),
    ("link", lambda a: a.publish(link=True), InputError, "symbolic link"),
]


@pytest.mark.parametrize(
    ("cheat", "error", "problem"),
    [row[1:] for row in HOSTILE_ARCHIVES],
    ids=[row[0] for row in HOSTILE_ARCHIVES],
)
def test_hostile_archive_is_refused_and_stores_nothing(
    archive: SignedArchive, tmp_path: Path, cheat: object, error: type[HardpanError], problem: str
) -> None:
    assert callable(cheat)
    cheat(archive)

    with pytest.raises(error, match=problem):
        update.update_content(discard, cache=tmp_path / "cache")

    assert not (tmp_path / "updated").exists()
    assert datastream.find("rhel9").version == "0.1.82"
