"""Run the system tests in parts of at most an hour, and continue after an interruption.

    .venv/bin/python -m tests.tools.system_tests [PART ...] [--list] [--restart]

A part that passed is not repeated until the checkout changes. Results are stored in
``images/out/test-system/results.json``, with commit and duration; a changed working tree counts as
another revision. Parts run in the order of ``PARTS``, since the first one builds the image that
others boot.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from hardpan.core import clock
from hardpan.core.errors import Exit, ToolError
from hardpan.core.files import sha256_bytes, write_atomic
from hardpan.core.process import run

ROOT = Path(__file__).parents[2]
OUTPUT_FOLDER = ROOT / "images/out/test-system"
MAX_PART_S = 3600
"""Seconds that a part may take; pytest is ended then."""

MARKERS = ("system", "demo_ai")
"""Markers of the tests that the parts contain."""

PARTS: dict[str, tuple[str, ...]] = {
    "demo": ("tests/integration/test_readme.py",),
    "image-scan": ("tests/integration/test_image_scan.py",),
    "hardware": ("tests/integration/test_hardware.py", "tests/integration/test_clones.py"),
    "boot-menu": ("tests/integration/test_boot_modes.py",),
    "offline": ("tests/integration/test_offline_install.py",),
    "encryption": ("tests/integration/test_disk_unlock.py",),
    "secure-boot": ("tests/integration/test_secure_boot.py",),
    "lab-installer": ("tests/integration/test_lab_installer.py",),
    "remediate": ("tests/integration/test_remediate_lab.py",),
    "demo-ai": ("tests/integration/test_prove_ai.py",),
    "el10": ("tests/integration/test_prove_el10.py",),
    "strict": ("tests/integration/test_prove_strict.py",),
}
"""Part -> the files whose marked tests it runs. Every such file is in exactly one part."""

_DEMO_FOLDER = "demo"
_IMAGE = "lab-stig.qcow2"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """The last run of a part."""

    revision: str
    """Commit; with ``+`` and a digest, where the working tree differs from it."""

    outcome: str
    """``passed``, ``failed`` or ``timed out``."""

    duration_s: float
    finished: str
    """UTC, RFC 3339."""


def read_results(path: Path) -> dict[str, PartResult]:
    """Return the stored results by part; an unreadable file counts as none."""
    try:
        loaded = json.loads(path.read_text("utf-8"))
        return {name: PartResult(**fields) for name, fields in loaded.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def remaining_parts(
    results: dict[str, PartResult], revision: str, selected: tuple[str, ...] = ()
) -> list[str]:
    """Return the parts that have not passed at ``revision``, in their order."""
    names = [name for name in PARTS if name in (selected or PARTS)]
    return [
        name
        for name in names
        if name not in results
        or (results[name].revision, results[name].outcome) != (revision, "passed")
    ]


def render_summary(results: dict[str, PartResult], revision: str) -> str:
    """Render one line for each part: its outcome at ``revision``, or ``remaining``."""
    lines = [f"system tests at {revision}:"]
    for name in PARTS:
        result = results.get(name)
        if result is None:
            lines.append(f"  {name:<14} remaining")
            continue
        text = f"{result.outcome:<10} {result.duration_s / 60:5.1f} min  {result.finished}"
        if result.revision != revision:
            text = f"remaining  ({result.outcome} at {result.revision})"
        lines.append(f"  {name:<14} {text}")
    return "\n".join(lines)


def read_revision(root: Path = ROOT) -> str:
    """Return the commit, with a digest of the changes that are not committed."""
    commit = _git(root, "rev-parse", "--short=12", "HEAD").strip()
    changes = _git(root, "status", "--porcelain") + _git(root, "diff", "HEAD")
    return f"{commit}+{sha256_bytes(changes.encode())[:8]}" if changes else commit


def run_part(name: str, revision: str) -> PartResult:
    """Run the tests of a part; their output goes to this terminal.

    The files that they wrote are kept if one fails, and their folder is printed.
    """
    # The folder of the system, not the checkout: paths of sockets have at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix=f"hardpan-{name}-"))
    pytest_argv = [sys.executable, "-m", "pytest", "-v", "--color=yes"]
    pytest_argv += [f"--basetemp={folder / 'tests'}", "-m", " or ".join(MARKERS), *PARTS[name]]
    # Its lines appear as they are written: 'run' passes on stderr only.
    argv = ["sh", "-c", 'exec "$@" >&2', "sh", *pytest_argv]
    start_s = clock.monotonic_s()
    try:
        process = run(
            argv,
            timeout_s=MAX_PART_S,
            ok=range(6),
            cwd=ROOT,
            env=_build_environment(),
            on_line=_write_line,
        )
    except ToolError as e:
        _write_line(str(e))
        outcome = "timed out" if clock.monotonic_s() - start_s >= MAX_PART_S else "failed"
    else:
        outcome = "passed" if process.returncode == 0 else "failed"
    if outcome == "passed":
        shutil.rmtree(folder)
    else:
        _write_line(f"part {name} {outcome}; what its tests wrote is in {folder}")
    return PartResult(
        revision=revision,
        outcome=outcome,
        duration_s=round(clock.monotonic_s() - start_s, 1),
        finished=clock.format_rfc3339(clock.now()),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run what remains. Returns 1 if a part failed."""
    parser = argparse.ArgumentParser(prog="system_tests", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all")
    parser.add_argument("--list", action="store_true", help="print the results, run nothing")
    parser.add_argument("--restart", action="store_true", help="repeat parts that have passed")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; expected {', '.join(PARTS)}")
    path = OUTPUT_FOLDER / "results.json"
    revision = read_revision()
    results = read_results(path)
    if options.restart:
        selected = options.parts or PARTS
        results = {name: result for name, result in results.items() if name not in selected}
    names = [] if options.list else remaining_parts(results, revision, tuple(options.parts))
    OUTPUT_FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names:
        _write_line(f"== part {name}: {' '.join(PARTS[name])}")
        results[name] = run_part(name, revision)
        write_atomic(path, json.dumps({k: asdict(v) for k, v in results.items()}, indent=1) + "\n")
    _write_line(render_summary(results, revision))
    selected = options.parts or list(PARTS)
    remaining = remaining_parts(results, revision, tuple(selected))
    return int(Exit.FINDINGS) if remaining and not options.list else int(Exit.OK)


def _build_environment() -> dict[str, str]:
    """Return the environment of a part: the image of the part ``demo``, unless one is named."""
    environment = {key: os.environ[key] for key in os.environ if key.startswith("HARDPAN_")}
    image = OUTPUT_FOLDER / _DEMO_FOLDER / _IMAGE
    if image.is_file():
        environment.setdefault("HARDPAN_IMAGE", str(image))
    return {"HARDPAN_DEMO_OUT": str(OUTPUT_FOLDER / _DEMO_FOLDER), **environment}


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _git(root: Path, *arguments: str) -> str:
    return run(["git", *arguments], timeout_s=60, cwd=root).stdout


if __name__ == "__main__":
    sys.exit(main())
