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


def test_no_problem_is_no_error() -> None:
    gathered().raise_all()


def test_one_problem_is_raised_as_it_is() -> None:
    only = TrustError("another key")

    with pytest.raises(TrustError) as caught:
        gathered(only).raise_all()

    assert caught.value is only


def test_several_are_raised_together_and_end_as_the_first() -> None:
    with pytest.raises(SeveralError) as caught:
        gathered(TrustError("one"), InputError("two")).raise_all()

    assert caught.value.exit_code == TrustError.exit_code
    assert str(caught.value) == "one\ntwo"


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
