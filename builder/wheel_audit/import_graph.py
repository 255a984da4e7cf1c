"""Which modules of a wheel are loaded by importing its packages, from their import statements."""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping

_TESTS = {"test", "tests", "testdata", "example", "examples", "benchmark", "benchmarks", "docs"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def site_packages_path(member: str) -> str:
    """Where a file of a wheel lands below site-packages; nothing for one that lands elsewhere."""
    top, _, remainder = member.partition("/")
    if not top.endswith(".data"):
        return member
    scheme, _, inner = remainder.partition("/")
    return inner if scheme in ("purelib", "platlib") else ""


def index_modules(members: Iterable[str]) -> dict[str, str]:
    """Dotted names of the wheel's Python modules, and the file of each."""
    member_by_module = {}
    for member in members:
        parts = site_packages_path(member).removesuffix(".py").split("/")
        if member.endswith(".py") and all(p.isidentifier() for p in parts):
            member_by_module[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = member
    return member_by_module


def is_test(member: str) -> bool:
    """True for tests, examples and the like, by their path."""
    *folders, name = member.lower().split("/")
    return (
        any(f in _TESTS for f in folders)
        or name == "conftest.py"
        or name.startswith("test_")
        or name.endswith("_test.py")
    )


def find_reached(
    member_by_module: Mapping[str, str],
    read: Callable[[str], ast.Module | None],
    candidates: set[str],
) -> set[str]:
    """The files of ``wanted`` that importing a top-level package loads.

    ``read`` gives a file's syntax tree. Imports inside of functions do not count: they may
    never happen.
    """
    pending = [
        m
        for m in sorted(member_by_module, reverse=True)
        if "." not in m and m.lower() not in _TESTS
    ]
    visited = set(pending)
    reached_members: set[str] = set()
    while pending and reached_members != candidates:
        module = pending.pop()
        member = member_by_module[module]
        if member in candidates:
            reached_members.add(member)
        tree = read(member)
        if tree is None:
            continue
        for name in _imported_names(tree, module, is_package=member.endswith("/__init__.py")):
            for loaded in _name_and_parents(name):
                if loaded in member_by_module and loaded not in visited:
                    visited.add(loaded)
                    pending.append(loaded)
    return reached_members


def _imported_names(tree: ast.Module, module: str, *, is_package: bool) -> Iterator[str]:
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _resolve_base(node, module, is_package=is_package)
            if base is not None:
                yield base
                yield from (f"{base}.{a.name}".strip(".") for a in node.names)
        elif isinstance(node, ast.If) and _is_for_checkers(node.test):
            pending += node.orelse
        elif not isinstance(node, _FUNCTIONS):
            pending += ast.iter_child_nodes(node)


def _resolve_base(node: ast.ImportFrom, module: str, *, is_package: bool) -> str | None:
    if node.level == 0:
        return node.module or ""
    parts = module.split(".")
    levels = node.level - is_package
    if levels >= len(parts):
        return None
    return ".".join([*parts[: len(parts) - levels], *([node.module] if node.module else [])])


def _is_for_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _name_and_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    for count in range(1, min(len(parts), 64) + 1):
        yield ".".join(parts[:count])
