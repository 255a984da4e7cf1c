"""Install Debian trixie's OpenSSL 3.5 into the cache, for tests with ML-DSA.

Debian 12 and EL 9.6 have an OpenSSL without ML-DSA. The packages come as cosign's
do, by apt's signed metadata, with the C library they were built for: the program
runs from its folder and replaces nothing. A machine whose own OpenSSL is new
enough needs none of it.

    .venv/bin/python -m tests.tools.get_openssl
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from hardpan.core.errors import HardpanError, ToolError
from hardpan.core.files import atomic_path
from hardpan.core.process import find_program, run
from tests.tools.get_cosign import (
    RELEASE,
    find_archive,
    record_path,
    render_record,
    write_private_apt,
)

OPENSSL_FOLDER = Path(__file__).parents[2] / "images" / "cache" / "openssl-3.5"
_PACKAGES = ("openssl", "libssl3t64", "libc6", "libzstd1", "zlib1g")
_WRAPPER = """\
#!/bin/sh
root={home}/root/usr
exec "$root"/lib64/ld-linux-*.so.2 --library-path "$(echo "$root"/lib/*-linux-gnu)" \\
    "$root/bin/openssl" "$@"
"""


def find_openssl35() -> Path | None:
    """An OpenSSL with ML-DSA: the machine's, else the one in the cache, else None."""
    system_openssl = find_program("openssl")
    if system_openssl is not None and read_version(system_openssl) >= (3, 5):
        return system_openssl
    cached = OPENSSL_FOLDER / "openssl"
    return cached if cached.is_file() else None


def read_version(program: Path) -> tuple[int, int]:
    """Its major and minor version; (0, 0) where it does not say."""
    match = re.match(r"OpenSSL (\d+)\.(\d+)", run([program, "version"], timeout_s=30).stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def fetch_openssl(folder: Path) -> None:
    """The program and its libraries, unpacked into ``home``; apt checks the signatures."""
    with (
        tempfile.TemporaryDirectory(prefix="hardpan-openssl-") as name,
        atomic_path(folder) as temp_folder,
    ):
        workdir = Path(name)
        env = {"APT_CONFIG": str(write_private_apt(workdir, find_archive()))}
        strict = ["-o", "APT::Update::Error-Mode=any"]
        run(["apt-get", "update", "-q", *strict], timeout_s=300, env=env)
        run(["apt-get", "download", "-q", *_PACKAGES], timeout_s=300, env=env, cwd=workdir)
        record = render_record(workdir)
        require_ml_dsa(json.loads(record)["packages"]["openssl"])
        temp_folder.mkdir()
        for package in sorted(workdir.glob("*.deb")):
            run(["dpkg-deb", "-x", package, temp_folder / "root"], timeout_s=120)
        (temp_folder / "openssl").write_text(_WRAPPER.format(home=folder), "utf-8")
        (temp_folder / "openssl").chmod(0o755)
        record_path(temp_folder / "openssl").write_text(record, "utf-8")


def require_ml_dsa(package: str) -> None:
    """Pass if openssl of this Debian version has ML-DSA.

    Raises:
        ToolError: it has not.
    """
    match = re.search(r"(?:^|:)(\d+)\.(\d+)", package)
    if match is None or (int(match[1]), int(match[2])) < (3, 5):
        raise ToolError(
            ["openssl"],
            f"of Debian {RELEASE}: too old for ML-DSA: expected 3.5 or later, got {package}",
            hint="name a newer suite as RELEASE in tests/tools/get_cosign.py",
        )


def main() -> int:
    """Get it if it is not there; say where it is. Returns the exit code."""
    if find_openssl35() is None:
        try:
            fetch_openssl(OPENSSL_FOLDER)
        except HardpanError as e:
            sys.stderr.write(f"error: {e}\nhint: {e.hint}\n")
            return int(e.exit_code)
    sys.stderr.write(f"openssl with ML-DSA: {find_openssl35()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
