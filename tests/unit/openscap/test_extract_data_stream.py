"""The data stream inside a merged ARF."""

import pytest

from hardpan.core.files import sha256_bytes
from hardpan.scanners.openscap.merged_arf import extract_data_stream

_ARF = (
    b'<arf:x><arf:report-requests>\n<arf:report-request id="collection1"><arf:content>\n<d/>\n'
    b"</arf:content></arf:report-request>\n</arf:report-requests>\n</arf:x>"
)


@pytest.mark.parametrize(
    "prolog",
    [b"", b"<?xml version='1.0' encoding='utf-8'?>", b'<?xml version="1.0" encoding="UTF-8"?>'],
)
def test_data_stream_is_identified_by_its_digest(prolog: bytes) -> None:
    data = prolog + b"\n<d/>\n"

    assert extract_data_stream(_ARF, sha256_bytes(data)) == data


@pytest.mark.parametrize("arf", [_ARF, b"<arf/>", _ARF.partition(b"</arf:content>")[0]])
def test_other_data_stream_is_not_returned(arf: bytes) -> None:
    assert extract_data_stream(arf, sha256_bytes(b"\n<e/>\n")) is None
