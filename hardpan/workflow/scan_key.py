"""The default key of ``hardpan scan``: in the keys folder of the user, created on first use."""

from dataclasses import dataclass
from pathlib import Path

from hardpan.core import clock
from hardpan.core.errors import InputError
from hardpan.scanners.evidence.policy.trust_policy import load_trust_policy
from hardpan.signing import load_public_key
from hardpan.workflow.key_set import create_keys, create_scan_policy

_POLICY = "scan-trust.yaml"
_KEYS_POLICY = "trust.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanKey:
    """Paths of the default key."""

    private_key: Path
    public_key: Path
    policy: Path
    """Trust policy for evidence of this key, without thresholds."""

    is_new: bool
    """True if it was created now."""


def ensure_scan_key(data_folder: Path) -> ScanKey:
    """Return the default key and its policy; create them if they are missing.

    The folder is the one of ``build`` and ``prove``, so that a machine has one scan key.

    Raises:
        InputError: the folder has only a part of the files, or its policy does not trust the key.
        ToolError: the folder cannot be written.
    """
    folder = data_folder / "keys"
    private_key, policy = folder / "scan.pem", folder / _POLICY
    public_key = private_key.with_suffix(".pub")
    is_new = not private_key.exists()
    if is_new:
        create_keys(folder, now=clock.now())
    if not policy.exists():
        create_scan_policy(policy, alg=load_public_key(public_key).alg, now=clock.now())
    _require_trusted(policy, public_key)
    return ScanKey(
        private_key=private_key,
        public_key=public_key,
        policy=policy,
        is_new=is_new,
    )


def find_policy(key: str) -> Path | None:
    """Return the policy that ``hardpan keys new`` wrote next to a key file; None without one."""
    path = Path(key).with_name(_KEYS_POLICY)
    return path if Path(key).is_file() and path.is_file() else None


def _require_trusted(policy: Path, public_key: Path) -> None:
    public = load_public_key(public_key)
    if any(p == public for _, p in load_trust_policy(policy).keys_for_role("scan")):
        return
    raise InputError(
        f"{policy}: expected a policy that trusts {public_key}, got other keys",
        hint=f"remove {policy}: the next scan writes it again",
    )
