"""Calls of hashlib that a host in FIPS mode refuses, found in a syntax tree.

There ``hashlib.md5()`` raises ValueError unless it is told ``usedforsecurity=False``. A call whose
ValueError is caught where it stands is guarded; a function that only *defines* such a call inside
of a ``try`` is not.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Algorithm = Literal["md5", "sha1"]
_ALGORITHMS: tuple[Algorithm, ...] = ("md5", "sha1")
_BY_NAME = {"new": 0, "file_digest": 1}
"""Functions that take the algorithm's name, and at which place."""

_KEYWORDS = ("name", "digest")
_CATCHES = {"ValueError", "Exception", "BaseException", "UnsupportedDigestmodError"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One place where a source asks for a digest that may be refused."""

    line: int
    """Where."""

    algorithm: Algorithm
    """Which."""

    how: Literal["called", "unclear", "passed_on"]
    """``unclear``: usedforsecurity is given, but not as a plain False. ``passed_on``: the function
    is handed to others, who may call it with or without."""


def uses(tree: ast.Module) -> tuple[Use, ...]:
    """Every use in the source that nothing guards, by line."""
    names = _Names()
    for node in ast.walk(tree):
        names.learn(node)
    if not names.any():
        return ()
    for node in ast.walk(tree):
        names.learn_assigned(node)
    found = list(_found(tree, names))
    called = {name for _, name in names.calls}
    for name, node, algorithm in names.assigned:
        if name not in called:
            found.append(Use(line=node.lineno, algorithm=algorithm, how="passed_on"))
    return tuple(sorted(set(found), key=lambda u: (u.line, u.algorithm, u.how)))


@dataclass(slots=True)
class _Names:
    """What the source calls hashlib, its functions, and functools.partial."""

    modules: set[str] = field(default_factory=set)
    functions: dict[str, str] = field(default_factory=dict)
    partials: set[str] = field(default_factory=set)
    functools: set[str] = field(default_factory=set)
    assigned: list[tuple[str, ast.Assign, Algorithm]] = field(default_factory=list)
    calls: set[tuple[int, str]] = field(default_factory=set)

    def learn(self, node: ast.AST) -> None:
        """Take in an import."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "hashlib":
                    self.modules.add(alias.asname or "hashlib")
                elif alias.name == "functools":
                    self.functools.add(alias.asname or "functools")
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                if node.module == "functools" and alias.name == "partial":
                    self.partials.add(alias.asname or "partial")
                elif node.module == "hashlib":
                    self._from_hashlib(alias)

    def _from_hashlib(self, alias: ast.alias) -> None:
        known = (*_ALGORITHMS, *_BY_NAME)
        for name in known if alias.name == "*" else (alias.name,):
            if name in known:
                self.functions[alias.asname or name] = name

    def any(self) -> bool:
        """True when the source has to do with hashlib at all."""
        return bool(self.modules or self.functions)

    def learn_assigned(self, node: ast.AST) -> None:
        """Take in ``name = hashlib.md5``."""
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, what = node.targets[0], self.function(node.value)
            algorithm = _algorithm(what)
            if isinstance(target, ast.Name) and algorithm:
                if target.id not in self.functions:
                    self.functions[target.id] = algorithm
                self.assigned.append((target.id, node, algorithm))

    def function(self, node: ast.AST) -> str:
        """The function of hashlib that an expression stands for, or nothing."""
        known = (*_ALGORITHMS, *_BY_NAME)
        if isinstance(node, ast.Name):
            return self.functions.get(node.id, "")
        if isinstance(node, ast.Attribute) and self._is_hashlib(node.value):
            return node.attr if node.attr in known else ""
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "getattr"
            and len(node.args) >= 2
            and self._is_hashlib(node.args[0])
        ):
            said = _constant(node.args[1])
            return said if said in known else ""
        return ""

    def is_partial(self, node: ast.AST) -> bool:
        """True for an expression that stands for functools.partial."""
        if isinstance(node, ast.Name):
            return node.id in self.partials
        return (
            isinstance(node, ast.Attribute)
            and node.attr == "partial"
            and isinstance(node.value, ast.Name)
            and node.value.id in self.functools
        )

    def _is_hashlib(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self.modules


def _found(tree: ast.Module, names: _Names) -> Iterator[Use]:
    own = {id(node.value) for _, node, _ in names.assigned}
    left: list[tuple[ast.AST, bool]] = [(tree, False)]
    while left:
        node, guarded = left.pop()
        if isinstance(node, ast.Call) and id(node) not in own:
            taken, use = _call(node, names)
            if use and not guarded:
                yield use
            left += [(n, guarded) for n in ast.iter_child_nodes(node) if n is not taken]
            continue
        algorithm = _algorithm(names.function(node)) if id(node) not in own else None
        if algorithm and isinstance(node, ast.Name | ast.Attribute) and _is_read(node):
            yield Use(line=node.lineno, algorithm=algorithm, how="passed_on")
        left += _children(node, guarded)


def _call(node: ast.Call, names: _Names) -> tuple[ast.AST | None, Use | None]:
    """The part of a call that is accounted for, and what is wrong with the call."""
    taken: ast.AST = node.func
    arguments = node.args
    if names.is_partial(node.func) and node.args:
        taken, arguments = node.args[0], node.args[1:]
    what = names.function(taken)
    if not what:
        own = names.function(node)  # getattr(hashlib, "md5"), handed on
        algorithm = _algorithm(own)
        if algorithm:
            return None, Use(line=node.lineno, algorithm=algorithm, how="passed_on")
        return None, None
    if isinstance(taken, ast.Name):
        names.calls.add((node.lineno, taken.id))
    algorithm = _algorithm(what) or _named(what, arguments, node.keywords)
    how = _how(node.keywords)
    if algorithm is None or how is None:
        return taken, None
    return taken, Use(line=node.lineno, algorithm=algorithm, how=how)


def _named(what: str, arguments: list[ast.expr], keywords: list[ast.keyword]) -> Algorithm | None:
    place = _BY_NAME[what]
    given = [k.value for k in keywords if k.arg in _KEYWORDS]
    if len(arguments) > place:
        given.append(arguments[place])
    for node in given:
        said = _constant(node).lower().replace("-", "")
        if _algorithm(said):
            return _algorithm(said)
    return None


def _how(keywords: list[ast.keyword]) -> Literal["called", "unclear"] | None:
    for keyword in keywords:
        if keyword.arg == "usedforsecurity":
            if isinstance(keyword.value, ast.Constant):
                return "called" if keyword.value.value else None
            return "unclear"
    return "unclear" if any(k.arg is None for k in keywords) else "called"


def _children(node: ast.AST, guarded: bool) -> list[tuple[ast.AST, bool]]:
    if isinstance(node, _FUNCTIONS):
        return [(n, False) for n in ast.iter_child_nodes(node)]
    if isinstance(node, ast.Try | ast.TryStar):
        inner = guarded or any(_catches(h.type) for h in node.handlers)
        rest = (*node.handlers, *node.orelse, *node.finalbody)
        return [*((n, inner) for n in node.body), *((n, guarded) for n in rest)]
    if isinstance(node, ast.With | ast.AsyncWith):
        inner = guarded or any(_suppresses(i.context_expr) for i in node.items)
        return [*((i, guarded) for i in node.items), *((n, inner) for n in node.body)]
    return [(n, guarded) for n in ast.iter_child_nodes(node)]


def _suppresses(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return _last(node.func) == "suppress" and any(_catches(a) for a in node.args)


def _catches(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Tuple):
        return any(_last(n) in _CATCHES for n in node.elts)
    return node is None or _last(node) in _CATCHES


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_read(node: ast.Name | ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Load)


def _constant(node: ast.expr) -> str:
    said = node.value if isinstance(node, ast.Constant) else ""
    return said if isinstance(said, str) else ""


def _algorithm(name: str) -> Algorithm | None:
    return next((a for a in _ALGORITHMS if a == name), None)
