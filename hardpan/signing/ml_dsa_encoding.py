"""Check the encoding of an ML-DSA signature when no public key is available.

Random bytes do not have it: the last part lists positions in rising order, and ends in zeros.

Source: FIPS 204, table 2 and algorithm 21 (HintBitUnpack).
"""

from dataclasses import dataclass
from typing import Final

from hardpan.signing.strict_json import MalformedError


@dataclass(frozen=True, slots=True)
class _SignatureLayout:
    size: int
    """Bytes of a signature."""

    hint_vectors: int
    """Polynomials that the hint is about: k."""

    max_hint_ones: int
    """Most coefficients that the hint sets: omega."""


_LAYOUTS: Final = {
    "ml-dsa-65": _SignatureLayout(size=3309, hint_vectors=6, max_hint_ones=55),
    "ml-dsa-87": _SignatureLayout(size=4627, hint_vectors=8, max_hint_ones=75),
}


def check_ml_dsa_encoding(signature: bytes, alg: str, *, label: str) -> None:
    """Pass if ``signature`` has the form of one by ``alg``. This does not identify the signer.

    Raises:
        MalformedError: another length, or a hint that cannot be unpacked.
    """
    layout = _LAYOUTS[alg]
    if len(signature) != layout.size:
        raise MalformedError(
            f"{label}: {alg}: expected a signature of {layout.size} bytes, got {len(signature)}"
        )
    hint = signature[-(layout.max_hint_ones + layout.hint_vectors) :]
    positions, boundaries = hint[: layout.max_hint_ones], hint[layout.max_hint_ones :]
    start = 0
    for end in boundaries:
        if not start <= end <= layout.max_hint_ones:
            raise MalformedError(f"{label}: not the form of an {alg} signature")
        part = positions[start:end]
        if list(part) != sorted(set(part)):
            raise MalformedError(f"{label}: not the form of an {alg} signature")
        start = end
    if any(positions[start:]):
        raise MalformedError(f"{label}: not the form of an {alg} signature")
