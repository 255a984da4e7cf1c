"""A folder's lock names its holder; flock locks are of open files, so one process can compete."""

import json
import os
import threading
from pathlib import Path

import pytest

from hardpan.core.errors import InputError, ResourceError
from hardpan.core.events import Event, StageMessage, discard
from hardpan.core.file_lock import LOCK_NAME, lock_folder


def test_lock_file_names_its_holder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    with lock_folder(folder, command="hardpan build x", stage="build", emit=discard):
        holder = json.loads((folder / LOCK_NAME).read_text())

    assert holder["pid"] == os.getpid()
    assert holder["command"] == "hardpan build x"
    assert holder["started"].endswith("Z")
    assert (folder / LOCK_NAME).stat().st_mode & 0o777 == 0o600


def test_locked_folder_is_refused_with_its_holder(tmp_path: Path) -> None:
    with (
        lock_folder(tmp_path, command="hardpan build x", stage="build", emit=discard),
        pytest.raises(ResourceError, match=rf"process {os.getpid()} \(hardpan build x, since 20"),
        lock_folder(tmp_path, command="y", stage="build", emit=discard, may_wait=False),
    ):
        pytest.fail("locked twice")


def test_waiting_names_the_holder_and_ends_with_it(tmp_path: Path) -> None:
    events: list[Event] = []
    is_waiting, order = threading.Event(), []

    def emit(event: Event) -> None:
        events.append(event)
        is_waiting.set()

    def lock_second() -> None:
        with lock_folder(tmp_path, command="second", stage="build", emit=emit):
            order.append("second")

    with lock_folder(tmp_path, command="hardpan build x", stage="build", emit=discard):
        thread = threading.Thread(target=lock_second)
        thread.start()
        assert is_waiting.wait(timeout=30)
        order.append("first")
    thread.join(timeout=30)

    assert order == ["first", "second"]
    (message,) = events
    assert isinstance(message, StageMessage)
    assert message.text.startswith(f"waiting for process {os.getpid()} (hardpan build x, since")
    assert message.text.endswith(f"which uses {tmp_path}")


def test_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="inside"),
        lock_folder(tmp_path, command="x", stage="build", emit=discard),
    ):
        raise ValueError("inside")

    with lock_folder(tmp_path, command="x", stage="build", emit=discard, may_wait=False):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}'])
def test_holder_that_wrote_nothing_is_another_process(tmp_path: Path, content: str) -> None:
    with lock_folder(tmp_path, command="x", stage="build", emit=discard):
        (tmp_path / LOCK_NAME).write_text(content)
        with (
            pytest.raises(ResourceError, match="another process holds its lock"),
            lock_folder(tmp_path, command="y", stage="build", emit=discard, may_wait=False),
        ):
            pytest.fail("locked twice")


def test_folder_that_cannot_be_locked_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(InputError, match="cannot be locked"),
        lock_folder(tmp_path / "file", command="x", stage="build", emit=discard),
    ):
        pytest.fail("locked a file")
