"""Puts Debian trixie's OpenSSL 3.5 into the cache, for the tests that want ML-DSA of it.

Debian 12 and EL 9.6 have an OpenSSL without ML-DSA. The packages come as cosign's
do, by apt's signed metadata, with the C library they were built for: the program
runs from its folder and replaces nothing. A machine whose own OpenSSL is new
enough needs none of it.

    .venv/bin/python -m tests.tooling.get_openssl
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from hardpan.errors import HardpanError, ToolError
from hardpan.files import atomic_path
from hardpan.process import run, which
from tests.tooling.get_cosign import RELEASE, archive, private_apt, record_of, recorded

HOME = Path(__file__).parents[2] / "images" / "cache" / "openssl-3.5"
_PACKAGES = ("openssl", "libssl3t64", "libc6", "libzstd1", "zlib1g")
_WRAPPER = """\
#!/bin/sh
root={home}/root/usr
exec "$root"/lib64/ld-linux-*.so.2 --library-path "$(echo "$root"/lib/*-linux-gnu)" \\
    "$root/bin/openssl" "$@"
"""


def openssl35() -> Path | None:
    """An OpenSSL with ML-DSA: the machine's, else the one in the cache, else None."""
    own = which("openssl")
    if own is not None and version_of(own) >= (3, 5):
        return own
    cached = HOME / "openssl"
    return cached if cached.is_file() else None


def version_of(program: Path) -> tuple[int, int]:
    """Its major and minor version; (0, 0) where it does not say."""
    found = re.match(r"OpenSSL (\d+)\.(\d+)", run([program, "version"], timeout_s=30).stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def fetch(home: Path) -> None:
    """The program and its libraries, unpacked into ``home``; apt checks the signatures."""
    with tempfile.TemporaryDirectory(prefix="hardpan-openssl-") as name, atomic_path(home) as new:
        room = Path(name)
        env = {"APT_CONFIG": str(private_apt(room, archive()))}
        strict = ["-o", "APT::Update::Error-Mode=any"]
        run(["apt-get", "update", "-q", *strict], timeout_s=300, env=env)
        run(["apt-get", "download", "-q", *_PACKAGES], timeout_s=300, env=env, cwd=room)
        told = recorded(room)
        require_ml_dsa(json.loads(told)["packages"]["openssl"])
        new.mkdir()
        for package in sorted(room.glob("*.deb")):
            run(["dpkg-deb", "-x", package, new / "root"], timeout_s=120)
        (new / "openssl").write_text(_WRAPPER.format(home=home), "utf-8")
        (new / "openssl").chmod(0o755)
        record_of(new / "openssl").write_text(told, "utf-8")


def require_ml_dsa(package: str) -> None:
    """Pass if openssl of this Debian version has ML-DSA.

    Raises:
        ToolError: it has not.
    """
    found = re.search(r"(?:^|:)(\d+)\.(\d+)", package)
    if found is None or (int(found[1]), int(found[2])) < (3, 5):
        raise ToolError(
            ["openssl"],
            f"of Debian {RELEASE}: too old for ML-DSA: expected 3.5 or later, got {package}",
            hint="name a newer suite as RELEASE in tests/tooling/get_cosign.py",
        )


def main() -> int:
    """Get it if it is not there; say where it is. Returns the exit code."""
    if openssl35() is None:
        try:
            fetch(HOME)
        except HardpanError as e:
            sys.stderr.write(f"error: {e}\nhint: {e.hint}\n")
            return int(e.exit_code)
    sys.stderr.write(f"openssl with ML-DSA: {openssl35()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
