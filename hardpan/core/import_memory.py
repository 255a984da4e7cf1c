"""Objects that imports create live until the end of the program: no need to collect them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing_modules() -> Iterator[None]:
    """Pause the garbage collector for a block of imports; it never visits their objects.

    While hundreds of modules are imported it runs hundreds of times, a tenth of the time, and
    frees nothing.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
