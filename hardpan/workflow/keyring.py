"""The keys of a run: the operator's SSH key and the two signing keys.

Given by a person, or generated once in the user's data folder so that a repeated run finds
the same ones. Generated keys are for trials: nobody else should trust them.
"""

from dataclasses import dataclass, field
from pathlib import Path

from hardpan.builder.artifacts import SshAccess
from hardpan.core import clock
from hardpan.core.errors import InputError
from hardpan.core.files import write_atomic
from hardpan.core.process import run
from hardpan.core.secret_files import require_private
from hardpan.scanners.evidence.policy.trust_policy import ResolvedPolicy, load_trust_policy
from hardpan.signing import PassphraseSource, Signer, load_pq_signer, load_signer
from hardpan.workflow.key_set import create_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Who signs, and the policy that trusts them."""

    scan: Signer
    build: Signer
    policy: Path
    pq: Signer | None = None
    """Signs the second, post-quantum envelope; None for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRefs:
    """Keys that take the place of those in the folder; None: the folder's."""

    scan: str | None = None
    build: str | None = None
    pq: str | None = None
    passphrase_source: PassphraseSource = field(default_factory=PassphraseSource)
    """Opens all of them, those in the folder too."""


def ensure_operator_key(user: str, key_file: Path | None, data_folder: Path) -> SshAccess:
    """The SSH key that the build user is reached with; made where there is none.

    Raises:
        InputError: the key or its public half cannot be read.
        ToolError: ssh-keygen is missing or fails.
    """
    access = find_operator_key(user, key_file, data_folder)
    if access is None:
        new_key = _generated_key_path(data_folder)
        new_key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # P-256: sshd in FIPS mode takes no Ed25519.
        argv = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-C", "hardpan"]
        run([*argv, "-f", new_key], timeout_s=60)
        access = _read_access(user, new_key)
    return access


def find_operator_key(user: str, key_file: Path | None, data_folder: Path) -> SshAccess | None:
    """The same where it is there already; None where ``operator`` would make one.

    Raises:
        InputError: the key or its public half cannot be read.
        ToolError: ssh-keygen is missing or hangs.
    """
    if key_file is None and not _generated_key_path(data_folder).is_file():
        return None
    return _read_access(user, key_file or _generated_key_path(data_folder))


def _generated_key_path(data_folder: Path) -> Path:
    return data_folder / "operator" / "id_ecdsa"


def _read_access(user: str, key_file: Path) -> SshAccess:
    if not key_file.is_file():
        raise InputError(
            f"{key_file}: no such SSH private key", hint="ssh-keygen -t ecdsa -b 256 makes one"
        )
    require_private(key_file)
    process = run(
        ["ssh-keygen", "-y", "-P", "", "-f", key_file], timeout_s=60, ok=tuple(range(256))
    )
    if process.returncode:
        raise InputError(
            f"{key_file}: expected an SSH private key without a passphrase, which you alone can read;"
            f" ssh-keygen says: {(process.stderr.strip() or 'nothing').splitlines()[-1]}",
            hint="ssh-keygen -t ecdsa -b 256 makes one for builds",
        )
    public = process.stdout.split()
    return SshAccess(
        user=user, private_key=key_file, public_key=f"{public[0]} {public[1]} hardpan-operator"
    )


def ensure_signing_keys(
    keys_folder: Path | None,
    data_folder: Path,
    output_folder: Path,
    key_refs: KeyRefs | None = None,
) -> KeyRing:
    """The signing keys of ``folder`` (see ``hardpan keys new``), their policy copied to ``out``.

    Raises:
        InputError: a key is missing, readable by others, locked, or not trusted
            by the policy, which is to be known before a build, not after it.
    """
    generated_folder = data_folder / "keys"
    if keys_folder is None and not _has_keys(generated_folder):
        create_keys(generated_folder, now=clock.now())
    keys, policy = _load_keys(keys_folder or generated_folder, output_folder, key_refs or KeyRefs())
    write_atomic(
        keys.policy, (keys_folder or generated_folder).joinpath("trust.yaml").read_text("utf-8")
    )
    for key, public in policy.keys:
        if Path(key.spki).name == key.spki:
            write_atomic(output_folder / key.spki, public.pem)
    return keys


def find_signing_keys(
    keys_folder: Path | None,
    data_folder: Path,
    output_folder: Path,
    key_refs: KeyRefs | None = None,
) -> KeyRing | None:
    """The same without writing anything; None where ``signing`` would make keys for trials.

    Raises:
        InputError: as for ``signing``.
    """
    if keys_folder is None and not _has_keys(data_folder / "keys"):
        return None
    return _load_keys(keys_folder or data_folder / "keys", output_folder, key_refs or KeyRefs())[0]


def _has_keys(folder: Path) -> bool:
    return (folder / "trust.yaml").is_file()


def _load_keys(
    folder: Path, output_folder: Path, key_refs: KeyRefs
) -> tuple[KeyRing, ResolvedPolicy]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of keys")
    pq_key: str | Path | None = key_refs.pq
    if pq_key is None and (folder / "scan-pq.pem").is_file():
        pq_key = folder / "scan-pq.pem"
    keys = KeyRing(
        scan=load_signer(
            key_refs.scan or folder / "scan.pem", passphrase_source=key_refs.passphrase_source
        ),
        build=load_signer(
            key_refs.build or folder / "build.pem", passphrase_source=key_refs.passphrase_source
        ),
        pq=None
        if pq_key is None
        else load_pq_signer(pq_key, passphrase_source=key_refs.passphrase_source),
        policy=output_folder / "trust.yaml",
    )
    policy = load_trust_policy(folder / "trust.yaml")
    _require_trusted(keys, policy, folder / "trust.yaml")
    return keys, policy


def _require_trusted(keys: KeyRing, trust_policy: ResolvedPolicy, policy_file: Path) -> None:
    for role, signer in (("scan", keys.scan), ("build", keys.build), ("scan-pq", keys.pq)):
        if signer is None or any(p == signer.public for _, p in trust_policy.keys_for_role(role)):
            continue
        raise InputError(
            f"{policy_file}: no key of role {role} is the one that would sign "
            f"(sha256:{signer.public.sha256})",
            hint="add it: 'hardpan keys show --pem KEY' writes its public half",
        )
