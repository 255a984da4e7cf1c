"""The keys of a run: the operator's SSH key and the two signing keys.

Options name them, or they are generated once in the data folder and used by later runs. Generated
keys are for trials: nobody else should trust them.
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
    """The signers of a run and the policy that trusts them."""

    scan: Signer
    build: Signer
    policy: Path
    pq: Signer | None = None
    """Signs the second, post-quantum envelope; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRefs:
    """Keys that replace those of the keys folder; None uses the folder's."""

    scan: str | None = None
    build: str | None = None
    pq: str | None = None
    passphrase_source: PassphraseSource = field(default_factory=PassphraseSource)
    """Where the passphrase of every key comes from, those of the folder included."""


def ensure_operator_key(user: str, key_file: Path | None, data_folder: Path) -> SshAccess:
    """Return the SSH key of the build user; generate one if there is none.

    Raises:
        InputError: the key or its public half cannot be read.
        ToolError: ssh-keygen is missing or fails.
    """
    access = find_operator_key(user, key_file, data_folder)
    if access is None:
        new_key = _generated_key_path(data_folder)
        new_key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        access = create_access(user, new_key)
    return access


def create_access(user: str, key_file: Path) -> SshAccess:
    """Generate an SSH key in ``key_file`` for ``user``.

    Raises:
        ToolError: ssh-keygen is missing or fails.
    """
    # P-256: sshd in FIPS mode takes no Ed25519.
    argv = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-C", "hardpan"]
    run([*argv, "-f", key_file], timeout_s=60)
    return _read_access(user, key_file)


def find_operator_key(user: str, key_file: Path | None, data_folder: Path) -> SshAccess | None:
    """Return the SSH key of the build user; None if ``ensure_operator_key`` would generate one.

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
            f"{key_file}: no such SSH private key", hint="create one: ssh-keygen -t ecdsa -b 256"
        )
    require_private(key_file)
    process = run(
        ["ssh-keygen", "-y", "-P", "", "-f", key_file], timeout_s=60, ok=tuple(range(256))
    )
    if process.returncode:
        raise InputError(
            f"{key_file}: expected an SSH private key without a passphrase, that only you can read;"
            f" ssh-keygen reports: {(process.stderr.strip() or 'nothing').splitlines()[-1]}",
            hint="create one for builds: ssh-keygen -t ecdsa -b 256",
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
    """Return the keys of ``keys_folder`` (see ``hardpan keys new``), or generated trial keys.

    Their policy is copied to ``output_folder``.

    Raises:
        InputError: a key is missing, readable by others, locked, or not trusted
            by the policy: reported before a build, not after it.
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
    """Return the signing keys without writing; None if ``ensure_signing_keys`` would generate some.

    Raises:
        InputError: as for ``ensure_signing_keys``.
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
            f"{policy_file}: no key of role {role} matches the signing key "
            f"(sha256:{signer.public.sha256})",
            hint="add it: 'hardpan keys show --pem KEY' prints the public key",
        )
