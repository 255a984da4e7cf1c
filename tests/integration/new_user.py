"""Run hardpan as a new user does: an empty home, SSH's own files and nothing else."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.process import CompletedProcess, run
from tests.integration.overlay_host import OverlayHost

_PROGRAM = Path(sys.executable).with_name("hardpan")
_XDG = ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user whose home has ``.ssh/id_ed25519`` and ``.ssh/known_hosts`` for one host."""

    home: Path
    passwd: Path
    """The user database, with this home: OpenSSH ignores ``$HOME``."""

    @classmethod
    def create(cls, folder: Path, host: OverlayHost) -> "NewUser":
        """Create the home of a user who has logged in to ``host`` before."""
        home, passwd = folder / "home", folder / "passwd"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        identity = home / ".ssh" / "id_ed25519"
        identity.write_text((host.folder / "user").read_text())
        identity.chmod(0o600)
        key = " ".join((host.folder / "host.pub").read_text().split()[:2])
        (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{host.port} {key}\n")
        entry = f"root:x:0:0:root:{home}:/bin/bash\n"
        others = Path("/etc/passwd").read_text().partition("\n")[2]
        passwd.write_text(entry + others)
        return cls(home, passwd)

    def run(self, command_line: Sequence[str | Path], *, ok: Sequence[int]) -> CompletedProcess:
        """Run a hardpan command in the home folder."""
        return self._run([_PROGRAM, *command_line], ok)

    def run_script(self, script: str, *, ok: Sequence[int]) -> CompletedProcess:
        """Run a script with bash in the home folder; it finds the program ``hardpan``."""
        return self._run(["bash", "-euo", "pipefail", "-c", script], ok)

    def _run(self, command_line: Sequence[str | Path], ok: Sequence[int]) -> CompletedProcess:
        environment = {k: v for k, v in os.environ.items() if k not in (*_XDG, "SSH_AUTH_SOCK")}
        script = f'mount --bind {shlex.quote(str(self.passwd))} /etc/passwd; exec "$@"'
        argv = ["unshare", "-m", "sh", "-e", "-c", script, "sh"]
        search_path = f"{_PROGRAM.parent}:{os.environ['PATH']}"
        return run(
            [*argv, *command_line],
            timeout_s=300,
            ok=ok,
            cwd=self.home,
            env={**environment, "HOME": str(self.home), "PATH": search_path},
        )
