"""How a problem in a YAML file is told: place, setting, what was expected and found."""

from pydantic_core import ErrorDetails

from hardpan.profiles.tree import Place, Tree

_SHOWN_MOST = 80
_EXPECTED = {
    "string_type": "expected text (put it in quotes)",
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

Problem = tuple[Place, str]


def of_pydantic(tree: Tree, found: ErrorDetails) -> Problem:
    """What pydantic found, in our words and with its place."""
    kind, context = found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return at(tree, found["loc"], "unknown setting")
    if kind == "missing":
        return at(tree, found["loc"], "is missing")
    # Only our own texts are templates: pydantic's may quote a pattern with braces in it.
    text = _EXPECTED[kind].format(**context) if kind in _EXPECTED else found["msg"]
    if kind == "literal_error":
        text = text.replace("'", "")
    # What may be a secret in the wrong place is not repeated on a terminal or in a log.
    if text.startswith("must") or kind == "hardpan_secret":
        return at(tree, found["loc"], text)
    return at(tree, found["loc"], f"{text}, found {shown(found['input'])}")


def at(tree: Tree, path: tuple[str | int, ...], text: str) -> Problem:
    """``text`` behind the place and the name of the setting that ``path`` leads to."""
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    place = tree.at(path)
    return place, f"{place}: {ascii(name.removeprefix('.'))[1:-1]}: {text}"


def told(problems: list[Problem]) -> str:
    """One line per problem, in the order of the file."""
    problems.sort(key=lambda p: (p[0].file, p[0].line, p[0].column))
    return "\n".join(text for _, text in problems)


def shown(value: object) -> str:
    """``value`` as a message shows it: on one line, cut when it is long."""
    if isinstance(value, dict | list | tuple):
        return "a map" if isinstance(value, dict) else "a list"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    text = ascii(value)
    return text if len(text) <= _SHOWN_MOST else f"{text[:_SHOWN_MOST]}…"
