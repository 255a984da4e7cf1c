import random
from pathlib import Path

import pytest

from hardpan.signing import check_ml_dsa_encoding, create_signer, load_pq_signer
from hardpan.signing.strict_json import MalformedError

SIZES = {"ml-dsa-65": (3309, 55, 6), "ml-dsa-87": (4627, 75, 8)}


@pytest.mark.parametrize("alg", SIZES)
def test_ml_dsa_signatures_are_well_encoded(alg: str, tmp_path: Path) -> None:
    create_signer(tmp_path / "pq.pem", alg=alg)
    signer = load_pq_signer(tmp_path / "pq.pem")
    signatures = [signer.sign(bytes([n])) for n in range(5)]

    for signature in signatures:
        check_ml_dsa_encoding(signature, alg, label="x")
    assert {len(s) for s in signatures} == {SIZES[alg][0]}


@pytest.mark.parametrize("alg", SIZES)
def test_ml_dsa_signature_of_another_length_is_refused(alg: str) -> None:
    size = SIZES[alg][0]
    for length in (0, 1, size - 1, size + 1, 3309 + 4627 - size):
        with pytest.raises(MalformedError, match=f"x: {alg}: expected a signature of {size} bytes"):
            check_ml_dsa_encoding(bytes(length), alg, label="x")


@pytest.mark.parametrize("alg", SIZES)
def test_random_bytes_are_not_a_valid_encoding(alg: str) -> None:
    dice = random.Random(7)  # noqa: S311
    for _ in range(200):
        data = dice.randbytes(SIZES[alg][0])
        with pytest.raises(MalformedError, match=f"x: not the form of an {alg} signature"):
            check_ml_dsa_encoding(data, alg, label="x")


@pytest.mark.parametrize("alg", SIZES)
def test_hint_encoding_rules_are_enforced(alg: str) -> None:
    size, ones, vectors = SIZES[alg]

    def with_hint(positions: list[int], ends: list[int]) -> bytes:
        hint = bytes(positions).ljust(ones, b"\0") + bytes(ends)
        return bytes(size - len(hint)) + hint

    check_ml_dsa_encoding(with_hint([3, 9, 4], [2, *[3] * (vectors - 1)]), alg, label="x")
    check_ml_dsa_encoding(with_hint(list(range(ones)), [ones] * vectors), alg, label="x")
    wrong = (
        with_hint([9, 3], [2] * vectors),
        with_hint([3, 3], [2] * vectors),
        with_hint([3, 9], [2, 1, *[2] * (vectors - 2)]),
        with_hint(list(range(ones)), [ones + 1] * vectors),
        with_hint([3], [0] * vectors),
        with_hint([*[0] * (ones - 1), 1], [0] * vectors),
    )
    for data in wrong:
        with pytest.raises(MalformedError, match="not the form"):
            check_ml_dsa_encoding(data, alg, label="x")
    assert len(wrong) == 6
