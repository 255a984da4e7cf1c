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

_MODULES = ("hashlib", "_hashlib")
_OF_MODULES = {
    **{name: name for name in (*_ALGORITHMS, *_BY_NAME)},
    "openssl_md5": "md5",
    "openssl_sha1": "sha1",
}
"""What of these modules is looked for, and the function of hashlib that it is."""

_IMPORTERS = ("__import__", "import_module")

_KEYWORDS = ("name", "digest")
_CATCHES = {"ValueError", "Exception", "BaseException", "UnsupportedDigestmodError"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_GIVING = (ast.Assign, ast.AnnAssign, ast.NamedExpr)
_NAMED = (ast.Name, ast.Attribute, ast.Subscript)
_CONSTANT_MOST = 100


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
    nodes = list(ast.walk(tree))
    for node in nodes:
        names.learn(node)
    given = [n for n in nodes if isinstance(n, _GIVING)]
    # A name may be assigned from a name that is assigned further down, in a function.
    known = -1
    while known != (known := len(names.modules) + len(names.importers)):
        for node in given:
            names.learn_modules(node)
    if not names.any() and not any(names.is_hashlib(n) for n in nodes):
        return ()
    for node in given:
        names.learn_assigned(node)
    found = list(_found(tree, names))
    called = {name for _, name in names.calls}
    for name, _, line, algorithm in names.assigned:
        if name not in called:
            found.append(Use(line=line, algorithm=algorithm, how="passed_on"))
    return tuple(sorted(set(found), key=lambda u: (u.line, u.algorithm, u.how)))


@dataclass(slots=True)
class _Names:
    """What the source calls hashlib, its functions, import functions, and functools.partial."""

    modules: set[str] = field(default_factory=set)
    importers: set[str] = field(default_factory=lambda: set(_IMPORTERS))
    functions: dict[str, str] = field(default_factory=dict)
    partials: set[str] = field(default_factory=set)
    functools: set[str] = field(default_factory=set)
    assigned: list[tuple[str, ast.AST, int, Algorithm]] = field(default_factory=list)
    calls: set[tuple[int, str]] = field(default_factory=set)

    def learn(self, node: ast.AST) -> None:
        """Take in an import."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in _MODULES:
                    self.modules.add(alias.asname or alias.name)
                elif alias.name == "functools":
                    self.functools.add(alias.asname or "functools")
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                if node.module == "functools" and alias.name == "partial":
                    self.partials.add(alias.asname or "partial")
                elif alias.name in _IMPORTERS:
                    self.importers.add(alias.asname or alias.name)
                elif alias.name in _MODULES:  # from another module that has imported it
                    self.modules.add(alias.asname or alias.name)
                elif node.module in _MODULES:
                    self._from_hashlib(alias)

    def _from_hashlib(self, alias: ast.alias) -> None:
        for name in _OF_MODULES if alias.name == "*" else (alias.name,):
            if name in _OF_MODULES:
                self.functions[alias.asname or name] = _OF_MODULES[name]

    def any(self) -> bool:
        """True when a name of the source stands for hashlib or a function of it."""
        return bool(self.modules or self.functions)

    def learn_modules(self, node: ast.AST) -> None:
        """Take in ``name = hashlib`` and ``name = __import__``."""
        for target, value in _assignments(node):
            if self.is_hashlib(value):
                self.modules.add(target)
            elif self._is_importer(value):
                self.importers.add(target)

    def learn_assigned(self, node: ast.AST) -> None:
        """Take in ``name = hashlib.md5``."""
        for target, value in _assignments(node):
            what = self.function(value)
            algorithm = _algorithm(what)
            if what and target not in self.functions:
                self.functions[target] = what
            if algorithm:
                self.assigned.append((target, value, value.lineno, algorithm))

    def function(self, node: ast.AST) -> str:
        """The function of hashlib that an expression stands for, or nothing."""
        if isinstance(node, ast.Name):
            return self.functions.get(node.id, "")
        if isinstance(node, ast.NamedExpr):
            return self.function(node.value)
        if isinstance(node, ast.Attribute) and self.is_hashlib(node.value):
            return _OF_MODULES.get(node.attr, "")
        if isinstance(node, ast.Subscript) and self._is_dictionary(node.value):
            return _OF_MODULES.get(_constant(node.slice), "")
        if (
            isinstance(node, ast.Call)
            and _last(node.func) == "getattr"
            and len(node.args) >= 2
            and self.is_hashlib(node.args[0])
        ):
            return _OF_MODULES.get(_constant(node.args[1]), "")
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

    def is_hashlib(self, node: ast.AST) -> bool:
        """True for an expression that stands for the module."""
        if isinstance(node, ast.NamedExpr):
            return self.is_hashlib(node.value)
        if isinstance(node, ast.Subscript):  # sys.modules["hashlib"]
            return _constant(node.slice) in _MODULES
        if isinstance(node, ast.Call) and node.args and self._is_importer(node.func):
            return _constant(node.args[0]) in _MODULES
        if isinstance(node, ast.Attribute):  # of another module that has imported it
            return node.attr in _MODULES
        return isinstance(node, ast.Name) and node.id in self.modules

    def _is_importer(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr in _IMPORTERS
        return isinstance(node, ast.Name) and node.id in self.importers

    def _is_dictionary(self, node: ast.AST) -> bool:
        """True for ``hashlib.__dict__`` and ``vars(hashlib)``."""
        if isinstance(node, ast.Attribute):
            return node.attr == "__dict__" and self.is_hashlib(node.value)
        return (
            isinstance(node, ast.Call)
            and _last(node.func) == "vars"
            and len(node.args) == 1
            and self.is_hashlib(node.args[0])
        )


def _assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Each name that a statement or expression gives a value, with the value."""
    if not isinstance(node, _GIVING) or node.value is None:
        return
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Name):
            yield target.id, node.value
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for one, value in zip(target.elts, node.value.elts, strict=False):
                if isinstance(one, ast.Name):
                    yield one.id, value


def _found(tree: ast.Module, names: _Names) -> Iterator[Use]:
    own = {id(value) for _, value, _, _ in names.assigned}
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
        if algorithm and isinstance(node, _NAMED) and isinstance(node.ctx, ast.Load):
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


def _constant(node: ast.expr) -> str:
    """The text that an expression always is; nothing for any other.

    Known are literals, ``"m" + "d5"``, ``f"{'m'}d5"``, ``"".join(("m", "d5"))``.
    """
    text = ""
    left: list[ast.AST] = [node]
    while left:  # no recursion: a sum nests as deep as it is long
        one = left.pop()
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            text += one.value
        elif isinstance(one, ast.BinOp) and isinstance(one.op, ast.Add):
            left += [one.right, one.left]
        elif isinstance(one, ast.JoinedStr):
            left += reversed(one.values)
        elif isinstance(one, ast.FormattedValue) and one.conversion == -1 and not one.format_spec:
            left.append(one.value)
        elif isinstance(one, ast.Call) and (joined := _joined(one)) is not None:
            left += reversed(joined)
        else:
            return ""
        if len(text) > _CONSTANT_MOST:
            return ""
    return text


def _joined(call: ast.Call) -> list[ast.expr] | None:
    """The parts of ``"".join((…))``; None for any other call."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "join" or len(call.args) != 1:
        return None
    separator, joined = call.func.value, call.args[0]
    if not isinstance(separator, ast.Constant) or separator.value != "":
        return None
    return joined.elts if isinstance(joined, ast.List | ast.Tuple) else None


def _algorithm(name: str) -> Algorithm | None:
    return next((a for a in _ALGORITHMS if a == name), None)
