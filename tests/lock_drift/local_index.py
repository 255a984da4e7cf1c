"""A package index on this machine that also holds a newer release of everything locked.

The locked files are the real ones, downloaded once by their digests from where this machine's pip
looks. Each newer release is a generated wheel that requires a project that no index has, so a pip
that considers one fails. All requested files are recorded.
"""

import contextlib
import hashlib
import http.server
import re
import shutil
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

IMPOSSIBLE = "hardpan-test-no-such-project"
"""A project that every newer release requires."""


@dataclass(frozen=True)
class LocalIndex:
    """A running index."""

    url: str
    """Of its list of projects, as PEP 503 lays it out."""

    folder: Path
    """Its files; what is added while it runs is there."""

    locked: frozenset[str]
    """Names of the files that may be requested."""

    downloads: list[str] = field(default_factory=list)
    """Requested files, in order."""

    @property
    def environment(self) -> dict[str, str]:
        """Settings that make pip use only this index, without a cache."""
        return {
            "PIP_INDEX_URL": self.url,
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
            "PIP_CONSTRAINT": "",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_NO_CACHE_DIR": "1",
            "no_proxy": "127.0.0.1",
        }


def make_newer_release(folder: Path, name: str, version: str) -> Path:
    """Make a wheel of the project's next major release in ``folder``."""
    major = int(re.findall(r"\d+", version)[0]) + 1
    distribution = re.sub(r"[-_.]+", "_", name)
    return make_wheel(folder, distribution, f"{major}.0", requires=(IMPOSSIBLE,))


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    requires: tuple[str, ...] = (),
    files: Mapping[str, str] | None = None,
) -> Path:
    """Make a wheel with these requirements and files."""
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}_of_lock_drift.py": f"VERSION = {version!r}\n",
        **(files or {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {requirement}\n" for requirement in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hardpan\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{member},,\n" for member in (*members, f"{info}/RECORD"))
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    return path


@contextlib.contextmanager
def serve(folder: Path, locked: frozenset[str]) -> Iterator[LocalIndex]:
    """Serve the files of ``folder`` as an index on the loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/simple/"
        index = LocalIndex(url=url, folder=folder, locked=locked)
        server.index = index  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        index: LocalIndex = self.server.index  # type: ignore[attr-defined]
        kind, _, name = unquote(self.path).strip("/").partition("/")
        if kind == "simple":
            page = _render_page(index.folder, name)
            self._answer(200 if page else 404, page.encode(), "text/html")
        elif kind == "files" and (path := index.folder / Path(name).name).is_file():
            index.downloads.append(path.name)
            self._send(path)
        else:
            self._answer(404, b"", "text/plain")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send(self, path: Path) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        with path.open("rb") as f:
            shutil.copyfileobj(f, self.wfile)

    def log_message(self, *_: object) -> None:
        """Log nothing: ``LocalIndex.downloads`` has the requested files."""


def _render_page(folder: Path, project: str) -> str:
    """The links to a project's files with their digests; nothing where it has none."""
    links = "".join(
        f'<a href="/files/{path.name}#sha256={_sha256(path)}">{path.name}</a><br>\n'
        for path in sorted(folder.iterdir())
        if _project_name(path.name) == project
    )
    return f"<!DOCTYPE html><html><body>\n{links}</body></html>\n" if links else ""


def _project_name(file: str) -> str:
    name = file.partition("-")[0] if file.endswith(".whl") else file.rpartition("-")[0]
    return re.sub(r"[-_.]+", "-", name).lower()


_SUMS: dict[Path, str] = {}


def _sha256(path: Path) -> str:
    if path not in _SUMS:
        with path.open("rb") as f:
            _SUMS[path] = hashlib.file_digest(f, "sha256").hexdigest()
    return _SUMS[path]
