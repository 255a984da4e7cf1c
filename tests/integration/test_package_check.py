"""``hardpan repo check`` on real repositories: rpmbuild, createrepo_c, a web server."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder.dnf import repodata, repository
from hardpan.core.errors import InputError, TrustError, UnreachableError
from hardpan.core.files import sha256_file
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.software_catalog.package_plan import plan_packages

pytestmark = pytest.mark.integration

PROFILE = "rocky9-stig-nvidia"


def _make_spec(packages: dict[str, str]) -> str:
    parts = "".join(
        f"%package -n {name}\nSummary: {name}\nVersion: {version}\nLicense: Test\n"
        f"%description -n {name}\nA stand-in.\n%files -n {name}\n"
        for name, version in packages.items()
    )
    return (
        "Name: stand-ins\nVersion: 1\nRelease: 1.el9\nSummary: Stand-ins\nLicense: Test\n"
        f"%description\nStand-ins.\n{parts}"
    )


def expected_versions() -> dict[str, str]:
    """What the profile takes from NVIDIA's repository, with a version for each."""
    return {
        w.package: w.version or "1.0"
        for layer in plan_packages(load_profile(PROFILE))
        for w in layer.packages or ()
        if w.repository.id == "cuda"
    }


def _insert_kernel(name: str) -> str:
    """Return the package for one kernel: ``*`` stands for its version in the catalog."""
    return name.replace("*", "5.14.0-611.5.1")


def make_repository(folder: Path, packages: dict[str, str], *options: str) -> Path:
    folder.mkdir()
    spec = folder / "stand-ins.spec"
    names = {_insert_kernel(name): version for name, version in packages.items()}
    spec.write_text(_make_spec(names), "utf-8")
    argv: list[str | Path] = ["rpmbuild", "-bb", "--quiet", "--target", "x86_64"]
    argv += ["--define", f"_topdir {folder}/build", "--define", f"_rpmdir {folder}/repo", spec]
    run(argv, timeout_s=120)
    run(["createrepo_c", "--quiet", "--no-database", *options, folder / "repo"], timeout_s=60)
    return folder / "repo"


@pytest.fixture(scope="module")
def complete_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("whole") / "r", expected_versions())


def check_repository(*arguments: str) -> int:
    return cli.run(["repo", "check", *arguments])


def test_check_exits_zero_for_complete_mirror(
    complete_mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check_repository(
        "--repo", str(complete_mirror), "--id", "cuda", "--profile", PROFILE, "--json"
    )

    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {p["package"] for p in report["packages"]} == set(expected_versions())
    assert {p["state"] for p in report["packages"]} == {"available"}
    assert all(p["size_bytes"] > 500 for p in report["packages"])
    assert (report["id"], report["release"], report["arch"]) == ("cuda", "rocky9", "x86_64")


def test_check_fails_for_missing_package_or_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = expected_versions() | {"nvidia-driver-cuda": "580.65.06"}
    del packages["nvidia-persistenced"]
    repo = make_repository(tmp_path / "r", packages)

    code = check_repository("--repo", str(repo), "--id", "cuda", "--profile", PROFILE)

    captured = capsys.readouterr()
    assert code == 1
    assert "MISSING   nvidia-driver-cuda 580.178.04: available in 580.65.06" in captured.out
    assert "MISSING   nvidia-persistenced 580.178.04 (catalog entry verified: yes)" in captured.out
    assert "available cuda-toolkit-13-3: cuda-toolkit-13-3 (1.0; 1 MiB)" in captured.out
    assert "2 missing" in captured.err


def test_placeholders_match_any_value_without_a_profile(
    complete_mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check_repository(
        "--repo", str(complete_mirror), "--id", "cuda", "--release", "rocky9", "--json"
    )

    states = {p["package"]: p["state"] for p in json.loads(capsys.readouterr().out)["packages"]}
    assert code == 1
    assert states["cuda-toolkit-{cuda_dash}"] == "available"
    assert states["nvidia-fabricmanager"] == "missing"


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
def test_every_compression_is_read(complete_mirror: Path, tmp_path: Path, kind: str) -> None:
    repo = tmp_path / "repo"
    run(["cp", "-r", complete_mirror, repo], timeout_s=20)
    primary = next((repo / "repodata").glob("*-primary.xml.gz"))
    run(["gzip", "-d", primary], timeout_s=20)
    plain = primary.with_suffix("")
    if kind == "zst":
        run(["zstd", "-q", plain, "-o", f"{plain}.zst"], timeout_s=20)
    else:
        run([{"gz": "gzip", "xz": "xz"}[kind], "-k", plain], timeout_s=20)
    compressed = Path(f"{plain}.{kind}")
    digest = sha256_file(compressed)
    (repo / "repodata" / "repomd.xml").write_text(
        '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">'
        f'<checksum type="sha256">{digest}</checksum>'
        f'<location href="repodata/{compressed.name}"/></data></repomd>',
        "utf-8",
    )

    index = repodata.read_repository(str(repo))

    assert {rpm.name for rpm in index.rpms} >= set(map(_insert_kernel, expected_versions()))
    with pytest.raises(InputError, match="at most 4096 bytes unpacked, got more"):
        repodata.read_repository(str(repo), max_uncompressed_bytes=4096)


@contextmanager
def _serve(
    handler: type[BaseHTTPRequestHandler] | partial[SimpleHTTPRequestHandler],
) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_repository_is_read_over_http(complete_mirror: Path) -> None:
    with _serve(partial(_QuietHandler, directory=str(complete_mirror))) as url:
        index = repodata.read_repository(url)

    assert {rpm.name for rpm in index.rpms} >= set(map(_insert_kernel, expected_versions()))


def test_address_without_repository_exits_three(tmp_path: Path) -> None:
    with _serve(partial(_QuietHandler, directory=str(tmp_path))) as url:
        code = check_repository("--repo", url, "--id", "epel", "--release", "rocky9")

    assert code == 3


def test_unreachable_server_exits_five(capsys: pytest.CaptureFixture[str]) -> None:
    with _serve(_QuietHandler) as url:
        pass

    assert check_repository("--repo", url, "--id", "cuda", "--release", "rocky10") == 5
    assert "Connection refused" in capsys.readouterr().err


def _make_handler(status: int, headers: dict[str, str], body: bytes = b"") -> type[_QuietHandler]:
    class Answer(_QuietHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return Answer


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/"])
def test_redirect_to_other_scheme_is_rejected(location: str) -> None:
    with (
        _serve(_make_handler(302, {"Location": location})) as url,
        pytest.raises(InputError, match=r"redirects from http|redirect to another scheme"),
    ):
        repodata.read_repository(url)


def test_redirect_loop_is_rejected() -> None:
    with (
        _serve(_make_handler(302, {"Location": "/again"})) as url,
        pytest.raises(InputError, match="redirect loop"),
    ):
        repodata.read_repository(url)


def test_server_error_is_reported_as_unreachable() -> None:
    with (
        _serve(_make_handler(503, {})) as url,
        pytest.raises(UnreachableError, match="the server answered 503"),
    ):
        repodata.read_repository(url)


def test_repomd_size_is_limited() -> None:
    with (
        _serve(_make_handler(200, {}, b"x" * (2 << 20))) as url,
        pytest.raises(InputError, match="expected at most 1048576 bytes, got more"),
    ):
        repodata.read_repository(url)


def test_slow_download_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "_FILE_TIMEOUT_S", 0.3)

    class Drip(_QuietHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.05)

    with _serve(Drip) as url, pytest.raises(UnreachableError, match="not received within"):
        repodata.read_repository(url)


def test_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "_WAIT_TIMEOUT_S", 0.3)
    release = threading.Event()

    class Silent(_QuietHandler):
        def do_GET(self) -> None:
            release.wait(10)

    with _serve(Silent) as url:
        with pytest.raises(UnreachableError, match="timed out"):
            repodata.read_repository(url)
        release.set()


def test_modified_primary_is_a_trust_error(complete_mirror: Path, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    run(["cp", "-r", complete_mirror, repo], timeout_s=20)
    primary = next((repo / "repodata").glob("*-primary.xml.gz"))
    primary.write_bytes(primary.read_bytes()[:-1] + b"x")

    with pytest.raises(TrustError, match="expected sha256 "):
        repodata.read_repository(str(repo))
