import threading

import pytest

from hardpan.core.background import start_call


def test_call_runs_while_the_caller_continues() -> None:
    may_end = threading.Event()

    def wait() -> str:
        assert may_end.wait(10)
        return threading.current_thread().name

    future = start_call(wait)
    assert not future.done()
    may_end.set()

    assert future.result(10) != threading.current_thread().name


def test_exception_of_the_call_is_raised_for_the_caller() -> None:
    def fail() -> None:
        raise ZeroDivisionError("text")

    with pytest.raises(ZeroDivisionError, match="text"):
        start_call(fail).result(10)
