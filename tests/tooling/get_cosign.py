"""Puts Debian trixie's cosign beside this Python, for the tests that ask a foreign verifier.

Debian 12 has no cosign. The package comes through apt's own signed metadata: a
private apt state with the archive that this machine's apt already uses, at the
release that has it. A cosign that is installed already is taken instead.

    .venv/bin/python tests/tooling/get_cosign.py
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from hardpan.errors import HardpanError, InputError
from hardpan.files import atomic_path, write_atomic
from hardpan.process import run, which

RELEASE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_FORMAT = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"


def cosign() -> Path | None:
    """The cosign to use: the machine's, else the one beside this Python, else None."""
    beside = Path(sys.executable).parent / "cosign"
    return which("cosign") or (beside if beside.is_file() else None)


def archive() -> str:
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


def fetch(into: Path) -> Path:
    """The cosign binary of the release, unpacked below ``into``; apt checks the signatures."""
    config = private_apt(into, archive())
    env = {"APT_CONFIG": str(config)}
    run(["apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any"], timeout_s=300, env=env)
    run(["apt-get", "download", "-q", "cosign"], timeout_s=300, env=env, cwd=into)
    package = next(into.glob("cosign_*.deb"))
    run(["dpkg-deb", "-x", package, into / "root"], timeout_s=120)
    return into / "root/usr/bin/cosign"


def record_of(program: Path) -> Path:
    """The file beside a fetched program that tells the versions of its packages."""
    return program.with_name(f"{program.name}.versions.json")


def recorded(folder: Path) -> str:
    """The packages in ``folder`` and their versions, which the archive does not keep for long."""
    show = ["dpkg-deb", "--show", "--showformat", "${Package}|${Version}"]
    told = (run([*show, deb], timeout_s=60).stdout for deb in sorted(folder.glob("*.deb")))
    packages = {name: version for name, _, version in (line.partition("|") for line in told)}
    return json.dumps({"suite": RELEASE, "packages": packages}, indent=1, sort_keys=True) + "\n"


def private_apt(folder: Path, uri: str) -> Path:
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
    have = cosign()
    if have is None:
        have = Path(sys.executable).parent / "cosign"
        try:
            with tempfile.TemporaryDirectory(prefix="hardpan-cosign-") as room:
                found = fetch(Path(room))
                with atomic_path(have) as temp:
                    shutil.copyfile(found, temp)
                    temp.chmod(0o755)
                write_atomic(record_of(have), recorded(Path(room)))
        except HardpanError as e:
            sys.stderr.write(f"error: {e}\nhint: {e.hint}\n")
            return int(e.exit_code)
    sys.stderr.write(f"cosign: {have}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
