"""Read a wheel's licence (one line) and its unpacked size."""

import contextlib
import re
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

from hardpan.core.errors import InputError

_MAX_METADATA_BYTES = 4 << 20
_CLASSIFIER = "License :: OSI Approved :: "
_UNSAFE_CHARACTERS = re.compile(r"[^A-Za-z0-9 .,+()/'-]")
_UNKNOWN_LICENCE = "LicenseRef-unknown"
_MAX_LICENCE_LENGTH = 80


def read_licence(wheel: Path) -> str:
    """Return the licence expression, or the older licence fields unless they hold a full text.

    Raises:
        InputError: the wheel has no metadata.
    """
    headers = HeaderParser().parsestr(_read_metadata(wheel))
    expression = _to_single_line(headers.get("License-Expression", ""))
    if expression:
        return expression
    classifiers = [
        _to_single_line(value.removeprefix(_CLASSIFIER))
        for value in headers.get_all("Classifier", [])
        if value.startswith(_CLASSIFIER)
    ]
    if classifiers:
        return " AND ".join(sorted(classifiers))
    free_text = headers.get("License", "")
    return (
        _to_single_line(free_text)
        if "\n" not in free_text.strip() and _to_single_line(free_text)
        else _UNKNOWN_LICENCE
    )


def measure_unpacked(wheel: Path) -> int:
    """Return the unpacked size in bytes.

    Raises:
        InputError: the file is not a wheel.
    """
    with _open_wheel(wheel) as archive:
        return sum(member.file_size for member in archive.infolist())


def _read_metadata(wheel: Path) -> str:
    with _open_wheel(wheel) as archive:
        for member in archive.infolist():
            if re.fullmatch(r"[^/]+\.dist-info/METADATA", member.filename):
                if member.file_size > _MAX_METADATA_BYTES:
                    break
                return archive.read(member).decode("utf-8", "replace")
    raise InputError(f"{wheel.name}: expected METADATA in it, got none that can be read")


@contextlib.contextmanager
def _open_wheel(wheel: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except (zipfile.BadZipFile, OSError, NotImplementedError) as e:
        raise InputError(f"{wheel.name}: cannot be read: {e}") from e


def _to_single_line(text: str) -> str:
    return " ".join(_UNSAFE_CHARACTERS.sub(" ", text).split())[:_MAX_LICENCE_LENGTH]
