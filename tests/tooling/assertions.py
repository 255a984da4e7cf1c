"""Finds tests that can pass without having asserted anything.

A test asserts when every path through it reaches an ``assert``, a ``pytest.raises``,
``pytest.warns``, ``pytest.fail`` or ``pytest.skip``, or a call of a helper among the tests that
does so on each of its own paths. A loop counts only if it has a first turn for certain: over a
literal that is not empty, or over a name that stands for one. What a fixture asserts does not
count, nor an exception that the product would raise: it does not show what is expected.

    .venv/bin/python -m tests.tooling.assertions
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


class Way(IntEnum):
    """How a block is left, in the worst case."""

    LEAVES = 0
    """What follows it may not run, and nothing was asserted."""

    GOES_ON = 1
    ASSERTS = 2


@dataclass(frozen=True, eq=False)
class Module:
    """A module of the tests."""

    tree: ast.Module

    @cached_property
    def functions(self) -> Mapping[str, Sequence[ast.FunctionDef]]:
        """All functions and methods by name, nested ones included."""
        found: dict[str, list[ast.FunctionDef]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, []).append(node)
        return found

    @cached_property
    def constants(self) -> Mapping[str, ast.expr]:
        """What the module's own names stand for."""
        return _bindings(self.tree.body)

    @cached_property
    def imports(self) -> Mapping[str, tuple[str, str]]:
        """Names that come from other modules of the tests: from which, and their name in it."""
        return {
            name.asname or name.name: (node.module, name.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests")
            for name in node.names
            if node.module
        }


@dataclass(frozen=True)
class Scope:
    """Where a name is looked up: in a function, then in its module."""

    module: Module
    local: Mapping[str, ast.expr] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """All modules of the tests below ``root``."""

    root: Path
    _modules: dict[Path, Module] = field(default_factory=dict)
    _judged: dict[ast.FunctionDef, bool] = field(default_factory=dict)

    def module(self, path: Path) -> Module | None:
        """The module in ``path``; None if there is none."""
        if path not in self._modules and path.is_file():
            self._modules[path] = Module(ast.parse(path.read_bytes()))
        return self._modules.get(path)

    def function_asserts(self, module: Module, function: ast.FunctionDef) -> bool:
        """True when every path through ``function`` asserts something."""
        if function not in self._judged:
            # A function that calls itself asserts by what else it does.
            self._judged[function] = False
            scope = Scope(module, _bindings(function.body))
            self._judged[function] = self._block(scope, function.body) is Way.ASSERTS
        return self._judged[function]

    def is_filled(self, scope: Scope, node: ast.expr) -> bool:
        """True for a collection that has something in it for certain."""
        match node:
            case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
                return any(
                    not isinstance(e, ast.Starred) or self.is_filled(scope, e.value)
                    for e in elements
                )
            case ast.Dict(keys=keys):
                return None not in keys and bool(keys)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.is_filled(scope, left) or self.is_filled(scope, right)
            case ast.Call(func=ast.Name(id="range"), args=args):
                bounds = [a.value for a in args if isinstance(a, ast.Constant)]
                return len(bounds) == len(args) and len(range(*bounds)) > 0
            case ast.Call(func=ast.Name(id=name), args=args) if name in _SAME_LENGTH:
                return bool(args) and all(self.is_filled(scope, a) for a in args)
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _VIEWS:
                return self.is_filled(scope, value)
            case ast.Name(id=name):
                return self._name_is_filled(scope, name)
        return False

    def _name_is_filled(self, scope: Scope, name: str) -> bool:
        if name in scope.local:
            return self.is_filled(Scope(scope.module), scope.local[name])
        if name in scope.module.constants:
            return self.is_filled(Scope(scope.module), scope.module.constants[name])
        source, own = self._imported(scope.module, name)
        if source is None or own not in source.constants:
            return False
        return self.is_filled(Scope(source), source.constants[own])

    def _block(self, scope: Scope, body: Sequence[ast.stmt]) -> Way:
        ways = (self._statement(scope, statement) for statement in body)
        return next((way for way in ways if way is not Way.GOES_ON), Way.GOES_ON)

    def _statement(self, scope: Scope, node: ast.stmt) -> Way:
        match node:
            case ast.Assert():
                return Way.ASSERTS
            case ast.FunctionDef() | ast.ClassDef():
                return Way.GOES_ON
            case ast.If(test=test, body=body, orelse=orelse):
                inner = min(self._block(scope, body), self._block(scope, orelse))
                before = (test,)
            case ast.For(iter=turns, body=body):
                inner = self._loop(scope, body, turns=self.is_filled(scope, turns))
                before = (turns,)
            case ast.While(test=test, body=body):
                inner = self._loop(scope, body, turns=False)
                before = (test,)
            case ast.With(items=items, body=body):
                inner = self._block(scope, body)
                before = tuple(item.context_expr for item in items)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
                ways = ([*body, *orelse], *(h.body for h in handlers))
                inner = min(self._block(scope, way) for way in ways)
                if self._block(scope, final) is Way.ASSERTS:
                    inner = Way.ASSERTS
                before = ()
            case _:
                inner = Way.LEAVES if isinstance(node, _LEAVING) else Way.GOES_ON
                before = (node,)
        return Way.ASSERTS if any(self._calls(scope, part) for part in before) else inner

    def _loop(self, scope: Scope, body: Sequence[ast.stmt], *, turns: bool) -> Way:
        each = self._block(scope, body)
        if each is Way.LEAVES and any(isinstance(n, ast.Return) for s in body for n in ast.walk(s)):
            return Way.LEAVES
        return Way.ASSERTS if turns and each is Way.ASSERTS else Way.GOES_ON

    def _calls(self, scope: Scope, node: ast.AST) -> bool:
        """True when running ``node`` calls something that asserts."""
        if isinstance(node, _INNER):
            return False
        if isinstance(node, ast.IfExp):
            return self._calls(scope, node.body) and self._calls(scope, node.orelse)
        if isinstance(node, ast.Call) and self._call_asserts(scope, node.func):
            return True
        return any(self._calls(scope, child) for child in ast.iter_child_nodes(node))

    def _call_asserts(self, scope: Scope, called: ast.expr) -> bool:
        match called:
            case ast.Attribute(value=ast.Name(id="pytest"), attr=name):
                return name in _ASSERTING
            case ast.Name(id=name):
                meant = self._functions(scope.module, name)
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                source, own = self._imported(scope.module, owner)
                whole = source is not None and not own
                meant = self._defined(source, name) if whole else self._methods(scope.module, name)
            case ast.Attribute(attr=name):
                meant = self._methods(scope.module, name)
            case _:
                meant = []
        return bool(meant) and all(self.function_asserts(m, f) for m, f in meant)

    def _functions(self, module: Module, name: str) -> list[tuple[Module, ast.FunctionDef]]:
        return self._defined(module, name) or self._defined(*self._imported(module, name))

    def _methods(self, module: Module, name: str) -> list[tuple[Module, ast.FunctionDef]]:
        """The methods ``name`` of all classes at hand: which class it is, nobody knows."""
        others = (self._imported(module, imported)[0] for imported in module.imports)
        near = dict.fromkeys([module, *(m for m in others if m is not None)])
        found = chain.from_iterable(self._defined(m, name) for m in near)
        return [(m, f) for m, f in found if [a.arg for a in f.args.args[:1]] == ["self"]]

    def _defined(self, module: Module | None, name: str) -> list[tuple[Module, ast.FunctionDef]]:
        return [] if module is None else [(module, f) for f in module.functions.get(name, ())]

    def _imported(self, module: Module, name: str) -> tuple[Module | None, str]:
        """The module that ``name`` comes from and its name there, "" if it is the module."""
        if name not in module.imports:
            return None, ""
        parent, own = module.imports[name]
        folder = self.root.joinpath(*parent.split("."))
        whole = self.module(folder / f"{own}.py")
        return (whole, "") if whole else (self.module(folder.with_suffix(".py")), own)


def problems(root: Path) -> list[str]:
    """One line for each test below ``root`` that may assert nothing: its place and its name."""
    suite = Suite(root)
    found = []
    for path in sorted((root / "tests").rglob("*.py")):
        module = suite.module(path) or Module(ast.Module([], []))
        place = path.relative_to(root)
        for function in chain.from_iterable(module.functions.values()):
            if function.name.startswith("test_") and not suite.function_asserts(module, function):
                name = function.name
                found.append(f"{place}:{function.lineno}: {name} may end without an assertion")
        found += [
            f"{place}:{node.lineno}: this assertion always holds"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Assert) and _always_holds(node.test)
        ]
    return found


def _bindings(body: Sequence[ast.stmt]) -> Mapping[str, ast.expr]:
    """What the names stand for that ``body`` binds once, on every path through it."""
    found: dict[str, list[ast.expr]] = {}
    for node in body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                found.setdefault(name, []).append(value)
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _always_holds(test: ast.expr) -> bool:
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
    told = problems(ROOT)
    sys.stdout.writelines(f"{line}\n" for line in told)
    sys.exit(bool(told))
