"""check-names on a real repository: rpmbuild, createrepo_c, a real web server."""

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
from hardpan.builder import repository
from hardpan.builder.media import repodata
from hardpan.errors import InputError, TrustError, UnreachableError
from hardpan.process import run
from hardpan.profiles.load import load
from hardpan.profiles.software.plan import plan

pytestmark = pytest.mark.integration

PROFILE = "rocky9-stig-nvidia"


def _spec(packages: dict[str, str]) -> str:
    parts = "".join(
        f"%package -n {name}\nSummary: {name}\nVersion: {version}\nLicense: Test\n"
        f"%description -n {name}\nA stand-in.\n%files -n {name}\n"
        for name, version in packages.items()
    )
    return (
        "Name: stand-ins\nVersion: 1\nRelease: 1.el9\nSummary: Stand-ins\nLicense: Test\n"
        f"%description\nStand-ins.\n{parts}"
    )


def wanted() -> dict[str, str]:
    """What the profile takes from NVIDIA's repository, with a version for each."""
    return {
        w.package: w.version or "1.0"
        for layer in plan(load(PROFILE))
        for w in layer.packages or ()
        if w.origin.id == "cuda"
    }


def _repo(folder: Path, packages: dict[str, str], *options: str) -> Path:
    folder.mkdir()
    spec = folder / "stand-ins.spec"
    spec.write_text(_spec(packages), "utf-8")
    argv: list[str | Path] = ["rpmbuild", "-bb", "--quiet", "--target", "x86_64"]
    argv += ["--define", f"_topdir {folder}/build", "--define", f"_rpmdir {folder}/repo", spec]
    run(argv, timeout_s=120)
    run(["createrepo_c", "--quiet", "--no-database", *options, folder / "repo"], timeout_s=60)
    return folder / "repo"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _repo(tmp_path_factory.mktemp("whole") / "r", wanted())


def check(*arguments: str) -> int:
    return cli.run(["media", "check-names", *arguments])


def test_a_mirror_with_everything_ends_with_0(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check("--repo", str(whole), "--id", "cuda", "--profile", PROFILE, "--json")

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {p["package"] for p in told["packages"]} == set(wanted())
    assert {p["state"] for p in told["packages"]} == {"there"}
    assert all(p["size"] > 500 for p in told["packages"])
    assert (told["id"], told["release"], told["arch"]) == ("cuda", "rocky9", "x86_64")


def test_a_missing_name_and_another_version_end_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = wanted() | {"nvidia-driver-cuda": "580.65.06"}
    del packages["nvidia-persistenced"]
    repo = _repo(tmp_path / "r", packages)

    code = check("--repo", str(repo), "--id", "cuda", "--profile", PROFILE)

    said = capsys.readouterr()
    assert code == 1
    assert "MISSING   nvidia-driver-cuda 580.178.04: there in 580.65.06" in said.out
    assert "MISSING   nvidia-persistenced 580.178.04 (in the list: yes)" in said.out
    assert "there     cuda-toolkit-13-3: cuda-toolkit-13-3 (1.0; 1 MiB)" in said.out
    assert "2 missing" in said.err


def test_without_a_profile_any_filling_counts(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check("--repo", str(whole), "--id", "cuda", "--release", "rocky9", "--json")

    states = {p["package"]: p["state"] for p in json.loads(capsys.readouterr().out)["packages"]}
    assert code == 1
    assert states["cuda-toolkit-{cuda_dash}"] == "there"
    assert states["nvidia-fabricmanager"] == "missing"


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
def test_each_way_of_packing_is_read(whole: Path, tmp_path: Path, kind: str) -> None:
    repo = tmp_path / "repo"
    run(["cp", "-r", whole, repo], timeout_s=20)
    primary = next((repo / "repodata").glob("*-primary.xml.gz"))
    run(["gzip", "-d", primary], timeout_s=20)
    plain = primary.with_suffix("")
    if kind == "zst":
        run(["zstd", "-q", plain, "-o", f"{plain}.zst"], timeout_s=20)
    else:
        run([{"gz": "gzip", "xz": "xz"}[kind], "-k", plain], timeout_s=20)
    packed = Path(f"{plain}.{kind}")
    digest = repodata.sha256_file(packed)
    (repo / "repodata" / "repomd.xml").write_text(
        '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">'
        f'<checksum type="sha256">{digest}</checksum>'
        f'<location href="repodata/{packed.name}"/></data></repomd>',
        "utf-8",
    )

    there = repodata.read(str(repo))

    assert {rpm.name for rpm in there.rpms} >= set(wanted())
    with pytest.raises(InputError, match="at most 4096 bytes unpacked, found more"):
        repodata.read(str(repo), open_most=4096)


@contextmanager
def _served(
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


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_repository_is_read_over_http(whole: Path) -> None:
    with _served(partial(_Quiet, directory=str(whole))) as url:
        there = repodata.read(url)

    assert {rpm.name for rpm in there.rpms} >= set(wanted())


def test_an_address_without_a_repository_is_told(tmp_path: Path) -> None:
    with _served(partial(_Quiet, directory=str(tmp_path))) as url:
        code = check("--repo", url, "--id", "epel", "--release", "rocky9")

    assert code == 3


def test_nobody_listening_ends_with_5(capsys: pytest.CaptureFixture[str]) -> None:
    with _served(_Quiet) as url:
        pass

    assert check("--repo", url, "--id", "cuda", "--release", "rocky10") == 5
    assert "Connection refused" in capsys.readouterr().err


def _answering(status: int, headers: dict[str, str], body: bytes = b"") -> type[_Quiet]:
    class Answer(_Quiet):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return Answer


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/"])
def test_a_redirect_leads_to_http_alone(where: str) -> None:
    with (
        _served(_answering(302, {"Location": where})) as url,
        pytest.raises(InputError, match=r"leads away from http|leads in a circle or to no web"),
    ):
        repodata.read(url)


def test_a_redirect_in_a_circle_ends() -> None:
    with (
        _served(_answering(302, {"Location": "/again"})) as url,
        pytest.raises(InputError, match="leads in a circle"),
    ):
        repodata.read(url)


def test_a_server_in_trouble_is_not_an_answer() -> None:
    with (
        _served(_answering(503, {})) as url,
        pytest.raises(UnreachableError, match="the server answered 503"),
    ):
        repodata.read(url)


def test_an_endless_repomd_is_cut() -> None:
    with (
        _served(_answering(200, {}, b"x" * (2 << 20))) as url,
        pytest.raises(InputError, match="expected at most 1048576 bytes, found more"),
    ):
        repodata.read(url)


def test_a_server_that_drips_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "_FILE_S", 0.3)

    class Drip(_Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.05)

    with _served(Drip) as url, pytest.raises(UnreachableError, match="did not come within"):
        repodata.read(url)


def test_a_server_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "_CONNECT_S", 0.3)
    release = threading.Event()

    class Silent(_Quiet):
        def do_GET(self) -> None:
            release.wait(10)

    with _served(Silent) as url:
        with pytest.raises(UnreachableError, match="timed out"):
            repodata.read(url)
        release.set()


def test_a_changed_list_is_broken_trust(whole: Path, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    run(["cp", "-r", whole, repo], timeout_s=20)
    primary = next((repo / "repodata").glob("*-primary.xml.gz"))
    primary.write_bytes(primary.read_bytes()[:-1] + b"x")

    with pytest.raises(TrustError, match="expected sha256 "):
        repodata.read(str(repo))
