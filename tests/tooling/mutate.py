"""Deletes each guard of the verifier in turn and runs the tests: one must fail.

A guard is a ``raise`` in one of the modules that evidence passes through. It is
replaced by ``pass`` in a copy of the tree; the tests of its module run there
until the first one fails. A guard that no test misses is a survivor.

    .venv/bin/python -m tests.tooling.mutate [--jobs N] [--only PART_OF_A_PATH]
"""

import argparse
import ast
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from hardpan.process import run

ROOT = Path(__file__).parents[2]
_TREE = ("hardpan", "profiles", "scanners", "kickstart", "builder", "images", "tests")
_TIMEOUT_S = 600
_FAILED, _INTERRUPTED = 1, 2  # pytest's exit codes; the second when a module cannot be imported
_QUICK = "not truncated and not flipped_byte and not damaged"  # long walks that kill no guard alone
_SIGNING, _EVIDENCE = "tests/unit/signing", "tests/unit/evidence"
_CASES = f"{_EVIDENCE}/test_tamper.py"
_ALL = [_CASES, f"{_EVIDENCE}/test_verify.py", f"{_EVIDENCE}/test_paired.py"]
MODULES: dict[str, list[str]] = {
    "hardpan/signing/strict.py": [f"{_SIGNING}/test_strict.py", f"{_SIGNING}/test_envelope.py"],
    "hardpan/signing/envelope.py": [f"{_SIGNING}/test_envelope.py", _CASES],
    "hardpan/signing/timestamp.py": [f"{_SIGNING}/test_timestamp.py", _CASES],
    "hardpan/signing/sshsig.py": [f"{_SIGNING}/test_sshsig.py", _CASES],
    "scanners/evidence/archive.py": [f"{_EVIDENCE}/test_archive.py", _CASES],
    "scanners/evidence/bundle.py": [f"{_EVIDENCE}/test_bundle.py"],
    "scanners/evidence/checks.py": _ALL,
    "scanners/evidence/claims.py": _ALL,
    "scanners/evidence/moments.py": _ALL,
    "scanners/evidence/outcome.py": _ALL,
    "scanners/evidence/policy.py": [f"{_EVIDENCE}/test_policy.py", _CASES],
    "scanners/evidence/statement.py": _ALL,
    "scanners/evidence/svr.py": [f"{_EVIDENCE}/test_proofs.py"],
    "scanners/evidence/trust.py": [f"{_EVIDENCE}/test_policy.py", _CASES],
    "scanners/evidence/verify.py": _ALL,
    "scanners/evidence/witness.py": [_CASES, f"{_EVIDENCE}/test_proofs.py"],
}
"""Module -> the tests that must miss its guards, the quickest first."""

ELSEWHERE = {
    "hardpan/signing/timestamp.py": ("_post", "_bounded", "ask"),
    "scanners/evidence/witness.py": ("cms",),
}
"""Functions that need a socket or a program: their guards are held by integration tests."""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """One ``raise``."""

    module: str
    function: str
    begin: int
    end: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.module}:{self.begin} ({self.function}): {self.text}"


def guards(module: str) -> list[Guard]:
    """Every guard of a module, those in ``ELSEWHERE`` aside."""
    source = (ROOT / module).read_text("utf-8")
    lines = source.splitlines()
    return [
        Guard(
            module=module,
            function=name,
            begin=node.lineno,
            end=node.end_lineno or node.lineno,
            column=node.col_offset,
            text=lines[node.lineno - 1].strip(),
        )
        for name, node in _raises(ast.parse(source), "")
        if name not in ELSEWHERE.get(module, ())
    ]


def _raises(node: ast.AST, name: str) -> Iterator[tuple[str, ast.Raise]]:
    for child in ast.iter_child_nodes(node):
        own = child.name if isinstance(child, ast.FunctionDef) else name
        # A bare 'raise' after tidying up hands an error on; it guards nothing.
        if isinstance(child, ast.Raise) and child.exc is not None:
            yield own, child
        yield from _raises(child, own)


def without(source: str, guard: Guard) -> str:
    """``source`` with the guard replaced by ``pass``."""
    lines = source.splitlines(keepends=True)
    lines[guard.begin - 1 : guard.end] = [" " * guard.column + "pass\n"]
    return "".join(lines)


def killed(guard: Guard, tree: Path) -> bool:
    """True when a test misses the guard; ``tree`` is a copy that is ours to change."""
    path = tree / guard.module
    whole = path.read_text("utf-8")
    path.write_text(without(whole, guard), "utf-8")
    argv = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", _QUICK]
    extra = os.environ.get("PYTHONPATH", "").split(os.pathsep)[1:]
    env = {
        "PYTHONPATH": os.pathsep.join([str(tree), *extra]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        ended = run(
            [*argv, *MODULES[guard.module]],
            timeout_s=_TIMEOUT_S,
            ok=(0, _FAILED, _INTERRUPTED),
            cwd=tree,
            env=env,
        )
    finally:
        path.write_text(whole, "utf-8")
    return ended.returncode != 0


def main() -> int:
    """Run, tell the survivors, and give the exit code: 1 when there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    all_guards = [g for m in MODULES if asked.only in m for g in guards(m)]
    survivors: list[Guard] = []
    with tempfile.TemporaryDirectory(prefix="hardpan-mutate-") as room:
        trees: SimpleQueue[Path] = SimpleQueue()
        for n in range(asked.jobs):
            trees.put(_copy(Path(room) / f"{n}"))

        def judged(guard: Guard) -> None:
            tree = trees.get()
            try:
                if not killed(guard, tree):
                    survivors.append(guard)
                    sys.stdout.write(f"survives  {guard}\n")
                    sys.stdout.flush()
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(asked.jobs) as pool:
            list(pool.map(judged, all_guards))
    sys.stdout.write(f"{len(all_guards)} guards, {len(survivors)} survive their deletion\n")
    return 1 if survivors else 0


def _copy(tree: Path) -> Path:
    tree.mkdir()
    skip = shutil.ignore_patterns("__pycache__", "cache", "out", "*.pyc")
    for name in _TREE:
        shutil.copytree(ROOT / name, tree / name, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


if __name__ == "__main__":
    sys.exit(main())
