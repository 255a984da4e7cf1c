"""The cache of the last call of a function."""

import pytest

from hardpan.core.last_call import cache_last_call


def test_same_arguments_are_computed_once() -> None:
    calls: list[list[int]] = []

    @cache_last_call
    def total(numbers: list[int]) -> int:
        calls.append(numbers)
        return sum(numbers)

    numbers = [1, 2]

    assert [total(numbers), total(numbers)] == [3, 3]
    assert len(calls) == 1


def test_equal_but_different_arguments_are_computed_again() -> None:
    calls: list[list[int]] = []

    @cache_last_call
    def first(numbers: list[int]) -> list[int]:
        calls.append(numbers)
        return numbers

    left, right = [1], [1]

    assert first(left) is left
    assert first(right) is right
    assert first(left) is left
    assert len(calls) == 3


def test_failed_call_is_repeated() -> None:
    answers = iter((ZeroDivisionError(), None))

    @cache_last_call
    def divide(_: object) -> str:
        if error := next(answers):
            raise error
        return "done"

    argument = object()
    with pytest.raises(ZeroDivisionError):
        divide(argument)
    assert divide(argument) == "done"
