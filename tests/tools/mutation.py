"""Remove each guard of the verifier in turn and run the tests that execute it: one must fail.

In the modules that evidence passes through, and in the one that makes untrusted text printable,
a guard is

- a ``raise``;
- a call whose result is not used: a check, or a problem appended to a list;
- ``+=`` on a list of problems (``_PROBLEM_LISTS``);
- one of several conditions before a ``raise``, or in the result of a predicate;
- a row of a table of comparisons.

First all tests run once in a copy of the tree in which every guard records the tests that
execute it. Then each guard is removed and those tests run until the first failure; if none
fails, the guard is a survivor. Killed guards are cached in ``.mutation-test`` until their module
changes, so that an interrupted run continues where it stopped; remove the file to test all again.

    .venv/bin/python -u -m tests.tools.mutation [--jobs N] [--only PART_OF_A_PATH]
"""

import argparse
import ast
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue

from hardpan.core.process import run

ROOT = Path(__file__).parents[2]
CACHE_FILE = ROOT / ".mutation-test"
_COPIED_FOLDERS = ("hardpan", "profiles", "scanners", "kickstart", "builder", "images", "tests")
_TIMEOUT_S = 1800
_PYTEST_EXIT_CODES = (0, 1, 2)  # pytest's: all passed, one failed, a module cannot be imported
_NOTES_VARIABLE = "HARDPAN_MUTATION_NOTES"
_TESTS = (
    "tests/unit/signing",
    "tests/unit/evidence",
    "tests/tamper",
    "tests/unit/core/test_http.py",
    "tests/unit/core/test_sanitize.py",
    "tests/integration/test_countersignatures.py",
)
_TEST_FILTER = "not damaged_evidence and not fuzz"  # long, and none kills alone
_SIGNING = (
    "strict_json",
    "envelope",
    "algorithms",
    "public_key",
    "timestamp",
    "timestamp_token",
    "tsa_client",
    "sshsig",
    "der",
    "cms",
    "ml_dsa_encoding",
)
_CLI_SUPPORT = {"loading.py", "signing_options.py"}  # they read options, and check nothing
_EVIDENCE = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "scanners/evidence").rglob("[!_]*.py")
    if path.name not in _CLI_SUPPORT
)
MODULES = (
    *(f"hardpan/signing/{name}.py" for name in _SIGNING),
    *_EVIDENCE,
    "hardpan/core/http.py",
    "hardpan/core/sanitize.py",
)
_LOGGING_CALLS, _COLLECTING_CALLS = {"record", "note"}, {"append", "add"}
_OUTCOMES = {"Passed", "Skipped", "NotChecked", "Exceeded"}  # text only: no check
_PROBLEM_LISTS = {"problems", "duplicates", "exceeded", "thresholds"}
"""Lists of the verifier's modules that make it reject; a unit test notices a renamed one."""

_SIDE_EFFECT_CALLS = {"__init__", "write", "seek", "close", "chmod", "update"}

Span = tuple[int, int]
"""Where a piece of a source file begins and ends, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A guard and its replacement."""

    module: str
    sha256: str
    """Digest of the module."""

    line: int
    function: str
    text: str
    span: Span
    replacement: str
    statement_span: Span
    """The statement that every test covering this guard executes."""

    is_check: bool
    """True if the statement is a call: only tests in which it raises count, if any."""

    def __str__(self) -> str:
        return f"{self.module}:{self.line} ({self.function}): {self.text}"

    @property
    def key(self) -> str:
        """Key in the record of executions."""
        return f"{self.module}:{self.statement_span[0]}"

    @property
    def cache_key(self) -> str:
        """Line of the cache file."""
        return f"{self.sha256[:16]} {self.span} {self.replacement} {self}"


def note_execution(key: str, call: Callable[[], object] | None = None) -> None:
    """Record the running test; calls of this are inserted before each guard of the copy."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    _note(f"{key}{'?' if call else ''} {test}\n")
    try:
        if call:
            call()
    except BaseException:
        _note(f"{key} {test}\n")
        raise


@cache
def _note(line: str) -> None:
    if (
        _NOTES_VARIABLE in os.environ
    ):  # not in a process that a test starts: it has a short environment
        with Path(os.environ[_NOTES_VARIABLE]).open("a", encoding="utf-8") as f:
            f.write(line)


def find_guards(module: str) -> list[Guard]:
    """Every guard of a module."""
    source = (ROOT / module).read_bytes()
    starts = [0, *accumulate(map(len, source.splitlines(keepends=True)))]

    def span(node: ast.expr | ast.stmt) -> Span:
        end_line = node.end_lineno or node.lineno
        end = starts[end_line - 1] + (node.end_col_offset or 0)
        return starts[node.lineno - 1] + node.col_offset, end

    return [
        Guard(
            module=module,
            sha256=hashlib.sha256(source).hexdigest(),
            line=node.lineno,
            function=name,
            text=" ".join(source[slice(*span(node))].decode().split())[:90],
            span=span(node),
            replacement=replacement,
            statement_span=span(statement),
            is_check=isinstance(statement, ast.Expr)
            and _called_name(statement.value) not in _COLLECTING_CALLS,
        )
        for name, (node, replacement, statement) in _walk_guards(ast.parse(source), "")
    ]


_Part = tuple[ast.expr | ast.stmt, str, ast.stmt]
"""The node to replace, its replacement, and the statement that records the tests."""


def _walk_guards(node: ast.AST, name: str) -> Iterator[tuple[str, _Part]]:
    for child in ast.iter_child_nodes(node):
        function = child.name if isinstance(child, ast.FunctionDef) else name
        if isinstance(child, ast.stmt):
            yield from ((function, part) for part in _statement_guards(child, node))
        yield from _walk_guards(child, function)


def _statement_guards(node: ast.stmt, parent: ast.AST) -> Iterator[_Part]:
    match node:
        # A bare 'raise' after clean-up passes an error on; it guards nothing.
        case ast.Raise(exc=ast.expr()):
            yield node, "pass", node
        case ast.AugAssign(target=ast.Name(id=name)) if name in _PROBLEM_LISTS:
            yield node, "pass", node
        case ast.Expr(value=ast.Call() as call) if _is_check_call(call):
            yield node, "pass", node
        case ast.If(body=[*_, ast.Raise() as last]):
            yield from ((x, by, last) for x, by in _conditions(node.test, allowed=False))
        case ast.Return(value=ast.BoolOp() as answer):
            yield from ((x, by, node) for x, by in _conditions(answer, allowed=True))
        case ast.Assign(value=ast.Dict(values=rows)) if any(
            isinstance(row, ast.Compare) for row in rows
        ):
            raised = next(x for x in ast.walk(parent) if isinstance(x, ast.Raise))
            for row in rows:
                yield row, "True", raised
                yield from ((x, by, raised) for x, by in _conditions(row, allowed=True))


def _is_check_call(call: ast.Call) -> bool:
    name = _called_name(call)
    checks = [a for a in call.args if isinstance(a, ast.Call) and _called_name(a) not in _OUTCOMES]
    asks = name not in _LOGGING_CALLS or bool(checks)
    return asks and name not in _SIDE_EFFECT_CALLS and not name.startswith("write_")


def _called_name(call: ast.expr) -> str:
    func = getattr(call, "func", None)
    return str(getattr(func, "attr", getattr(func, "id", "")))


def _conditions(test: ast.expr, *, allowed: bool) -> Iterator[tuple[ast.expr, str]]:
    """Yield the parts of a condition whose removal accepts more inputs."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            yield from _conditions(inner, allowed=not allowed)
        case ast.BoolOp(op=op, values=parts):
            if isinstance(op, ast.And) == allowed:
                yield from ((part, str(allowed)) for part in parts)
            for part in parts:
                yield from _conditions(part, allowed=allowed)
        case ast.Compare(left=first, ops=[op1, op2], comparators=[middle, last]) if allowed:
            yield test, ast.unparse(ast.Compare(first, [op1], [middle]))
            yield test, ast.unparse(ast.Compare(middle, [op2], [last]))


def remove_guard(source: bytes, guard: Guard) -> bytes:
    """Return ``source`` without the guard."""
    start, end = guard.span
    return source[:start] + guard.replacement.encode() + source[end:]


def insert_notes(source: bytes, selected: list[Guard]) -> bytes:
    """Return ``source`` in which every guard records the running test."""
    for (start, end), guard in sorted(
        {g.statement_span: g for g in selected}.items(), reverse=True
    ):
        module = "__import__('tests.tools.mutation', fromlist=['note_execution'])"
        note = f"{module}.note_execution({guard.key!r}"
        if guard.is_check:
            replacement = note.encode() + b", lambda: " + source[start:end] + b")"
        else:
            replacement = note.encode() + b"); " + source[start:end]
        source = source[:start] + replacement + source[end:]
    return source


def find_covering_tests(selected: list[Guard], tree: Path) -> dict[str, list[str]]:
    """Run all tests once; return guard's key -> tests that execute it."""
    for module in {g.module for g in selected}:
        source = (ROOT / module).read_bytes()
        (tree / module).write_bytes(
            insert_notes(source, [g for g in selected if g.module == module])
        )
    notes = tree / "notes"
    output = _run_tests(
        tree, ["--tb=short", "-k", _TEST_FILTER, *_TESTS], {_NOTES_VARIABLE: str(notes)}
    )
    for module in {g.module for g in selected}:
        shutil.copy(ROOT / module, tree / module)
    if output:
        raise SystemExit(f"{output[:4000]}\na test fails although no guard is missing")
    tests_by_guard: dict[str, list[str]] = {}
    for key, _, test in (x.partition(" ") for x in notes.read_text("utf-8").splitlines()):
        tests_by_guard.setdefault(key, []).append(test)
    return tests_by_guard


def is_killed(guard: Guard, tests: list[str], tree: Path) -> bool:
    """Return whether a test fails without the guard; ``tree`` is a writable copy."""
    module_test = f"test_{Path(guard.module).name}"
    tests = sorted(tests, key=lambda x: (module_test not in x, "integration" in x, "tamper" in x))
    path = tree / guard.module
    original = path.read_bytes()
    path.write_bytes(remove_guard(original, guard))
    try:
        return bool(tests) and bool(_run_tests(tree, tests, {}))
    finally:
        path.write_bytes(original)


def _run_tests(tree: Path, arguments: list[str], env: dict[str, str]) -> str:
    """Return pytest's output if a test fails, else ""."""
    extra = os.environ.get("PYTHONPATH", "").split(os.pathsep)[1:]
    env = {**env, "PYTHONPATH": os.pathsep.join([str(tree), *extra])}
    argv = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *arguments]
    ended = run(argv, timeout_s=_TIMEOUT_S, ok=_PYTEST_EXIT_CODES, cwd=tree, env=env)
    return ended.stdout if ended.returncode else ""


def main() -> int:
    """Run and print the survivors; the exit code is 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    write = sys.stdout.write
    selected = [g for m in MODULES if options.only in m for g in find_guards(m)]
    with tempfile.TemporaryDirectory(prefix="hardpan-mutate-") as temp_name:
        trees: SimpleQueue[Path] = SimpleQueue()
        for n in range(options.jobs):
            trees.put(_copy_tree(Path(temp_name) / f"{n}"))
        cached_keys = (
            set(CACHE_FILE.read_text("utf-8").splitlines()) if CACHE_FILE.is_file() else set()
        )
        tests_by_guard: dict[str, list[str]] = {}
        if any(g.cache_key not in cached_keys for g in selected):
            write("running all tests once to record which guards they execute\n")
            trees.put(tree := trees.get())
            tests_by_guard = find_covering_tests(selected, tree)

        def check_guard(guard: Guard) -> bool:
            if guard.cache_key in cached_keys:
                return True
            tree = trees.get()
            try:
                tests = tests_by_guard.get(guard.key) or tests_by_guard.get(f"{guard.key}?", [])
                was_killed = is_killed(guard, tests, tree)
            finally:
                trees.put(tree)
            if was_killed:
                with CACHE_FILE.open("a", encoding="utf-8") as f:
                    f.write(f"{guard.cache_key}\n")
            return was_killed

        survivors = []
        with ThreadPoolExecutor(options.jobs) as pool:
            for n, was_killed in enumerate(pool.map(check_guard, selected)):
                result = "killed" if was_killed else "SURVIVES"
                write(f"{n + 1}/{len(selected)} {result}  {selected[n]}\n")
                survivors += [] if was_killed else [selected[n]]
    write("".join(f"survives  {g}\n" for g in survivors))
    write(f"{len(selected)} guards, {len(survivors)} survive their deletion\n")
    return 1 if survivors else 0


def _copy_tree(tree: Path) -> Path:
    tree.mkdir()
    skip = shutil.ignore_patterns("__pycache__", "cache", "out", "node_modules", "*.pyc")
    for name in _COPIED_FOLDERS:
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


if __name__ == "__main__":
    sys.exit(main())
