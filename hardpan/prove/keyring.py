"""The keys of a run: the operator's SSH key and the two signing keys.

Given by a person, or made once in the cache folder so that a repeated run finds
the same ones. Those in the cache are for trials: nobody else should trust them.
"""

from dataclasses import dataclass, field
from pathlib import Path

from builder.receipts import Access
from hardpan import clock
from hardpan.errors import InputError
from hardpan.files import write_atomic
from hardpan.process import run
from hardpan.signing import Signer, Unlock, load_pq_signer, load_signer
from scanners.commands.keys import new_keys
from scanners.evidence.trust import Trust, load_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Who signs, and the policy that trusts them."""

    scan: Signer
    build: Signer
    policy: Path
    pq: Signer | None = None
    """Signs the second, post-quantum envelope; None for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Keys that take the place of those in the folder; None: the folder's."""

    scan: str | None = None
    build: str | None = None
    pq: str | None = None
    unlock: Unlock = field(default_factory=Unlock)
    """Opens all of them, those in the folder too."""


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


def signing(
    folder: Path | None, cache: Path, out: Path, given: References | None = None
) -> KeyRing:
    """The signing keys of ``folder`` (see ``hardpan keys new``), their policy copied to ``out``.

    Raises:
        InputError: a key is missing, readable by others, locked, or not trusted
            by the policy, which is to be known before a build, not after it.
    """
    given = given or References()
    if folder is None:
        folder = cache / "keys"
        if not (folder / "trust.yaml").is_file():
            new_keys(folder, now=clock.now())
    second: str | Path | None = given.pq
    if second is None and (folder / "scan-pq.pem").is_file():
        second = folder / "scan-pq.pem"
    ring = KeyRing(
        scan=load_signer(given.scan or folder / "scan.pem", unlock=given.unlock),
        build=load_signer(given.build or folder / "build.pem", unlock=given.unlock),
        pq=None if second is None else load_pq_signer(second, unlock=given.unlock),
        policy=out / "trust.yaml",
    )
    source = folder / "trust.yaml"
    trust = load_policy(source)
    _need_trust(ring, trust, source)
    write_atomic(ring.policy, source.read_text("utf-8"))
    for key, public in trust.keys:
        if Path(key.spki).name == key.spki:
            write_atomic(out / key.spki, public.pem)
    return ring


def _need_trust(ring: KeyRing, trust: Trust, policy: Path) -> None:
    for role, signer in (("scan", ring.scan), ("build", ring.build), ("scan-pq", ring.pq)):
        if signer is None or any(p == signer.public for _, p in trust.role(role)):
            continue
        raise InputError(
            f"{policy}: no key of role {role} is the one that would sign "
            f"(sha256:{signer.public.sha256})",
            hint="add it: 'hardpan keys show --pem KEY' writes its public half",
        )
