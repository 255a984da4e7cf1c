"""Which modules of a wheel are loaded by importing its packages, from their import statements."""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping

_TESTS = {"test", "tests", "testdata", "example", "examples", "benchmark", "benchmarks", "docs"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def installed_at(member: str) -> str:
    """Where a file of a wheel lands below site-packages; nothing for one that lands elsewhere."""
    top, _, rest = member.partition("/")
    if not top.endswith(".data"):
        return member
    scheme, _, inner = rest.partition("/")
    return inner if scheme in ("purelib", "platlib") else ""


def modules(members: Iterable[str]) -> dict[str, str]:
    """Dotted names of the wheel's Python modules, and the file of each."""
    made = {}
    for member in members:
        parts = installed_at(member).removesuffix(".py").split("/")
        if member.endswith(".py") and all(p.isidentifier() for p in parts):
            made[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = member
    return made


def is_test(member: str) -> bool:
    """True for tests, examples and the like, by their path."""
    *folders, name = member.lower().split("/")
    return (
        any(f in _TESTS for f in folders)
        or name == "conftest.py"
        or name.startswith("test_")
        or name.endswith("_test.py")
    )


def reached(
    known: Mapping[str, str], read: Callable[[str], ast.Module | None], wanted: set[str]
) -> set[str]:
    """The files of ``wanted`` that importing a top-level package loads.

    ``read`` gives a file's syntax tree. Imports inside of functions do not count: they may
    never happen.
    """
    left = [m for m in sorted(known, reverse=True) if "." not in m and m.lower() not in _TESTS]
    done = set(left)
    found: set[str] = set()
    while left and found != wanted:
        module = left.pop()
        member = known[module]
        if member in wanted:
            found.add(member)
        tree = read(member)
        if tree is None:
            continue
        for name in _imported(tree, module, is_package=member.endswith("/__init__.py")):
            for loaded in _with_parents(name):
                if loaded in known and loaded not in done:
                    done.add(loaded)
                    left.append(loaded)
    return found


def _imported(tree: ast.Module, module: str, *, is_package: bool) -> Iterator[str]:
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module, is_package=is_package)
            if base is not None:
                yield base
                yield from (f"{base}.{a.name}".strip(".") for a in node.names)
        elif isinstance(node, ast.If) and _is_for_checkers(node.test):
            left += node.orelse
        elif not isinstance(node, _FUNCTIONS):
            left += ast.iter_child_nodes(node)


def _base(node: ast.ImportFrom, module: str, *, is_package: bool) -> str | None:
    if node.level == 0:
        return node.module or ""
    parts = module.split(".")
    up = node.level - is_package
    if up >= len(parts):
        return None
    return ".".join([*parts[: len(parts) - up], *([node.module] if node.module else [])])


def _is_for_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    for count in range(1, min(len(parts), 64) + 1):
        yield ".".join(parts[:count])
