"""Format validation errors of YAML files, with locations, and of other documents."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hardpan.core.yaml_source import SourceLocation, YamlNode

_MAX_VALUE_CHARS = 80
_MAX_LISTED_ERRORS = 3
_VALUE_ERROR_PREFIX = "Value error, "
"""Pydantic puts this in front of the text of a ``ValueError`` that a validator raises."""

_EXPECTATIONS = {
    "string_type": "expected text (quote it)",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "tuple_type": "expected a list",
    "dict_type": "expected settings as 'name: value'",
    "model_type": "expected settings as 'name: value'",
    "too_short": "expected at least one entry",
    "greater_than_equal": "expected {ge} or more",
    "less_than_equal": "expected {le} or less",
    "literal_error": "expected {expected}",
    "hardpan": "{expected}",
    "hardpan_secret": "{expected}",
}

LocatedProblem = tuple[SourceLocation, str]


def format_validation_error(error: ValidationError) -> str:
    """Return the first errors of a document on one line: paths and expectations, no values.

    For documents without line numbers, which may be hostile or secret.
    """
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    parts = [f"{'.'.join(map(str, e['loc'])) or '(top)'}: {e['msg']}" for e in errors]
    text = "; ".join(parts[:_MAX_LISTED_ERRORS])
    omitted = len(parts) - _MAX_LISTED_ERRORS
    return f"{text}; and {omitted} more" if omitted > 0 else text


def locate_errors(tree: YamlNode, error: ValidationError) -> list[LocatedProblem]:
    """Convert all errors of a YAML file to messages with their locations."""
    return [from_pydantic(tree, details) for details in list_details(error)]


def list_details(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors of pydantic, without those that follow from others.

    An invalid entry is not counted, so its list seems to be too short as well.
    """
    all_details = error.errors(include_url=False)
    return [d for d in all_details if not (d["type"] == "too_short" and d["input"])]


def from_pydantic(tree: YamlNode, error: ErrorDetails) -> LocatedProblem:
    """Convert an error of pydantic to a message with its location."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return locate(tree, error["loc"], "unknown setting")
    if kind == "missing":
        return locate(tree, error["loc"], "is missing")
    # Only the texts above are templates: pydantic's may quote a pattern with braces.
    text = (
        _EXPECTATIONS[kind].format(**context)
        if kind in _EXPECTATIONS
        else error["msg"].removeprefix(_VALUE_ERROR_PREFIX)
    )
    if kind == "literal_error":
        text = text.replace("'", "")
    # A value that may be a secret is not repeated on a terminal or in a log.
    if text.startswith("must") or kind == "hardpan_secret":
        return locate(tree, error["loc"], text)
    return locate(tree, error["loc"], f"{text}, got {format_value(error['input'])}")


def locate(tree: YamlNode, path: tuple[str | int, ...], text: str) -> LocatedProblem:
    """Prefix ``text`` with the location and the name of the setting at ``path``."""
    location = tree.locate(path)
    return location, f"{location}: {format_path(path)}: {text}"


def format_path(path: tuple[str | int, ...]) -> str:
    """Return the name of the setting at ``path``, e.g. ``stig.waivers[0].rule``."""
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return ascii(name.removeprefix("."))[1:-1]


def format_problems(problems: list[LocatedProblem]) -> str:
    """Return one line per problem, in file order."""
    problems.sort(key=lambda p: (p[0].file, p[0].line, p[0].column))
    return "\n".join(text for _, text in problems)


def format_value(value: object) -> str:
    """Return ``value`` on one line, truncated if it is long."""
    if isinstance(value, dict | list | tuple):
        return "a map" if isinstance(value, dict) else "a list"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    text = ascii(value)
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}…"
