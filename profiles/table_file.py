"""Read a table that hardpan ships as YAML: its schema, then what no schema expresses."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from hardpan.core import validation_errors
from hardpan.core.errors import InputError
from hardpan.core.yaml_source import read_yaml
from hardpan.profiles.constraint_set import Violation

TableT = TypeVar("TableT", bound=BaseModel)


def parse_table_file(
    data: bytes,
    file: str,
    model: type[TableT],
    find_violations: Callable[[TableT], Iterable[Violation]],
) -> TableT:
    """Parse the table in ``data``; ``file`` names it in every message.

    ``find_violations`` is called with a table of the right form only.

    Raises:
        InputError: it has problems; each is reported on a separate line, with its location.
    """
    tree = read_yaml(data, file)
    try:
        table = model.model_validate(tree.to_plain())
    except ValidationError as e:
        problems = validation_errors.locate_errors(tree, e)
        raise InputError(validation_errors.format_problems(problems)) from e
    problems = [validation_errors.locate(tree, v.path, v.text) for v in find_violations(table)]
    if problems:
        raise InputError(validation_errors.format_problems(problems))
    return table
