import base64
import hashlib
import random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from hardpan.errors import TrustError
from hardpan.signing import check_sshsig
from tests.tooling.sshsig import HostKey, armored, fingerprint, signature, string

P256: HostKey = ec.generate_private_key(ec.SECP256R1())
ED: HostKey = ed25519.Ed25519PrivateKey.generate()
RSA: HostKey = rsa.generate_private_key(65537, 2048)
SPACE = "hardpan-evidence"


def body(proof: bytes) -> bytes:
    return base64.b64decode("".join(proof.decode("ascii").splitlines()[1:-1]))


@pytest.mark.parametrize("key", [P256, ED, RSA], ids=["ecdsa", "ed25519", "rsa"])
def test_a_host_proves_that_it_holds_its_key(key: HostKey) -> None:
    for kind in (b"sha256", b"sha512"):
        proof = signature(key, b"said", kind=kind)
        check_sshsig(proof, b"said", namespace=SPACE, fingerprint=fingerprint(key))

        with pytest.raises(TrustError, match="is not a signature over this scan"):
            check_sshsig(proof, b"other", namespace=SPACE, fingerprint=fingerprint(key))


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (signature(ED, b"said"), "the host's proof is by key SHA256:"),
        (signature(P256, b"said", namespace=b"git"), "for another purpose than hardpan-evidence"),
        (signature(P256, b"said", reserved=b"x"), "the reserved field is not empty"),
        (signature(P256, b"said", version=2), "not SSHSIG version 1"),
        (signature(P256, b"said", kind=b"sha1"), "unknown hash"),
        (signature(P256, b"said", algorithm=b"ssh-ed25519"), "expected Ed25519, ECDSA or RSA"),
        (signature(P256, b"said", after=b"x"), "bytes after its end"),
        (b"", "is not an SSH signature"),
        (signature(P256, b"said").replace(b"BEGIN SSH", b"BEGIN"), "is not an SSH signature"),
        (b"-----BEGIN SSH SIGNATURE-----\n!\n-----END SSH SIGNATURE-----", "not base64"),
        (armored(b"SSHSIG\0\0\0\1\0\0\0\x99x"), "a field is cut short"),
        (armored(b"x" * 20000), "is not an SSH signature"),
        (signature(P256, b"said") + b"\n" * 20000, "is not an SSH signature"),
    ],
)
def test_a_proof_that_proves_nothing_is_refused(proof: bytes, said: str) -> None:
    with pytest.raises(TrustError) as caught:
        check_sshsig(proof, b"said", namespace=SPACE, fingerprint=fingerprint(P256))

    assert said in str(caught.value)


def test_a_key_that_is_none_is_refused() -> None:
    for key, said in ((b"\0\0\0\x03", "cut short"), (string(b"ssh-what"), "is damaged")):
        whole = b"SSHSIG\0\0\0\1" + b"".join(
            map(string, (key, SPACE.encode(), b"", b"sha256", string(b"x") + string(b"y")))
        )
        print_ = "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
        with pytest.raises(TrustError, match=said):
            check_sshsig(armored(whole), b"", namespace=SPACE, fingerprint=print_)


def test_a_damaged_proof_never_crashes() -> None:
    dice = random.Random(4)  # noqa: S311
    for key in (P256, ED):
        good = signature(key, b"said")
        told = body(good)
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
            assert body(bytes(data)) == told
        assert refused > 450
