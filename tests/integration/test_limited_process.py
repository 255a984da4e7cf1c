"""Programs with limits, as the kernel keeps them."""

import sys
from pathlib import Path

import pytest

from hardpan.core.errors import ToolError
from hardpan.core.limited_process import ProcessLimits, run_limited
from hardpan.core.process import run

pytestmark = pytest.mark.integration

LIMITS = ProcessLimits(max_file_bytes=1 << 20, max_memory_bytes=128 << 20, max_cpu_s=2)


def test_program_output_is_written_to_the_file(tmp_path: Path) -> None:
    result = run_limited(
        ["echo", "a  b", "$HOME"], limits=LIMITS, timeout_s=20, stdout_file=tmp_path / "out"
    )

    assert result.stdout == ""
    assert (tmp_path / "out").read_text() == "a  b $HOME\n"


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exec yes", "yes|ended by SIGXFSZ"),
        ("exec head -c 2000000 /dev/zero", "exited with 1|ended by SIGXFSZ"),
        ("exec tail /dev/zero", "exited with"),
        ("while :; do :; done", "ended by SIG(XCPU|KILL)"),
    ],
    ids=["endless-output", "long-output", "memory", "processor"],
)
def test_exceeded_limit_is_an_error_of_the_program(
    tmp_path: Path, script: str, problem: str
) -> None:
    with pytest.raises(ToolError, match=problem) as caught:
        run_limited(["sh", "-c", script], limits=LIMITS, timeout_s=20, stdout_file=tmp_path / "out")

    assert str(caught.value).startswith("sh ")
    assert (tmp_path / "out").stat().st_size <= LIMITS.max_file_bytes


def test_lower_existing_limit_is_not_raised(tmp_path: Path) -> None:
    """The outer one is of a Python of its own: what is lowered once is lowered for good."""
    code = (
        "import resource; from pathlib import Path;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20));"
        "from hardpan.core.limited_process import ProcessLimits, run_limited;"
        "limits = ProcessLimits(max_file_bytes=1 << 30, max_memory_bytes=1 << 30);"
        "print(run_limited(['sh', '-c', 'ulimit -H -f'], limits=limits, timeout_s=20).stdout)"
    )

    result = run([sys.executable, "-c", code], timeout_s=60, cwd=tmp_path)

    assert int(result.stdout) == (1 << 20) // 512


def test_missing_program_is_named() -> None:
    with pytest.raises(ToolError, match=r"^no-such-program is not installed") as caught:
        run_limited(["no-such-program", "x"], limits=LIMITS, timeout_s=20, hint="get it")

    assert caught.value.hint == "get it"
    assert caught.value.argv == ("no-such-program",)
