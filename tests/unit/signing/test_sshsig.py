import base64
import hashlib
import random
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from hardpan.core.errors import TrustError
from hardpan.signing import check_sshsig
from tests.tools.sshsig import HostKey, armor, encode_string, fingerprint, make_signature

P256: HostKey = ec.generate_private_key(ec.SECP256R1())
ED: HostKey = ed25519.Ed25519PrivateKey.generate()
SPACE = "hardpan-evidence"


def body(proof: bytes) -> bytes:
    return base64.b64decode("".join(proof.decode("ascii").splitlines()[1:-1]))


def _generate_rsa_key() -> HostKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    "create_key",
    [lambda: P256, lambda: ED, _generate_rsa_key],
    ids=["ecdsa", "ed25519", "rsa"],
)
def test_sshsig_of_each_key_type_verifies(create_key: Callable[[], HostKey]) -> None:
    key = create_key()
    for kind in (b"sha256", b"sha512"):
        proof = make_signature(key, b"said", hash_name=kind)
        check_sshsig(proof, b"said", namespace=SPACE, fingerprint=fingerprint(key))

        with pytest.raises(TrustError, match="is not a signature over this scan"):
            check_sshsig(proof, b"other", namespace=SPACE, fingerprint=fingerprint(key))


@pytest.mark.parametrize(
    ("proof", "message"),
    [
        (make_signature(ED, b"said"), "the host signature is by key SHA256:"),
        (
            make_signature(P256, b"said", namespace=b"git"),
            "for another purpose than hardpan-evidence",
        ),
        (make_signature(P256, b"said", reserved=b"x"), "the reserved field is not empty"),
        (make_signature(P256, b"said", version=2), "not SSHSIG version 1"),
        (make_signature(P256, b"said", hash_name=b"sha1"), "unknown hash"),
        (make_signature(P256, b"said", algorithm=b"ssh-ed25519"), "expected Ed25519, ECDSA or RSA"),
        (make_signature(P256, b"said", trailing=b"x"), "bytes after its end"),
        (b"", "is not an SSH signature"),
        (make_signature(P256, b"said").replace(b"BEGIN SSH", b"BEGIN"), "is not an SSH signature"),
        (b"-----BEGIN SSH SIGNATURE-----\n!\n-----END SSH SIGNATURE-----", "not base64"),
        (armor(b"SSHSIG\0\0\0\1\0\0\0\x99x"), "a field is cut short"),
        (armor(b"x" * 20000), "is not an SSH signature"),
        (make_signature(P256, b"said") + b"\n" * 20000, "is not an SSH signature"),
    ],
)
def test_invalid_sshsig_is_rejected(proof: bytes, message: str) -> None:
    with pytest.raises(TrustError) as caught:
        check_sshsig(proof, b"said", namespace=SPACE, fingerprint=fingerprint(P256))

    assert message in str(caught.value)


def test_sshsig_with_invalid_key_is_rejected() -> None:
    for key, message in ((b"\0\0\0\x03", "cut short"), (encode_string(b"ssh-what"), "is damaged")):
        blob = b"SSHSIG\0\0\0\1" + b"".join(
            map(
                encode_string,
                (key, SPACE.encode(), b"", b"sha256", encode_string(b"x") + encode_string(b"y")),
            )
        )
        print_ = "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
        with pytest.raises(TrustError, match=message):
            check_sshsig(armor(blob), b"", namespace=SPACE, fingerprint=print_)


def test_damaged_sshsig_never_crashes() -> None:
    dice = random.Random(4)  # noqa: S311
    for key in (P256, ED):
        good = make_signature(key, b"said")
        original = body(good)
        refused = 0
        for _ in range(500):
            data = bytearray(good)
            data[dice.randrange(len(data))] = dice.randrange(256)
            try:
                check_sshsig(bytes(data), b"said", namespace=SPACE, fingerprint=fingerprint(key))
            except TrustError:
                refused += 1
                continue
            # What base64 leaves open: a line break elsewhere, or the last character's spare bits.
            assert body(bytes(data)) == original
        assert refused > 450
