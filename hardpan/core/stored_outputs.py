"""What a stage records about an output file, and whether the file is still the same.

Reading a disk image again takes seconds, so a record also has what the file system says about the
file: device, inode, size, and the times of the last change of its content and of its attributes.
Programs cannot set the last one, so a file for which all five are as recorded is taken as
unchanged. Otherwise its digest decides.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from hardpan.core.files import Sha256, sha256_file


class OutputState(StrEnum):
    """What became of an output file since it was recorded."""

    UNCHANGED = "unchanged"
    SAME_CONTENT = "same content"
    """The digest is as recorded, the attributes are not."""

    UNREAD = "unread"
    """The size is as recorded, other attributes are not, and the content was not read."""

    CHANGED = "changed"
    MISSING = "missing"


def describe_output(path: Path, sha256: Sha256 | None = None) -> dict[str, object]:
    """Return the record of a file; ``sha256`` is its digest, if it is known already."""
    attributes = read_attributes(path)
    return {"sha256": sha256 or sha256_file(path), "attributes": attributes}


def compare_output(path: Path, record: object, *, may_read: bool) -> OutputState:
    """Compare a file with its record; without ``may_read`` its content is not read."""
    if not path.is_file():
        return OutputState.MISSING
    if not isinstance(record, Mapping):
        return OutputState.CHANGED
    attributes, recorded_attributes = read_attributes(path), record.get("attributes")
    if attributes == recorded_attributes:
        return OutputState.UNCHANGED
    if not isinstance(recorded_attributes, Mapping):
        return OutputState.CHANGED
    if attributes["size"] != recorded_attributes.get("size"):
        return OutputState.CHANGED
    if not may_read:
        return OutputState.UNREAD
    is_same = sha256_file(path) == record.get("sha256")
    return OutputState.SAME_CONTENT if is_same else OutputState.CHANGED


def read_attributes(path: Path) -> dict[str, int]:
    """Return what the file system says about a file."""
    status = path.stat()
    return {
        "device": status.st_dev,
        "inode": status.st_ino,
        "size": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "changed_ns": status.st_ctime_ns,
    }
