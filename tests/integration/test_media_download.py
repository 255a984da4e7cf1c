"""Downloading an image from mirrors that cut, ignore Range, or send something else."""

import contextlib
import fcntl
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder.media import download as download_module
from hardpan.builder.media import expected_digest
from hardpan.builder.media.download import Download, download_image
from hardpan.builder.media.download_plan import choose_image, plan_download
from hardpan.builder.media.expected_digest import DigestOptions, ExpectedDigest
from hardpan.builder.media.published_images import (
    DigestSource,
    PublishedImage,
    SigningKey,
    find_by_name,
    published_images,
)
from hardpan.core.errors import (
    HardpanError,
    InputError,
    ResourceError,
    TrustError,
    UnreachableError,
)
from hardpan.core.events import Event, StageProgress, discard
from hardpan.core.files import Sha256, sha256_bytes
from hardpan.core.process import run
from tests.integration import openpgp_keys
from tests.integration.openpgp_keys import OpenPgpKey

pytestmark = pytest.mark.integration

NAME = "Rocky-9.7-x86_64-dvd.iso"
CONTENT = bytes(range(256)) * (3 << 12)
"""3 MiB."""


@dataclass
class Mirror:
    """A mirror with the faults of the test."""

    files: dict[str, bytes]
    """Path -> content."""

    cut_after: list[int] = field(default_factory=list)
    """Bytes of the body after which the next responses are cut."""

    ignores_range: bool = False
    wrong_range: bool = False
    announced_bytes: int | None = None
    has_length: bool = True
    status: int | None = None
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of each request of an image."""

    address: str = ""

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        content = self.files.get(request.path)
        if request.path.endswith(".iso"):
            self.ranges.append(request.headers.get("Range"))
        if content is None or self.status is not None:
            request.send_error(self.status or 404)
            return
        start = 0
        requested = request.headers.get("Range")
        if requested is not None and not self.ignores_range:
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                request.send_error(416)
                return
            request.send_response(206)
            sent = start + 1 if self.wrong_range else start
            request.send_header("Content-Range", f"bytes {sent}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        body = content[start:]
        if self.has_length:
            request.send_header("Content-Length", str(self.announced_bytes or len(body)))
        request.end_headers()
        if self.cut_after:
            body = body[: self.cut_after.pop(0)]
        with contextlib.suppress(OSError):  # The client may refuse the rest.
            request.wfile.write(body)
        request.close_connection = True


StartMirror = Callable[..., Mirror]


@pytest.fixture
def start_mirror() -> Iterator[StartMirror]:
    servers: list[ThreadingHTTPServer] = []

    def start(
        content: bytes = CONTENT, *, context: ssl.SSLContext | None = None, **faults: object
    ) -> Mirror:
        mirror = Mirror({f"/pub/9.7/isos/x86_64/{NAME}": content}, **faults)  # type: ignore[arg-type]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.respond(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        scheme = "http" if context is None else "https"
        mirror.address = f"{scheme}://127.0.0.1:{server.server_port}/pub"
        return mirror

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "PAUSE_S", 0.0)


def make_download(
    folder: Path, *mirrors: Mirror, size_bytes: int | None = len(CONTENT)
) -> Download:
    image = find_by_name(NAME)
    assert image is not None
    return Download(
        image=image,
        expected=ExpectedDigest(sha256=sha256_bytes(CONTENT), stated_by="the test"),
        size_bytes=size_bytes,
        folder=folder,
        mirrors=tuple(mirror.address for mirror in mirrors),
    )


def test_image_is_downloaded_with_progress(tmp_path: Path, start_mirror: StartMirror) -> None:
    events: list[Event] = []

    path = download_image(make_download(tmp_path, start_mirror()), events.append)

    assert path == tmp_path / NAME
    assert path.read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == [NAME]
    progress = [event for event in events if isinstance(event, StageProgress)]
    assert (progress[0].completed, progress[-1].completed, progress[-1].total) == (0, 3, 3)


@pytest.mark.parametrize("size_bytes", [len(CONTENT), None])
def test_cut_connection_is_resumed(
    tmp_path: Path, start_mirror: StartMirror, size_bytes: int | None
) -> None:
    mirror = start_mirror(cut_after=[1_000_000, 500_000])

    path = download_image(make_download(tmp_path, mirror, size_bytes=size_bytes), discard)

    assert path.read_bytes() == CONTENT
    assert mirror.ranges == [None, "bytes=1000000-", "bytes=1500000-"]


def test_interrupted_download_is_continued(tmp_path: Path, start_mirror: StartMirror) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:2_000_000])
    mirror = start_mirror()

    assert download_image(make_download(tmp_path, mirror), discard).read_bytes() == CONTENT
    assert mirror.ranges == ["bytes=2000000-"]


def test_complete_part_needs_no_request(tmp_path: Path, start_mirror: StartMirror) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    mirror = start_mirror()

    assert download_image(make_download(tmp_path, mirror), discard).read_bytes() == CONTENT
    assert mirror.ranges == []


def test_server_without_ranges_sends_everything_again(
    tmp_path: Path, start_mirror: StartMirror
) -> None:
    mirror = start_mirror(cut_after=[1_000_000], ignores_range=True)

    assert download_image(make_download(tmp_path, mirror), discard).read_bytes() == CONTENT
    assert mirror.ranges == [None, "bytes=1000000-"]


def test_part_of_unknown_size_that_is_too_long_is_replaced(
    tmp_path: Path, start_mirror: StartMirror
) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT + b"x")
    mirror = start_mirror()
    download = make_download(tmp_path, mirror, size_bytes=None)

    assert download_image(download, discard).read_bytes() == CONTENT
    assert mirror.ranges == [f"bytes={len(CONTENT) + 1}-", None]


@pytest.mark.parametrize(
    ("faults", "kind", "problem"),
    [
        ({"content": CONTENT[:-1]}, InputError, "expected 3145728 bytes, the mirror has 3145727"),
        ({"content": CONTENT + b"x"}, InputError, "expected 3145728 bytes, the mirror has 3145729"),
        ({"content": CONTENT + b"x", "has_length": False}, InputError, "expected at most 3145728"),
        ({"content": CONTENT[:-1] + b"x"}, TrustError, f"expected sha256 {sha256_bytes(CONTENT)}"),
        ({"cut_after": [0] * 99}, UnreachableError, "the connection was cut"),
        ({"cut_after": [9], "wrong_range": True}, InputError, "expected bytes from 9 on"),
        ({"status": 404}, InputError, r"the mirror does not have it \(404\)"),
        ({"status": 503}, UnreachableError, "the server answered 503"),
    ],
)
def test_bad_mirror_is_reported_and_the_next_is_used(
    tmp_path: Path,
    start_mirror: StartMirror,
    faults: dict[str, object],
    kind: type[HardpanError],
    problem: str,
) -> None:
    bad, good = start_mirror(**faults), start_mirror()

    with pytest.raises(kind, match=problem) as caught:
        download_image(make_download(tmp_path, bad), discard)
    assert str(caught.value).startswith(f"{NAME}: no mirror delivered it: {bad.address}/9.7/isos")
    assert "--mirror" in caught.value.hint
    assert not (tmp_path / NAME).exists()
    assert download_image(make_download(tmp_path, bad, good), discard).read_bytes() == CONTENT


def test_bytes_with_a_wrong_digest_are_not_continued(
    tmp_path: Path, start_mirror: StartMirror
) -> None:
    bad, good = start_mirror(CONTENT[:-1] + b"x"), start_mirror()

    download_image(make_download(tmp_path, bad, good), discard)

    assert good.ranges == [None]


def test_existing_image_is_verified(tmp_path: Path, start_mirror: StartMirror) -> None:
    mirror = start_mirror()
    (tmp_path / NAME).write_bytes(CONTENT)

    assert download_image(make_download(tmp_path, mirror), discard) == tmp_path / NAME
    assert mirror.ranges == []
    (tmp_path / NAME).write_bytes(b"x")
    with pytest.raises(TrustError, match="expected sha256"):
        download_image(make_download(tmp_path, mirror), discard)


def test_second_download_of_an_image_is_refused(tmp_path: Path, start_mirror: StartMirror) -> None:
    with (tmp_path / f"{NAME}.part").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        with pytest.raises(ResourceError, match="another process downloads this image"):
            download_image(make_download(tmp_path, start_mirror()), discard)


def test_certificate_of_an_https_mirror_is_verified(
    tmp_path: Path, start_mirror: StartMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, private_key = tmp_path / "tls.pem", tmp_path / "tls.key"
    argv: list[str | Path] = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    argv += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=mirror"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1"]
    run([*argv, "-keyout", private_key, "-out", certificate], timeout_s=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private_key)
    mirror = start_mirror(context=context)

    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        download_image(make_download(tmp_path / "a", mirror), discard)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    path = download_image(make_download(tmp_path / "b", mirror), discard)
    assert path.read_bytes() == CONTENT


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenPgpKey]:
    """A key that is pinned as the distributor's."""
    with tempfile.TemporaryDirectory(prefix="gpg") as name:
        key = openpgp_keys.create_key(Path(name) / "home")
        pinned = SigningKey(file="public.asc", fingerprint=key.fingerprint)
        monkeypatch.setattr(SigningKey, "path", property(lambda _self: key.public_key))
        monkeypatch.setattr(expected_digest, "signing_key", lambda _media: pinned)
        yield key
        openpgp_keys.stop_agent(key.home)


def image_without_digest() -> PublishedImage:
    image = find_by_name(NAME)
    assert image is not None
    return image.model_copy(
        update={"sha256": None, "size_bytes": None, "source": DigestSource.NAMES}
    )


def test_digest_of_an_unlisted_image_is_read_from_the_signed_checksum(
    tmp_path: Path, start_mirror: StartMirror, key: OpenPgpKey
) -> None:
    checksum = tmp_path / "CHECKSUM"
    checksum.write_text(f"# {NAME}: 3145728 bytes\nSHA256 ({NAME}) = {sha256_bytes(CONTENT)}\n")
    mirror = start_mirror()
    mirror.files["/pub/9.7/isos/x86_64/CHECKSUM"] = checksum.read_bytes()

    def plan() -> Download:
        return plan_download(
            image_without_digest(),
            DigestOptions(),
            folder=tmp_path / "o",
            mirrors=[mirror.address],
        )

    with pytest.raises(TrustError, match=r"nobody who is trusted states its digest: .*not signed"):
        plan()
    mirror.files["/pub/9.7/isos/x86_64/CHECKSUM.sig"] = key.sign_detached(checksum).read_bytes()
    download = plan()
    assert (download.size_bytes, download.expected.stated_by) == (
        3145728,
        f"CHECKSUM signed by the key {key.fingerprint}",
    )
    assert download_image(download, discard).read_bytes() == CONTENT


def test_command_requires_the_published_size(
    tmp_path: Path, start_mirror: StartMirror, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror, digest = start_mirror(), sha256_bytes(CONTENT)
    argv = ["media", "fetch", NAME, "-o", str(tmp_path), "--mirror", mirror.address]

    code = cli.run([*argv, "--media-sha256", digest])

    # The list has the size of the real image, which is another one.
    assert code == 3
    assert "expected 13360889856 bytes, the mirror has 3145728" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Rocky-9.7-x86_64-minimal.iso", "expected a DVD, got a minimal image"),
        ("Rocky-9.7-x86_64-boot.iso", "expected a DVD, got a boot image"),
        ("rocky8", "expected rocky9, rocky10 or the name of an image, got neither"),
    ],
)
def test_images_that_no_build_can_use_are_refused(name: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        choose_image(name, "x86_64")


@pytest.mark.parametrize(
    ("media", "arch", "name"),
    [
        ("rocky9", "x86_64", "Rocky-9.7-x86_64-dvd.iso"),
        ("rocky10", "aarch64", "Rocky-10.1-aarch64-dvd1.iso"),
    ],
)
def test_release_selects_its_newest_dvd(media: str, arch: str, name: str) -> None:
    assert choose_image(media, arch).name == name


def test_list_has_every_image(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["media", "list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [i.name for i in published_images()]
    assert lines[0].split()[:3] == ["image", "MiB", "use"]
    assert Sha256(lines[1].split()[-1]) == published_images()[0].sha256
