"""Find calls of hashlib that fail on a host in FIPS mode, in a syntax tree.

In FIPS mode ``hashlib.md5()`` raises ValueError unless called with ``usedforsecurity=False``. A
call inside a ``try`` that catches ValueError is guarded; a function that is only *defined* inside
of a ``try`` is not.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Algorithm = Literal["md5", "sha1"]
_ALGORITHMS: tuple[Algorithm, ...] = ("md5", "sha1")
_NAME_POSITION = {"new": 0, "file_digest": 1}
"""Functions with an algorithm name as argument -> position of the argument."""

_MODULES = ("hashlib", "_hashlib")
_MODULE_FUNCTIONS = {
    **{name: name for name in (*_ALGORITHMS, *_NAME_POSITION)},
    "openssl_md5": "md5",
    "openssl_sha1": "sha1",
}
"""Functions of these modules -> the equivalent function of hashlib."""

_IMPORTERS = ("__import__", "import_module")

_KEYWORDS = ("name", "digest")
_CATCHES = {"ValueError", "Exception", "BaseException", "UnsupportedDigestmodError"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.NamedExpr)
_NAME_NODES = (ast.Name, ast.Attribute, ast.Subscript)
_MAX_CONSTANT_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestUse:
    """A use of a digest that may fail in FIPS mode."""

    line: int
    """Line of the source."""

    algorithm: Algorithm
    """Digest algorithm."""

    form: Literal["called", "unclear", "passed_on"]
    """``unclear``: usedforsecurity is not a literal. ``passed_on``: the function itself is passed
    as a value, so the arguments of its calls are unknown."""


def find_uses(tree: ast.Module) -> tuple[DigestUse, ...]:
    """Return all unguarded uses in the source, by line."""
    names = _HashlibNames()
    nodes = list(ast.walk(tree))
    for node in nodes:
        names.add_import(node)
    assignments = [n for n in nodes if isinstance(n, _ASSIGNMENTS)]
    # A name may be assigned from a name that is assigned further down, in a function.
    name_count = -1
    while name_count != (name_count := len(names.modules) + len(names.importers)):
        for node in assignments:
            names.add_modules(node)
    if not names.has_hashlib() and not any(names.is_hashlib(n) for n in nodes):
        return ()
    for node in assignments:
        names.add_assigned(node)
    result = list(_find_calls(tree, names))
    called_names = {name for _, name in names.calls}
    for name, _, line, algorithm in names.assigned:
        if name not in called_names:
            result.append(DigestUse(line=line, algorithm=algorithm, form="passed_on"))
    return tuple(sorted(set(result), key=lambda u: (u.line, u.algorithm, u.form)))


@dataclass(slots=True)
class _HashlibNames:
    """Names in the source for hashlib, its functions, import functions and functools.partial."""

    modules: set[str] = field(default_factory=set)
    importers: set[str] = field(default_factory=lambda: set(_IMPORTERS))
    functions: dict[str, str] = field(default_factory=dict)
    partials: set[str] = field(default_factory=set)
    functools: set[str] = field(default_factory=set)
    assigned: list[tuple[str, ast.AST, int, Algorithm]] = field(default_factory=list)
    calls: set[tuple[int, str]] = field(default_factory=set)

    def add_import(self, node: ast.AST) -> None:
        """Add the names of an import."""
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
        for name in _MODULE_FUNCTIONS if alias.name == "*" else (alias.name,):
            if name in _MODULE_FUNCTIONS:
                self.functions[alias.asname or name] = _MODULE_FUNCTIONS[name]

    def has_hashlib(self) -> bool:
        """Return whether a name of the source refers to hashlib or to one of its functions."""
        return bool(self.modules or self.functions)

    def add_modules(self, node: ast.AST) -> None:
        """Add ``name = hashlib`` and ``name = __import__``."""
        for target, value in _assignments(node):
            if self.is_hashlib(value):
                self.modules.add(target)
            elif self._is_importer(value):
                self.importers.add(target)

    def add_assigned(self, node: ast.AST) -> None:
        """Add ``name = hashlib.md5``."""
        for target, value in _assignments(node):
            function_name = self.resolve_function(value)
            algorithm = _algorithm(function_name)
            if function_name and target not in self.functions:
                self.functions[target] = function_name
            if algorithm:
                self.assigned.append((target, value, value.lineno, algorithm))

    def resolve_function(self, node: ast.AST) -> str:
        """Return the hashlib function that an expression refers to, or ""."""
        if isinstance(node, ast.Name):
            return self.functions.get(node.id, "")
        if isinstance(node, ast.NamedExpr):
            return self.resolve_function(node.value)
        if isinstance(node, ast.Attribute) and self.is_hashlib(node.value):
            return _MODULE_FUNCTIONS.get(node.attr, "")
        if isinstance(node, ast.Subscript) and self._is_dictionary(node.value):
            return _MODULE_FUNCTIONS.get(_constant(node.slice), "")
        if (
            isinstance(node, ast.Call)
            and _last_name(node.func) == "getattr"
            and len(node.args) >= 2
            and self.is_hashlib(node.args[0])
        ):
            return _MODULE_FUNCTIONS.get(_constant(node.args[1]), "")
        return ""

    def is_partial(self, node: ast.AST) -> bool:
        """Return whether an expression refers to functools.partial."""
        if isinstance(node, ast.Name):
            return node.id in self.partials
        return (
            isinstance(node, ast.Attribute)
            and node.attr == "partial"
            and isinstance(node.value, ast.Name)
            and node.value.id in self.functools
        )

    def is_hashlib(self, node: ast.AST) -> bool:
        """Return whether an expression refers to the module hashlib."""
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
            and _last_name(node.func) == "vars"
            and len(node.args) == 1
            and self.is_hashlib(node.args[0])
        )


def _assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield each name that a statement or expression binds, with its value."""
    if not isinstance(node, _ASSIGNMENTS) or node.value is None:
        return
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Name):
            yield target.id, node.value
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for element, value in zip(target.elts, node.value.elts, strict=False):
                if isinstance(element, ast.Name):
                    yield element.id, value


def _find_calls(tree: ast.Module, names: _HashlibNames) -> Iterator[DigestUse]:
    assigned_ids = {id(value) for _, value, _, _ in names.assigned}
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, is_guarded = pending.pop()
        if isinstance(node, ast.Call) and id(node) not in assigned_ids:
            handled, use = _inspect_call(node, names)
            if use and not is_guarded:
                yield use
            pending += [(n, is_guarded) for n in ast.iter_child_nodes(node) if n is not handled]
            continue
        algorithm = (
            _algorithm(names.resolve_function(node)) if id(node) not in assigned_ids else None
        )
        if algorithm and isinstance(node, _NAME_NODES) and isinstance(node.ctx, ast.Load):
            yield DigestUse(line=node.lineno, algorithm=algorithm, form="passed_on")
        pending += _children(node, is_guarded)


def _inspect_call(node: ast.Call, names: _HashlibNames) -> tuple[ast.AST | None, DigestUse | None]:
    """Return the part of a call that is handled, and the finding about the call, if any."""
    callee: ast.AST = node.func
    arguments = node.args
    if names.is_partial(node.func) and node.args:
        callee, arguments = node.args[0], node.args[1:]
    function_name = names.resolve_function(callee)
    if not function_name:
        passed_function = names.resolve_function(node)  # getattr(hashlib, "md5"), handed on
        algorithm = _algorithm(passed_function)
        if algorithm:
            return None, DigestUse(line=node.lineno, algorithm=algorithm, form="passed_on")
        return None, None
    if isinstance(callee, ast.Name):
        names.calls.add((node.lineno, callee.id))
    algorithm = _algorithm(function_name) or _named_algorithm(
        function_name, arguments, node.keywords
    )
    form = _call_form(node.keywords)
    if algorithm is None or form is None:
        return callee, None
    return callee, DigestUse(line=node.lineno, algorithm=algorithm, form=form)


def _named_algorithm(
    function_name: str, arguments: list[ast.expr], keywords: list[ast.keyword]
) -> Algorithm | None:
    position = _NAME_POSITION[function_name]
    candidates = [k.value for k in keywords if k.arg in _KEYWORDS]
    if len(arguments) > position:
        candidates.append(arguments[position])
    for node in candidates:
        constant = _constant(node).lower().replace("-", "")
        if _algorithm(constant):
            return _algorithm(constant)
    return None


def _call_form(keywords: list[ast.keyword]) -> Literal["called", "unclear"] | None:
    for keyword in keywords:
        if keyword.arg == "usedforsecurity":
            if isinstance(keyword.value, ast.Constant):
                return "called" if keyword.value.value else None
            return "unclear"
    return "unclear" if any(k.arg is None for k in keywords) else "called"


def _children(node: ast.AST, is_guarded: bool) -> list[tuple[ast.AST, bool]]:
    if isinstance(node, _FUNCTIONS):
        return [(n, False) for n in ast.iter_child_nodes(node)]
    if isinstance(node, ast.Try | ast.TryStar):
        inner_guarded = is_guarded or any(_catches(h.type) for h in node.handlers)
        unguarded_nodes = (*node.handlers, *node.orelse, *node.finalbody)
        return [
            *((n, inner_guarded) for n in node.body),
            *((n, is_guarded) for n in unguarded_nodes),
        ]
    if isinstance(node, ast.With | ast.AsyncWith):
        inner_guarded = is_guarded or any(_suppresses(i.context_expr) for i in node.items)
        return [*((i, is_guarded) for i in node.items), *((n, inner_guarded) for n in node.body)]
    return [(n, is_guarded) for n in ast.iter_child_nodes(node)]


def _suppresses(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return _last_name(node.func) == "suppress" and any(_catches(a) for a in node.args)


def _catches(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Tuple):
        return any(_last_name(n) in _CATCHES for n in node.elts)
    return node is None or _last_name(node) in _CATCHES


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _constant(node: ast.expr) -> str:
    """Return the constant text of an expression, or "" if it has none.

    Supported are literals, ``"m" + "d5"``, ``f"{'m'}d5"``, ``"".join(("m", "d5"))``.
    """
    text = ""
    pending: list[ast.AST] = [node]
    while pending:  # no recursion: a sum nests as deep as it is long
        part = pending.pop()
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            text += part.value
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add):
            pending += [part.right, part.left]
        elif isinstance(part, ast.JoinedStr):
            pending += reversed(part.values)
        elif (
            isinstance(part, ast.FormattedValue) and part.conversion == -1 and not part.format_spec
        ):
            pending.append(part.value)
        elif isinstance(part, ast.Call) and (joined := _join_parts(part)) is not None:
            pending += reversed(joined)
        else:
            return ""
        if len(text) > _MAX_CONSTANT_LENGTH:
            return ""
    return text


def _join_parts(call: ast.Call) -> list[ast.expr] | None:
    """The parts of ``"".join((…))``; None for any other call."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "join" or len(call.args) != 1:
        return None
    separator, joined = call.func.value, call.args[0]
    if not isinstance(separator, ast.Constant) or separator.value != "":
        return None
    return joined.elts if isinstance(joined, ast.List | ast.Tuple) else None


def _algorithm(name: str) -> Algorithm | None:
    return next((a for a in _ALGORITHMS if a == name), None)
