"""Finds tests that can pass without having asserted anything.

A test asserts when every path through it reaches an ``assert``, a ``pytest.raises``,
``pytest.warns``, ``pytest.fail`` or ``pytest.skip``, or a call of a helper among the tests that
does so on each of its own paths. A loop counts only if it has a first turn for certain: over a
literal that is not empty, or over a name that stands for one. What a fixture asserts does not
count, nor an exception that the product would raise: it does not show what is expected.

    .venv/bin/python -m tests.tools.assertions
"""

import ast
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]

_ASSERTING = {"fail", "raises", "skip", "warns"}
_SAME_LENGTH = {"enumerate", "list", "reversed", "sorted", "tuple", "zip"}
_VIEWS = {"items", "keys", "values"}
_LEAVING = (ast.Return, ast.Break, ast.Continue)
_INNER = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.GeneratorExp, ast.ListComp, ast.SetComp)


class BlockOutcome(IntEnum):
    """How a block is left, in the worst case."""

    LEAVES = 0
    """What follows it may not run, and nothing was asserted."""

    CONTINUES = 1
    ASSERTS = 2


@dataclass(frozen=True, eq=False)
class TestModule:
    """A module of the tests."""

    tree: ast.Module

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        """All nodes, walked once."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def functions(self) -> Mapping[str, Sequence[ast.FunctionDef]]:
        """All functions and methods by name, nested ones included."""
        by_name: dict[str, list[ast.FunctionDef]] = {}
        for node in self.nodes:
            if isinstance(node, ast.FunctionDef):
                by_name.setdefault(node.name, []).append(node)
        return by_name

    @cached_property
    def constants(self) -> Mapping[str, ast.expr]:
        """What the module's own names stand for."""
        return _bindings(self.tree.body)

    @cached_property
    def imports(self) -> Mapping[str, tuple[str, str]]:
        """Names that come from other modules of the tests: from which, and their name in it."""
        return {
            name.asname or name.name: (node.module, name.name)
            for node in self.nodes
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests")
            for name in node.names
            if node.module
        }


@dataclass(frozen=True)
class Scope:
    """Where a name is looked up: in a function, then in its module."""

    module: TestModule
    local: Mapping[str, ast.expr] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """All modules of the tests below ``root``."""

    root: Path
    _modules: dict[Path, TestModule] = field(default_factory=dict)
    _asserts_by_function: dict[ast.FunctionDef, bool] = field(default_factory=dict)

    def module(self, path: Path) -> TestModule | None:
        """The module in ``path``; None if there is none."""
        if path not in self._modules and path.is_file():
            self._modules[path] = TestModule(ast.parse(path.read_bytes()))
        return self._modules.get(path)

    def function_asserts(self, module: TestModule, function: ast.FunctionDef) -> bool:
        """True when every path through ``function`` asserts something."""
        if function not in self._asserts_by_function:
            # A function that calls itself asserts by what else it does.
            self._asserts_by_function[function] = False
            scope = Scope(module, _bindings(function.body))
            self._asserts_by_function[function] = (
                self._assess_block(scope, function.body) is BlockOutcome.ASSERTS
            )
        return self._asserts_by_function[function]

    def is_nonempty(self, scope: Scope, node: ast.expr) -> bool:
        """True for a collection that has something in it for certain."""
        match node:
            case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
                return any(
                    not isinstance(e, ast.Starred) or self.is_nonempty(scope, e.value)
                    for e in elements
                )
            case ast.Dict(keys=keys):
                return None not in keys and bool(keys)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.is_nonempty(scope, left) or self.is_nonempty(scope, right)
            case ast.Call(func=ast.Name(id="range"), args=args):
                bounds = [a.value for a in args if isinstance(a, ast.Constant)]
                return len(bounds) == len(args) and len(range(*bounds)) > 0
            case ast.Call(func=ast.Name(id=name), args=args) if name in _SAME_LENGTH:
                return bool(args) and all(self.is_nonempty(scope, a) for a in args)
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _VIEWS:
                return self.is_nonempty(scope, value)
            case ast.Name(id=name):
                return self._name_is_nonempty(scope, name)
        return False

    def _name_is_nonempty(self, scope: Scope, name: str) -> bool:
        if name in scope.local:
            return self.is_nonempty(Scope(scope.module), scope.local[name])
        if name in scope.module.constants:
            return self.is_nonempty(Scope(scope.module), scope.module.constants[name])
        source, original_name = self._imported(scope.module, name)
        if source is None or original_name not in source.constants:
            return False
        return self.is_nonempty(Scope(source), source.constants[original_name])

    def _assess_block(self, scope: Scope, body: Sequence[ast.stmt]) -> BlockOutcome:
        ways = (self._assess_statement(scope, statement) for statement in body)
        return next(
            (way for way in ways if way is not BlockOutcome.CONTINUES), BlockOutcome.CONTINUES
        )

    def _assess_statement(self, scope: Scope, node: ast.stmt) -> BlockOutcome:
        match node:
            case ast.Assert():
                return BlockOutcome.ASSERTS
            case ast.FunctionDef() | ast.ClassDef():
                return BlockOutcome.CONTINUES
            case ast.If(test=test, body=body, orelse=orelse):
                inner = min(self._assess_block(scope, body), self._assess_block(scope, orelse))
                before = (test,)
            case ast.For(iter=turns, body=body):
                inner = self._assess_loop(scope, body, runs_once=self.is_nonempty(scope, turns))
                before = (turns,)
            case ast.While(test=test, body=body):
                inner = self._assess_loop(scope, body, runs_once=False)
                before = (test,)
            case ast.With(items=items, body=body):
                inner = self._assess_block(scope, body)
                before = tuple(item.context_expr for item in items)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
                ways = ([*body, *orelse], *(h.body for h in handlers))
                inner = min(self._assess_block(scope, way) for way in ways)
                if self._assess_block(scope, final) is BlockOutcome.ASSERTS:
                    inner = BlockOutcome.ASSERTS
                before = ()
            case _:
                inner = (
                    BlockOutcome.LEAVES if isinstance(node, _LEAVING) else BlockOutcome.CONTINUES
                )
                before = (node,)
        return (
            BlockOutcome.ASSERTS
            if any(self._calls_assertion(scope, part) for part in before)
            else inner
        )

    def _assess_loop(
        self, scope: Scope, body: Sequence[ast.stmt], *, runs_once: bool
    ) -> BlockOutcome:
        outcome = self._assess_block(scope, body)
        if outcome is BlockOutcome.LEAVES and any(
            isinstance(n, ast.Return) for s in body for n in ast.walk(s)
        ):
            return BlockOutcome.LEAVES
        return (
            BlockOutcome.ASSERTS
            if runs_once and outcome is BlockOutcome.ASSERTS
            else BlockOutcome.CONTINUES
        )

    def _calls_assertion(self, scope: Scope, node: ast.AST) -> bool:
        """True when running ``node`` calls something that asserts."""
        if isinstance(node, _INNER):
            return False
        if isinstance(node, ast.IfExp):
            return self._calls_assertion(scope, node.body) and self._calls_assertion(
                scope, node.orelse
            )
        if isinstance(node, ast.Call) and self._call_asserts(scope, node.func):
            return True
        return any(self._calls_assertion(scope, child) for child in ast.iter_child_nodes(node))

    def _call_asserts(self, scope: Scope, called: ast.expr) -> bool:
        match called:
            case ast.Attribute(value=ast.Name(id="pytest"), attr=name):
                return name in _ASSERTING
            case ast.Name(id=name):
                candidates = self._functions(scope.module, name)
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                source, original_name = self._imported(scope.module, owner)
                is_module = source is not None and not original_name
                candidates = (
                    self._defined(source, name) if is_module else self._methods(scope.module, name)
                )
            case ast.Attribute(attr=name):
                candidates = self._methods(scope.module, name)
            case _:
                candidates = []
        return bool(candidates) and all(self.function_asserts(m, f) for m, f in candidates)

    def _functions(self, module: TestModule, name: str) -> list[tuple[TestModule, ast.FunctionDef]]:
        return self._defined(module, name) or self._defined(*self._imported(module, name))

    def _methods(self, module: TestModule, name: str) -> list[tuple[TestModule, ast.FunctionDef]]:
        """Return the methods ``name`` of all classes in scope: the class is unknown."""
        imported_modules = (self._imported(module, imported)[0] for imported in module.imports)
        near = dict.fromkeys([module, *(m for m in imported_modules if m is not None)])
        definitions = chain.from_iterable(self._defined(m, name) for m in near)
        return [(m, f) for m, f in definitions if [a.arg for a in f.args.args[:1]] == ["self"]]

    def _defined(
        self, module: TestModule | None, name: str
    ) -> list[tuple[TestModule, ast.FunctionDef]]:
        return [] if module is None else [(module, f) for f in module.functions.get(name, ())]

    def _imported(self, module: TestModule, name: str) -> tuple[TestModule | None, str]:
        """The module that ``name`` comes from and its name there, "" if it is the module."""
        if name not in module.imports:
            return None, ""
        parent, original_name = module.imports[name]
        folder = self.root.joinpath(*parent.split("."))
        imported_module = self.module(folder / f"{original_name}.py")
        return (
            (imported_module, "")
            if imported_module
            else (self.module(folder.with_suffix(".py")), original_name)
        )


def find_problems(root: Path) -> list[str]:
    """One line for each test below ``root`` that may assert nothing: its place and its name."""
    suite = Suite(root)
    lines = []
    for path in sorted((root / "tests").rglob("*.py")):
        if "node_modules" in path.parts:  # npm packages have Python files, too
            continue
        module = suite.module(path) or TestModule(ast.Module([], []))
        location = path.relative_to(root)
        for function in chain.from_iterable(module.functions.values()):
            if function.name.startswith("test_") and not suite.function_asserts(module, function):
                name = function.name
                lines.append(f"{location}:{function.lineno}: {name} may end without an assertion")
        lines += [
            f"{location}:{node.lineno}: this assertion always holds"
            for node in module.nodes
            if isinstance(node, ast.Assert) and _is_always_true(node.test)
        ]
    return lines


def _bindings(body: Sequence[ast.stmt]) -> Mapping[str, ast.expr]:
    """What the names stand for that ``body`` binds once, on every path through it."""
    values_by_name: dict[str, list[ast.expr]] = {}
    for node in body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                values_by_name.setdefault(name, []).append(value)
    return {name: values[0] for name, values in values_by_name.items() if len(values) == 1}


def _is_always_true(test: ast.expr) -> bool:
    match test:
        case ast.Tuple(elts=elements):
            return bool(elements)
        case ast.Constant(value=value):
            return bool(value)
        case ast.Compare(left=left, comparators=[right]):
            # Two calls alike are a test of the same bytes twice.
            calls = any(isinstance(node, ast.Call) for node in ast.walk(left))
            return not calls and ast.dump(left) == ast.dump(right)
    return False


if __name__ == "__main__":
    problem_lines = find_problems(ROOT)
    sys.stdout.writelines(f"{line}\n" for line in problem_lines)
    sys.exit(bool(problem_lines))
