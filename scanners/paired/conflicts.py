"""The list of conflicts, typed and read as strictly as a profile."""

from datetime import date
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from hardpan.errors import InputError
from hardpan.profiles import problems
from hardpan.profiles.hardware import Section
from hardpan.profiles.problems import Problem
from hardpan.profiles.tree import read
from hardpan.profiles.words import DayText, Shape, Text, day
from hardpan.resources import resource_path

FILE = resource_path("hardpan.scanners.paired", "conflicts.yaml")

Id = Annotated[str, Shape(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", "an id of a-z, 0-9 and single '-'")]
StigId = Annotated[str, Shape(r"RHEL-(?:09|10)-[0-9]{6}", "a DISA id as RHEL-09-231130")]
RuleName = Annotated[str, Shape(r"[a-z][A-Za-z0-9_-]*", "a rule's short name in the content")]
Row = Annotated[str, Shape(r"[1-9][0-9]?[a-z]?|G[1-9]", "a row as '12', 5b or G1")]


class Asked(Section):
    """One half: what is looked at, and what must be found there."""

    looks_at: Text
    expects: Text


class Conflict(Section):
    """One conflict and its right resolution."""

    id: Id
    row: Row
    """Its place in the table; G rows are goals beside the numbered conflicts."""

    title: Text
    rules: tuple[StigId, ...]
    """DISA's ids; none where no rule but good practice asks for the control."""

    content: tuple[RuleName, ...]
    """Short names of the same rules in the SCAP content."""

    breaks: Text
    wrong_fix: Text
    """What people do about it, and should not."""

    resolution: Text
    source: Text
    as_of: Annotated[date, BeforeValidator(day, json_schema_input_type=DayText)]
    needs: Text | None = None
    """What a host must have for the conflict to exist there; without it every host has it."""

    proven: Literal["lab", "not_yet"]
    unproven: Text | None = None
    """What a proof would take; required with ``proven: not_yet``."""

    control: Asked
    action: Asked


class Conflicts(Section):
    """The whole list."""

    conflicts: Annotated[tuple[Conflict, ...], Field(min_length=1)]


@lru_cache(maxsize=1)
def conflicts() -> tuple[Conflict, ...]:
    """The list that comes with hardpan, in its order.

    Raises:
        InputError: the file was changed and has problems.
    """
    return parse(FILE.read_bytes(), FILE.name)


def parse(data: bytes, file: str) -> tuple[Conflict, ...]:
    """The list that ``data`` holds; ``file`` names it in every message.

    Raises:
        InputError: it has problems; each is told on a line of its own.
    """
    tree = read(data, file)
    try:
        made = Conflicts.model_validate(tree.plain()).conflicts
    except ValidationError as e:
        bad = [problems.of_pydantic(tree, d) for d in e.errors(include_url=False)]
        raise InputError(problems.told(bad)) from e
    broken: list[Problem] = []
    for i, one in enumerate(made):
        here = ("conflicts", i)
        for name in ("id", "row"):
            if any(getattr(one, name) == getattr(other, name) for other in made[:i]):
                text = f"{getattr(one, name)} is there twice"
                broken.append(problems.at(tree, (*here, name), text))
        if (one.proven == "not_yet") != (one.unproven is not None):
            text = "expected it with 'proven: not_yet', and only there"
            broken.append(problems.at(tree, (*here, "unproven"), text))
    if broken:
        raise InputError(problems.told(broken))
    return made
