"""The keys of a run: the operator's SSH key and the two signing keys.

Given by a person, or made once in the cache folder so that a repeated run finds
the same ones. Those in the cache are for trials: nobody else should trust them.
"""

from dataclasses import dataclass
from pathlib import Path

from builder.receipts import Access
from hardpan import clock
from hardpan.errors import InputError
from hardpan.files import write_atomic
from hardpan.process import run
from hardpan.signing import Signer, load_public, load_signer
from scanners.commands.keys import new_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Who signs, and the policy that trusts them."""

    scan: Signer
    build: Signer
    policy: Path


def operator(user: str, key: Path | None, cache: Path) -> Access:
    """The SSH key that the build user is reached with.

    Raises:
        InputError: the key or its public half cannot be read.
        ToolError: ssh-keygen is missing or fails.
    """
    if key is None:
        key = cache / "operator" / "id_ecdsa"
        if not key.is_file():
            key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # P-256: sshd in FIPS mode takes no Ed25519.
            argv = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-C", "hardpan"]
            run([*argv, "-f", key], timeout_s=60)
    if not key.is_file():
        raise InputError(f"{key}: no such SSH private key")
    public = run(["ssh-keygen", "-y", "-P", "", "-f", key], timeout_s=60).stdout.split()
    return Access(
        user=user, private_key=key, public_key=f"{public[0]} {public[1]} hardpan-operator"
    )


def signing(folder: Path | None, cache: Path, out: Path, passphrase: Path | None = None) -> KeyRing:
    """The signing keys of ``folder`` (see ``hardpan keys new``), their policy copied to ``out``.

    Raises:
        InputError: a key is missing, readable by others, or locked.
    """
    if folder is None:
        folder = cache / "keys"
        if not (folder / "trust.yaml").is_file():
            new_keys(folder, now=clock.now())
    ring = KeyRing(
        scan=load_signer(folder / "scan.pem", passphrase_file=passphrase),
        build=load_signer(folder / "build.pem", passphrase_file=passphrase),
        policy=out / "trust.yaml",
    )
    text = (folder / "trust.yaml").read_text("utf-8")
    write_atomic(ring.policy, text)
    for role in ("scan", "build"):
        write_atomic(out / f"{role}.pub", load_public(folder / f"{role}.pub").pem)
    return ring
