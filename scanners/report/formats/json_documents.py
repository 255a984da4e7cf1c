"""The documents as canonical JSON bytes, and the schema of the first."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from itertools import pairwise

from pydantic.alias_generators import to_camel

from hardpan.core.files import canonical_json
from hardpan.scanners.report.model.documents import Findings
from hardpan.scanners.report.model.types import Document
from hardpan.scanners.report.registry import Report


class FindingsJson:
    """``findings.json``."""

    def render(self, report: Report) -> bytes:
        """The findings as RFC 8785 bytes."""
        return report.findings_json


class SmokeJson:
    """``smoke.json``; ``null`` where no smoke test ran."""

    def render(self, report: Report) -> bytes:
        """The smoke test as RFC 8785 bytes."""
        return canonical_json(None if report.smoke is None else report.smoke.to_json())


class ChangesJson:
    """``changes.json``; ``null`` where the scan was compared with no older one."""

    def render(self, report: Report) -> bytes:
        """The changes as RFC 8785 bytes."""
        return canonical_json(None if report.changes is None else report.changes.to_json())


def build_findings_schema() -> bytes:
    """JSON Schema of ``findings.json``, as ``findings.schema.json`` holds it.

    Descriptions of fields are their docstrings, which are read from the source only here: pydantic
    would read them whenever the models are imported, which takes as long as rendering a report.
    """
    schema = Findings.model_json_schema(by_alias=True, mode="serialization")
    definitions = {**schema["$defs"], Findings.__name__: schema}
    for model in _iter_models(Document):
        properties = definitions.get(model.__name__, {}).get("properties", {})
        for base in reversed(model.__mro__[: model.__mro__.index(Document)]):
            for name, description in _iter_field_docstrings(base):
                if to_camel(name) in properties:
                    properties[to_camel(name)]["description"] = description
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def _iter_models(model: type[Document]) -> Iterator[type[Document]]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from _iter_models(subclass)


def _iter_field_docstrings(model: type) -> Iterator[tuple[str, str]]:
    """Yield the fields that a string literal follows, with the literal."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - the source of a class
    for field, following in pairwise(definition.body):
        match field, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)
