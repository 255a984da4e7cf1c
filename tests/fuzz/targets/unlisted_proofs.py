"""CMS signatures, timestamp tokens and ML-DSA signatures, which no statement lists, damaged.

None of those that are accepted is over something else, or larger than what it was made of.
"""

from pathlib import Path

from hypothesis import strategies as st

from hardpan.scanners.evidence.bindings import CMS, TIMESTAMP
from hardpan.signing import (
    check_detached_cms,
    check_ml_dsa_form,
    load_pq_signer,
    new_signer,
    read_token,
)
from tests.fuzz.target import FuzzTarget, mutated
from tests.tamper.kit import STAMPED, workshop

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
    lab = workshop(folder)
    new_signer(folder / "keys" / "pq.pem", alg="ml-dsa-65")
    payload, signature = lab.good["statement.json"], lab.good["statement.sig"]
    cms, token = lab.good[CMS], lab.good[TIMESTAMP]
    ml_dsa = load_pq_signer(folder / "keys" / "pq.pem").sign(payload)

    def judge(given: tuple[str, bytes]) -> str:
        kind, data = given
        if kind == "cms":
            check_detached_cms(data, payload, lab.scan.public, what=CMS)
            assert (len(data), data[-64:]) == (len(cms), cms[-64:])
        elif kind == "token":
            read = read_token(data, signature)
            read.check_own_signature()
            assert (len(data), read.moment) == (len(token), STAMPED)
        else:
            check_ml_dsa_form(data, "ml-dsa-65", what="x")
            assert len(data) == len(ml_dsa)
        return "unchanged" if data in (cms, token, ml_dsa) else "accepted: nobody signs that part"

    return FuzzTarget(
        name="unlisted_proofs",
        inputs=st.one_of(
            st.tuples(st.just("cms"), mutated([cms], _PIECES)),
            st.tuples(st.just("token"), mutated([token], _PIECES)),
            st.tuples(st.just("ml-dsa"), mutated([ml_dsa])),
        ),
        judge=judge,
    )
