"""The form of an ML-DSA signature, where no key is at hand to check it with.

Random bytes do not have it: the last part lists positions in rising order, and ends in zeros.

Source: FIPS 204, table 2 and algorithm 21 (HintBitUnpack).
"""

from dataclasses import dataclass
from typing import Final

from hardpan.signing.strict import MalformedError


@dataclass(frozen=True, slots=True)
class _Shape:
    size: int
    """Bytes of a signature."""

    vectors: int
    """Polynomials that the hint is about: k."""

    ones: int
    """Most coefficients that the hint sets: omega."""


_SHAPES: Final = {
    "ml-dsa-65": _Shape(size=3309, vectors=6, ones=55),
    "ml-dsa-87": _Shape(size=4627, vectors=8, ones=75),
}


def check_ml_dsa_form(signature: bytes, alg: str, *, what: str) -> None:
    """Pass if ``signature`` has the form of one by ``alg``. Who made it is not seen from it.

    Raises:
        MalformedError: another length, or a hint that cannot be unpacked.
    """
    shape = _SHAPES[alg]
    if len(signature) != shape.size:
        raise MalformedError(
            f"{what}: {alg}: expected a signature of {shape.size} bytes, found {len(signature)}"
        )
    hint = signature[-(shape.ones + shape.vectors) :]
    positions, ends = hint[: shape.ones], hint[shape.ones :]
    begin = 0
    for end in ends:
        if not begin <= end <= shape.ones:
            raise MalformedError(f"{what}: not the form of an {alg} signature")
        part = positions[begin:end]
        if list(part) != sorted(set(part)):
            raise MalformedError(f"{what}: not the form of an {alg} signature")
        begin = end
    if any(positions[begin:]):
        raise MalformedError(f"{what}: not the form of an {alg} signature")
