import inspect

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


def test_every_error_class_has_an_exit_code_of_its_own_kind() -> None:
    kinds = [
        c
        for c in vars(errors).values()
        if inspect.isclass(c) and issubclass(c, HardpanError) and c is not HardpanError
    ]

    assert {c.__name__: int(c.exit_code) for c in kinds} == {
        "UsageError": 2,
        "InputError": 3,
        "ToolError": 4,
        "ResourceError": 4,
        "UnreachableError": 5,
        "TrustError": 6,
        "SeveralError": 70,  # an instance has its first error's
    }


def test_every_error_class_is_drawn_in_the_modules_docstring() -> None:
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, HardpanError):
            assert name in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", [ToolError, ResourceError])
def test_a_tool_error_always_has_an_argv_and_a_tail(kind: type[ToolError]) -> None:
    e = ToolError(["xorriso"], "exited with 5") if kind is ToolError else ResourceError("no disk")

    assert isinstance(e.argv, tuple)
    assert e.tail == ""
