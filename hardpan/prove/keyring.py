"""The keys of a run: the operator's SSH key and the two signing keys.

Given by a person, or generated once in the user's data folder so that a repeated run finds
the same ones. Generated keys are for trials: nobody else should trust them.
"""

from dataclasses import dataclass, field
from pathlib import Path

from hardpan import clock
from hardpan.builder.receipts import Access
from hardpan.errors import InputError
from hardpan.files import write_atomic
from hardpan.process import run
from hardpan.scanners.commands.keys import new_keys
from hardpan.scanners.evidence.trust import Trust, load_policy
from hardpan.secret_files import require_private
from hardpan.signing import Signer, Unlock, load_pq_signer, load_signer


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


def operator(user: str, key: Path | None, data: Path) -> Access:
    """The SSH key that the build user is reached with; made where there is none.

    Raises:
        InputError: the key or its public half cannot be read.
        ToolError: ssh-keygen is missing or fails.
    """
    found = operator_there(user, key, data)
    if found is None:
        made = _own_key(data)
        made.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # P-256: sshd in FIPS mode takes no Ed25519.
        argv = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-C", "hardpan"]
        run([*argv, "-f", made], timeout_s=60)
        found = _access(user, made)
    return found


def operator_there(user: str, key: Path | None, data: Path) -> Access | None:
    """The same where it is there already; None where ``operator`` would make one.

    Raises:
        InputError: the key or its public half cannot be read.
        ToolError: ssh-keygen is missing or hangs.
    """
    if key is None and not _own_key(data).is_file():
        return None
    return _access(user, key or _own_key(data))


def _own_key(data: Path) -> Path:
    return data / "operator" / "id_ecdsa"


def _access(user: str, key: Path) -> Access:
    if not key.is_file():
        raise InputError(
            f"{key}: no such SSH private key", hint="ssh-keygen -t ecdsa -b 256 makes one"
        )
    require_private(key)
    said = run(["ssh-keygen", "-y", "-P", "", "-f", key], timeout_s=60, ok=tuple(range(256)))
    if said.returncode:
        raise InputError(
            f"{key}: expected an SSH private key without a passphrase, which you alone can read;"
            f" ssh-keygen says: {(said.stderr.strip() or 'nothing').splitlines()[-1]}",
            hint="ssh-keygen -t ecdsa -b 256 makes one for builds",
        )
    public = said.stdout.split()
    return Access(
        user=user, private_key=key, public_key=f"{public[0]} {public[1]} hardpan-operator"
    )


def signing(folder: Path | None, data: Path, out: Path, given: References | None = None) -> KeyRing:
    """The signing keys of ``folder`` (see ``hardpan keys new``), their policy copied to ``out``.

    Raises:
        InputError: a key is missing, readable by others, locked, or not trusted
            by the policy, which is to be known before a build, not after it.
    """
    own = data / "keys"
    if folder is None and not _has_keys(own):
        new_keys(own, now=clock.now())
    ring, trust = _loaded(folder or own, out, given or References())
    write_atomic(ring.policy, (folder or own).joinpath("trust.yaml").read_text("utf-8"))
    for key, public in trust.keys:
        if Path(key.spki).name == key.spki:
            write_atomic(out / key.spki, public.pem)
    return ring


def signing_there(
    folder: Path | None, data: Path, out: Path, given: References | None = None
) -> KeyRing | None:
    """The same without writing anything; None where ``signing`` would make keys for trials.

    Raises:
        InputError: as for ``signing``.
    """
    if folder is None and not _has_keys(data / "keys"):
        return None
    return _loaded(folder or data / "keys", out, given or References())[0]


def _has_keys(folder: Path) -> bool:
    return (folder / "trust.yaml").is_file()


def _loaded(folder: Path, out: Path, given: References) -> tuple[KeyRing, Trust]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of keys")
    second: str | Path | None = given.pq
    if second is None and (folder / "scan-pq.pem").is_file():
        second = folder / "scan-pq.pem"
    ring = KeyRing(
        scan=load_signer(given.scan or folder / "scan.pem", unlock=given.unlock),
        build=load_signer(given.build or folder / "build.pem", unlock=given.unlock),
        pq=None if second is None else load_pq_signer(second, unlock=given.unlock),
        policy=out / "trust.yaml",
    )
    trust = load_policy(folder / "trust.yaml")
    _need_trust(ring, trust, folder / "trust.yaml")
    return ring, trust


def _need_trust(ring: KeyRing, trust: Trust, policy: Path) -> None:
    for role, signer in (("scan", ring.scan), ("build", ring.build), ("scan-pq", ring.pq)):
        if signer is None or any(p == signer.public for _, p in trust.role(role)):
            continue
        raise InputError(
            f"{policy}: no key of role {role} is the one that would sign "
            f"(sha256:{signer.public.sha256})",
            hint="add it: 'hardpan keys show --pem KEY' writes its public half",
        )
