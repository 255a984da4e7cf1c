"""Problems are gathered in order and raised together."""

import pytest

from hardpan.core.error_collector import ErrorCollector
from hardpan.core.errors import AggregateError, HardpanError, InputError, TrustError, raise_if_any


def collect(*errors: HardpanError) -> ErrorCollector:
    collector = ErrorCollector()
    for number, error in enumerate(errors):
        with collector.collecting(f"area {number}"):
            raise error
    return collector


def collect_and_raise(*errors: HardpanError) -> HardpanError | None:
    collector = collect(*errors)
    assert [problem.error for problem in collector.collected] == list(errors)
    try:
        collector.raise_if_any()
    except HardpanError as error:
        return error
    return None


def test_no_collected_error_raises_nothing() -> None:
    assert collect_and_raise() is None


def test_single_error_is_raised_unchanged() -> None:
    error = TrustError("another key")

    assert collect_and_raise(error) is error


def test_several_errors_raise_an_aggregate_with_first_exit_code() -> None:
    trust_error, input_error = TrustError("one"), InputError("two")

    aggregate = collect_and_raise(trust_error, input_error)

    assert isinstance(aggregate, AggregateError)
    assert aggregate.errors == (trust_error, input_error)
    assert aggregate.exit_code == TrustError.exit_code
    assert str(aggregate) == "one\ntwo"


def test_aggregate_error_of_an_area_is_split() -> None:
    collector = ErrorCollector()
    with collector.collecting("layers"):
        raise_if_any([InputError("one"), InputError("two")])

    assert [(collected.area, str(collected.error)) for collected in collector.collected] == [
        ("layers", "one"),
        ("layers", "two"),
    ]


def test_unexpected_exception_is_not_collected() -> None:
    collector = ErrorCollector()

    with pytest.raises(ValueError, match="a bug"), collector.collecting("layers"):
        raise ValueError("a bug")
    assert collector.collected == []
