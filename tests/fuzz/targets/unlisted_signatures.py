"""Damaged CMS signatures, timestamp tokens and ML-DSA signatures, which no statement lists.

An accepted one signs the same content and is not larger than the original.
"""

from pathlib import Path

from hypothesis import strategies as st

from hardpan.scanners.evidence.file_names import CMS, TIMESTAMP
from hardpan.signing import (
    check_detached_cms,
    check_ml_dsa_encoding,
    create_signer,
    load_pq_signer,
    read_timestamp_token,
)
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.tamper.kit import STAMPED, create_kit

_PIECES = (
    *(bytes([tag, size]) for tag in (0x30, 0x31, 0xA0, 0xA1, 4, 6, 2) for size in (0, 1, 0x80)),
    b"\x30\x82\xff\xff",
    b"\x30\x84\x7f\xff\xff\xff",
    b"\x1f\x81\x00",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
    b"\x18\x0f20261121040600Z",
    b"\x00\x00",
)


def target(folder: Path) -> FuzzTarget:
    """Each of the three for its reader, with no key or authority that would have to be trusted."""
    lab = create_kit(folder)
    create_signer(folder / "keys" / "pq.pem", alg="ml-dsa-65")
    payload, signature = lab.valid_files["statement.json"], lab.valid_files["statement.sig"]
    cms, token = lab.valid_files[CMS], lab.valid_files[TIMESTAMP]
    ml_dsa = load_pq_signer(folder / "keys" / "pq.pem").sign(payload)

    def check(value: tuple[str, bytes]) -> str:
        kind, data = value
        if kind == "cms":
            check_detached_cms(data, payload, lab.scan_signer.public, label=CMS)
            assert (len(data), data[-64:]) == (len(cms), cms[-64:])
        elif kind == "token":
            read = read_timestamp_token(data, signature)
            read.check_embedded_signature()
            assert (len(data), read.gen_time) == (len(token), STAMPED)
        else:
            check_ml_dsa_encoding(data, "ml-dsa-65", label="x")
            assert len(data) == len(ml_dsa)
        return "unchanged" if data in (cms, token, ml_dsa) else "accepted: nobody signs that part"

    return FuzzTarget(
        name="unlisted_signatures",
        inputs=st.one_of(
            st.tuples(st.just("cms"), mutate_samples([cms], _PIECES)),
            st.tuples(st.just("token"), mutate_samples([token], _PIECES)),
            st.tuples(st.just("ml-dsa"), mutate_samples([ml_dsa])),
        ),
        check=check,
    )
