import inspect
import re

import pytest

from hardpan import errors
from hardpan.errors import Exit, HardpanError, ResourceError, ToolError


def test_the_exit_codes_are_the_documented_ones() -> None:
    table = {e.name: int(e) for e in Exit}

    assert table == {
        "DONE": 0,
        "FINDINGS": 1,
        "USAGE": 2,
        "INPUT": 3,
        "TOOL": 4,
        "UNREACHABLE": 5,
        "TRUST": 6,
        "BUG": 70,
        "INTERRUPTED": 130,
        "BROKEN_PIPE": 141,
        "TERMINATED": 143,
    }


KINDS = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, HardpanError)]


def test_every_error_class_has_an_exit_code_of_its_own_kind() -> None:
    assert {c.__name__: int(c.exit_code) for c in KINDS if c is not HardpanError} == {
        "UsageError": 2,
        "InputError": 3,
        "ToolError": 4,
        "ResourceError": 4,
        "UnreachableError": 5,
        "TrustError": 6,
        "SeveralError": 70,  # an instance has its first error's
    }


def test_every_error_class_is_drawn_in_the_modules_docstring() -> None:
    tree = (errors.__doc__ or "").partition("::")[2].partition("\n\nExit code")[0]

    assert re.findall(r"[A-Z]\w+Error\b", tree) == [kind.__name__ for kind in KINDS]


@pytest.mark.parametrize("kind", [ToolError, ResourceError])
def test_a_tool_error_always_has_an_argv_and_a_tail(kind: type[ToolError]) -> None:
    e = ToolError(["xorriso"], "exited with 5") if kind is ToolError else ResourceError("no disk")

    assert e.argv == (("xorriso",) if kind is ToolError else ())
    assert e.tail == ""
