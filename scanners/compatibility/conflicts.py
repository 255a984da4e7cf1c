"""The list of conflicts, typed and validated as strictly as a profile."""

from datetime import date
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from hardpan.core import validation_errors
from hardpan.core.errors import InputError
from hardpan.core.resources import resource_path
from hardpan.core.validation_errors import LocatedProblem
from hardpan.core.yaml_source import read_yaml
from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import DayText, Pattern, Text, parse_date

CONFLICTS_FILE = resource_path("hardpan.scanners.compatibility", "conflicts.yaml")

ConflictId = Annotated[
    str, Pattern(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", "an id of a-z, 0-9 and single '-'")
]
StigId = Annotated[str, Pattern(r"RHEL-(?:09|10)-[0-9]{6}", "a DISA id as RHEL-09-231130")]
RuleName = Annotated[str, Pattern(r"[a-z][A-Za-z0-9_-]*", "a rule's short name in the content")]
ConflictNumber = Annotated[str, Pattern(r"[1-9][0-9]?[a-z]?|G[1-9]", "a row as '12', 5b or G1")]


class ConflictCheck(ProfileSection):
    """The control check or the workload check: what it inspects and expects."""

    inspects: Text
    expects: Text


class Conflict(ProfileSection):
    """One conflict and its resolution."""

    id: ConflictId
    row: ConflictNumber
    """Its number in the table; G rows are goals in addition to the numbered conflicts."""

    title: Text
    rules: tuple[StigId, ...]
    """DISA's ids; empty if the control is good practice without a rule."""

    content: tuple[RuleName, ...]
    """Short names of the same rules in the SCAP content."""

    breaks: Text
    wrong_fix: Text
    """The usual workaround, which disables the hardening."""

    resolution: Text
    source: Text
    as_of: Annotated[date, BeforeValidator(parse_date, json_schema_input_type=DayText)]
    needs: Text | None = None
    """What a host must have for the conflict to exist; without it every host has the conflict."""

    proven: Literal["lab", "not_yet"]
    unproven: Text | None = None
    """What a proof needs; required with ``proven: not_yet``."""

    control: ConflictCheck
    workload: ConflictCheck


class ConflictList(ProfileSection):
    """The whole list."""

    conflicts: Annotated[tuple[Conflict, ...], Field(min_length=1)]


@lru_cache(maxsize=1)
def load_conflicts() -> tuple[Conflict, ...]:
    """Load the shipped list, in its order.

    Raises:
        InputError: the file was changed and has problems.
    """
    return parse_conflicts(CONFLICTS_FILE.read_bytes(), CONFLICTS_FILE.name)


def parse_conflicts(data: bytes, file: str) -> tuple[Conflict, ...]:
    """Parse the list in ``data``; ``file`` names it in every message.

    Raises:
        InputError: it has problems; each is reported on a separate line.
    """
    tree = read_yaml(data, file)
    try:
        entries = ConflictList.model_validate(tree.to_plain()).conflicts
    except ValidationError as e:
        invalid = validation_errors.locate_errors(tree, e)
        raise InputError(validation_errors.format_problems(invalid)) from e
    violations: list[LocatedProblem] = []
    for i, conflict in enumerate(entries):
        location = ("conflicts", i)
        for name in ("id", "row"):
            if any(getattr(conflict, name) == getattr(earlier, name) for earlier in entries[:i]):
                text = f"{getattr(conflict, name)} is duplicated"
                violations.append(validation_errors.locate(tree, (*location, name), text))
        if (conflict.proven == "not_yet") != (conflict.unproven is not None):
            text = "expected it with 'proven: not_yet', and only there"
            violations.append(validation_errors.locate(tree, (*location, "unproven"), text))
    if violations:
        raise InputError(validation_errors.format_problems(violations))
    return entries
