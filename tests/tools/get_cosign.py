"""Install Debian trixie's cosign next to this Python, for tests with a third-party verifier.

Debian 12 has no cosign. The package comes through apt's own signed metadata: a
private apt state with the archive that this machine's apt already uses, at the
release that has it. A cosign that is installed already is taken instead.

    .venv/bin/python tests/tools/get_cosign.py
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from hardpan.core.errors import HardpanError, InputError
from hardpan.core.files import atomic_path, write_atomic
from hardpan.core.process import find_program, run

RELEASE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_FORMAT = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"


def find_cosign() -> Path | None:
    """Return the cosign to use: the system's, the one next to this Python, or None."""
    local_cosign = Path(sys.executable).parent / "cosign"
    return find_program("cosign") or (local_cosign if local_cosign.is_file() else None)


def find_archive() -> str:
    """The Debian archive that this machine's apt uses.

    Raises:
        InputError: it uses none.
    """
    listed = run(
        ["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"], timeout_s=60
    )
    for line in sorted(listed.stdout.splitlines()):
        origin, codename, component, uri = (line.split("|") + [""] * 4)[:4]
        if origin == "Debian" and component == "main" and "-" not in codename:
            return uri
    raise InputError(
        "this machine's apt knows no Debian archive",
        hint="install cosign yourself; the tests take the one on the PATH",
    )


def fetch_cosign(folder: Path) -> Path:
    """The cosign binary of the release, unpacked below ``into``; apt checks the signatures."""
    config = write_private_apt(folder, find_archive())
    env = {"APT_CONFIG": str(config)}
    run(["apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any"], timeout_s=300, env=env)
    run(["apt-get", "download", "-q", "cosign"], timeout_s=300, env=env, cwd=folder)
    package = next(folder.glob("cosign_*.deb"))
    run(["dpkg-deb", "-x", package, folder / "root"], timeout_s=120)
    return folder / "root/usr/bin/cosign"


def record_path(program: Path) -> Path:
    """Return the file next to a downloaded program with the versions of its packages."""
    return program.with_name(f"{program.name}.versions.json")


def render_record(folder: Path) -> str:
    """The packages in ``folder`` and their versions, which the archive does not keep for long."""
    show = ["dpkg-deb", "--show", "--showformat", "${Package}|${Version}"]
    outputs = (run([*show, deb], timeout_s=60).stdout for deb in sorted(folder.glob("*.deb")))
    packages = {name: version for name, _, version in (line.partition("|") for line in outputs)}
    return json.dumps({"suite": RELEASE, "packages": packages}, indent=1, sort_keys=True) + "\n"


def write_private_apt(folder: Path, uri: str) -> Path:
    """The configuration of an apt that knows ``RELEASE`` of the archive ``uri`` alone."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {uri} {RELEASE} main\n", "utf-8")
    # The machine's own apt.conf.d stays in force: proxies and credentials live there.
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": folder / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": folder / "cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    config = folder / "apt.conf"
    config.write_text("".join(f'{k} "{v}";\n' for k, v in settings.items()), "utf-8")
    return config


def main() -> int:
    """Get it if it is not there; say where it is. Returns the exit code."""
    program = find_cosign()
    if program is None:
        program = Path(sys.executable).parent / "cosign"
        try:
            with tempfile.TemporaryDirectory(prefix="hardpan-cosign-") as temp_name:
                binary = fetch_cosign(Path(temp_name))
                with atomic_path(program) as temp:
                    shutil.copyfile(binary, temp)
                    temp.chmod(0o755)
                write_atomic(record_path(program), render_record(Path(temp_name)))
        except HardpanError as e:
            sys.stderr.write(f"error: {e}\nhint: {e.hint}\n")
            return int(e.exit_code)
    sys.stderr.write(f"cosign: {program}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
