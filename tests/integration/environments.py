"""Virtual environments that contain a built hardpan and no other file of the checkout."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.process import CompletedProcess, run
from tests.integration.distribution import Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledEnvironment:
    """A virtual environment with the wheel, and a user who never saw the checkout."""

    folder: Path
    home: Path
    """HOME and the current folder; the XDG folders are next to it."""

    def run_hardpan(self, *arguments: str | Path, ok: tuple[int, ...] = (0,)) -> CompletedProcess:
        """Run the installed program."""
        return self._run(["hardpan", *arguments], ok)

    def run_python(self, code: str, *arguments: str | Path) -> str:
        """What ``code`` prints in the environment."""
        return self._run(["python", "-c", code, *arguments], (0,)).stdout

    def _run(self, argv: list[str | Path], ok: tuple[int, ...]) -> CompletedProcess:
        xdg_variables = {
            f"XDG_{kind}_HOME": str(self.xdg_folder(kind)) for kind in ("CACHE", "DATA", "STATE")
        }
        program = self.folder / "bin" / argv[0]
        env = {"HOME": str(self.home), **xdg_variables}
        return run([program, *argv[1:]], timeout_s=120, ok=ok, cwd=self.home, env=env)

    def xdg_folder(self, kind: str) -> Path:
        """The folder that ``$XDG_…_HOME`` names."""
        return self.home.with_name(kind.lower())


def create_empty_environment(folder: Path) -> InstalledEnvironment:
    """A virtual environment without even pip."""
    run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], timeout_s=120)
    (folder / "home").mkdir()
    return InstalledEnvironment(folder=folder / "env", home=folder / "home")


def install(environment: InstalledEnvironment, *arguments: str | Path) -> None:
    """Install into ``environment`` from files alone: no index, no setting of this machine's pip."""
    python = environment.folder / "bin" / "python"
    argv = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index"]
    # Compiling takes longer than copying, and most of it is never imported here.
    argv += ["--quiet", "--disable-pip-version-check", "--no-compile"]
    run([*argv, *arguments], timeout_s=300, env={"PIP_CONFIG_FILE": os.devnull})


def create_environment(
    folder: Path, built: Distribution, packages: Path, extras: str = ""
) -> InstalledEnvironment:
    """The wheel with ``extras``, e.g. ``[all]``, and what pip's resolver finds that they need."""
    environment = create_empty_environment(folder)
    wheel = f"hardpan{extras} @ {built.wheel.as_uri()}"
    install(environment, "--find-links", packages, wheel)
    return environment
