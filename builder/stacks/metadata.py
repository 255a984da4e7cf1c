"""What a wheel says of itself: its licence, in one line, and its size once unpacked."""

import contextlib
import re
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

from hardpan.errors import InputError

_MOST = 4 << 20
_CLASSIFIER = "License :: OSI Approved :: "
_ODD = re.compile(r"[^A-Za-z0-9 .,+()/'-]")
_UNTOLD = "LicenseRef-not-told"
_LONGEST = 80


def licence(wheel: Path) -> str:
    """Its licence expression, or what its older fields say; a whole text is not repeated.

    Raises:
        InputError: the wheel has no metadata.
    """
    told = HeaderParser().parsestr(_metadata(wheel))
    expression = _line(told.get("License-Expression", ""))
    if expression:
        return expression
    named = [
        _line(value.removeprefix(_CLASSIFIER))
        for value in told.get_all("Classifier", [])
        if value.startswith(_CLASSIFIER)
    ]
    if named:
        return " AND ".join(sorted(named))
    free = told.get("License", "")
    return _line(free) if "\n" not in free.strip() and _line(free) else _UNTOLD


def unpacked(wheel: Path) -> int:
    """Bytes that its files take.

    Raises:
        InputError: it is no wheel.
    """
    with _opened(wheel) as archive:
        return sum(member.file_size for member in archive.infolist())


def _metadata(wheel: Path) -> str:
    with _opened(wheel) as archive:
        for member in archive.infolist():
            if re.fullmatch(r"[^/]+\.dist-info/METADATA", member.filename):
                if member.file_size > _MOST:
                    break
                return archive.read(member).decode("utf-8", "replace")
    raise InputError(f"{wheel.name}: expected METADATA in it, found none that can be read")


@contextlib.contextmanager
def _opened(wheel: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except (zipfile.BadZipFile, OSError, NotImplementedError) as e:
        raise InputError(f"{wheel.name}: cannot be read: {e}") from e


def _line(text: str) -> str:
    return " ".join(_ODD.sub(" ", text).split())[:_LONGEST]
