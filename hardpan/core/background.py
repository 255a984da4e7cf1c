"""A function that runs in a thread while its caller does something else."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def start_call(function: Callable[[], Result]) -> Future[Result]:
    """Call ``function`` in a daemon thread; return the future of its result or its exception.

    A caller that is interrupted or fails does not wait for the thread, unlike with an executor.
    """
    future: Future[Result] = Future()

    def call() -> None:
        try:
            result = function()
        except BaseException as e:  # noqa: BLE001 - the caller gets it
            future.set_exception(e)
        else:
            future.set_result(result)

    threading.Thread(target=call, daemon=True).start()
    return future
