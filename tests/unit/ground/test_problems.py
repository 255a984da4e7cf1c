"""Problems are gathered in order and raised together."""

import pytest

from hardpan.errors import HardpanError, InputError, SeveralError, TrustError, raise_all
from hardpan.problems import Problems


def gathered(*errors: HardpanError) -> Problems:
    found = Problems()
    for n, error in enumerate(errors):
        with found.of(f"area {n}"):
            raise error
    return found


def raised(*errors: HardpanError) -> HardpanError | None:
    found = gathered(*errors)
    assert [problem.error for problem in found.found] == list(errors)
    try:
        found.raise_all()
    except HardpanError as error:
        return error
    return None


def test_no_problem_is_no_error() -> None:
    assert raised() is None


def test_one_problem_is_raised_as_it_is() -> None:
    only = TrustError("another key")

    assert raised(only) is only


def test_several_are_raised_together_and_end_as_the_first() -> None:
    one, two = TrustError("one"), InputError("two")

    together = raised(one, two)

    assert isinstance(together, SeveralError)
    assert together.errors == (one, two)
    assert together.exit_code == TrustError.exit_code
    assert str(together) == "one\ntwo"


def test_several_out_of_one_area_stay_several() -> None:
    found = Problems()
    with found.of("layers"):
        raise_all([InputError("one"), InputError("two")])

    assert [(p.area, str(p.error)) for p in found.found] == [("layers", "one"), ("layers", "two")]


def test_what_is_no_error_of_ours_goes_through() -> None:
    found = Problems()

    with pytest.raises(ValueError, match="a bug"), found.of("layers"):
        raise ValueError("a bug")
    assert found.found == []
