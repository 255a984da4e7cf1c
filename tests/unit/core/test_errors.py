import inspect
import re

import pytest

from hardpan.core import errors
from hardpan.core.errors import Exit, HardpanError, ResourceError, ToolError


def test_exit_codes_match_documentation() -> None:
    table = {e.name: int(e) for e in Exit}

    assert table == {
        "OK": 0,
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


ERROR_CLASSES = [
    c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, HardpanError)
]


def test_every_error_class_has_its_exit_code() -> None:
    assert {c.__name__: int(c.exit_code) for c in ERROR_CLASSES if c is not HardpanError} == {
        "UsageError": 2,
        "InputError": 3,
        "ToolError": 4,
        "UnavailableError": 4,
        "ResourceError": 4,
        "UnreachableError": 5,
        "TrustError": 6,
        "AggregateError": 70,  # an instance has its first error's
    }


def test_module_docstring_lists_every_error_class() -> None:
    tree = (errors.__doc__ or "").partition("::")[2].partition("\n\nExit code")[0]

    assert re.findall(r"[A-Z]\w+Error\b", tree) == [kind.__name__ for kind in ERROR_CLASSES]


@pytest.mark.parametrize("kind", [ToolError, ResourceError])
def test_tool_error_has_argv_and_output_tail(kind: type[ToolError]) -> None:
    error = (
        ToolError(["xorriso"], "exited with 5") if kind is ToolError else ResourceError("no disk")
    )

    assert error.argv == (("xorriso",) if kind is ToolError else ())
    assert error.output_tail == ""
