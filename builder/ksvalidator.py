"""Run pykickstart's ``ksvalidator`` on a kickstart, if it is installed."""

import os
import tempfile
from pathlib import Path

from hardpan.builder.host_tools import find_program
from hardpan.core.process import run
from hardpan.kickstart import KickstartError

VERSIONS = {"rocky9": "RHEL9", "lab9": "RHEL9", "rocky10": "RHEL10", "lab10": "RHEL10"}
"""Release -> kickstart syntax version."""

_PROGRAM = "ksvalidator"
_TIMEOUT_S = 60.0


def validate(text: str, release: str) -> bool:
    """Return True if ksvalidator accepts ``text``, False if it is not installed.

    Raises:
        KickstartError: ksvalidator rejects it; the message contains its output.
        ToolError: ksvalidator exceeds its time limit.
    """
    program = find_program(_PROGRAM)
    if program is None:
        return False
    # NOTE: the text may hold a passphrase: the folder is for its owner alone.
    with tempfile.TemporaryDirectory(prefix="hardpan-ks-") as workdir:
        path = Path(workdir) / "ks.cfg"
        path.write_text(text, "utf-8")
        argv: list[str | Path] = [program, "-v", VERSIONS[release], path]
        # pykickstart leaves a copy of the text in the temporary folder.
        result = run(argv, timeout_s=_TIMEOUT_S, ok=(0, 1), env=os.environ | {"TMPDIR": workdir})
    if result.returncode:
        output = " ".join(
            line for line in (result.stdout + result.stderr).split("\n") if line.strip()
        )
        raise KickstartError(
            f"{_PROGRAM} rejects the kickstart: {output.replace(str(path), 'ks.cfg')}"
        )
    return True
