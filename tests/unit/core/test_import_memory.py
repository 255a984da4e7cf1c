import gc

import pytest

from hardpan.core.import_memory import importing_modules


def test_collector_is_paused_and_imported_objects_are_frozen() -> None:
    frozen_count = gc.get_freeze_count()
    try:
        with importing_modules():
            assert not gc.isenabled()
            objects = [[n] for n in range(1_000)]

        assert gc.isenabled()
        assert gc.get_freeze_count() >= frozen_count + len(objects)
    finally:
        gc.unfreeze()


def test_collector_runs_again_after_a_failed_import() -> None:
    frozen_count = gc.get_freeze_count()

    with pytest.raises(ImportError), importing_modules():
        raise ImportError

    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen_count


def test_disabled_collector_stays_disabled() -> None:
    gc.disable()
    try:
        with importing_modules():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
