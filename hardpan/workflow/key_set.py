"""Create a set of signing keys and a trust policy that trusts them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hardpan.core import clock
from hardpan.core.errors import InputError
from hardpan.core.files import write_atomic
from hardpan.signing import DEFAULT_ALGORITHM, create_signer

SCAN_ROLE = "scan"
_ROLES = (SCAN_ROLE, "build")
_PQ_ROLE = "scan-pq"
_VALIDITY_YEARS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """Paths of a new set of keys."""

    scan: Path
    """Private key that signs evidence."""

    build: Path
    """Private key that signs image provenance."""

    policy: Path
    """``trust.yaml`` that trusts all of them, each for its own role."""

    pq: Path | None = None
    """Private key that signs the second envelope; None if it was not requested."""


def create_keys(
    folder: Path,
    *,
    now: datetime,
    host_keys: tuple[str, ...] = (),
    passphrase: Path | None = None,
    alg: str = DEFAULT_ALGORITHM,
    pq_alg: str = "",
) -> KeyFiles:
    """A scan key, a build key, with ``pq_alg`` a scan-pq key, and a policy for them in ``folder``.

    Raises:
        InputError: one of the files is there already.
        ToolError: this machine cannot do an algorithm.
    """
    algs = {**dict.fromkeys(_ROLES, alg), **({_PQ_ROLE: pq_alg} if pq_alg else {})}
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    policy = folder / "trust.yaml"
    refuse_existing(policy, *(folder / f"{r}.{s}" for r in algs for s in ("pem", "pub")))
    for role, name in algs.items():
        create_signer(folder / f"{role}.pem", alg=name, passphrase_file=passphrase)
    write_atomic(policy, _format_policy(algs, now, host_keys))
    return KeyFiles(
        scan=folder / "scan.pem",
        build=folder / "build.pem",
        policy=policy,
        pq=folder / f"{_PQ_ROLE}.pem" if pq_alg else None,
    )


def create_pq_key(
    folder: Path, *, alg: str, now: datetime, passphrase: Path | None = None
) -> tuple[Path, str]:
    """A scan-pq key in ``folder``, and the lines that make an existing policy trust it.

    Raises:
        InputError: it is there already.
        ToolError: this machine cannot do ``alg``.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{_PQ_ROLE}.pem"
    create_signer(path, alg=alg, passphrase_file=passphrase)
    return path, "\n".join(_format_key_entry(_PQ_ROLE, alg, now)) + "\n"


def refuse_existing(*paths: Path) -> None:
    """Pass if none of ``paths`` is there.

    Raises:
        InputError: one is.
    """
    for path in paths:
        if path.exists() or path.is_symlink():
            raise InputError(f"{path}: is there already", hint="keys are never overwritten")


def create_scan_policy(path: Path, *, alg: str, now: datetime) -> None:
    """Write a policy that trusts ``scan.pub`` in its folder, without limits of open rules."""
    lines = [
        "# Trust in evidence that 'hardpan scan' signed with the key next to this file.",
        "# It limits no findings; add max_open for that.",
        "version: 1",
        "keys:",
        *_format_key_entry(SCAN_ROLE, alg, now),
    ]
    write_atomic(path, "\n".join(lines) + "\n")


def _format_policy(algs: dict[str, str], now: datetime, host_keys: tuple[str, ...]) -> str:
    lines = [
        "# What 'hardpan verify' trusts and requires. Keep it apart from the evidence.",
        "version: 1",
        "keys:",
    ]
    for role, alg in algs.items():
        lines += _format_key_entry(role, alg, now)
    if _PQ_ROLE in algs:
        lines += ["# Evidence without the second, post-quantum signature is refused."]
        lines += ["require_pq: true"]
    if host_keys:
        lines += ["target:", "  host_keys:", *(f"    - {k}" for k in host_keys)]
    lines += ["# More than this is an answer (exit 1), not broken trust.", "max_open:"]
    lines += ["  high: 0"]
    return "\n".join(lines) + "\n"


def _format_key_entry(role: str, alg: str, now: datetime) -> list[str]:
    until = now + timedelta(days=365 * _VALIDITY_YEARS)
    return [
        f"  - id: {role}",
        f"    role: {role}",
        f"    alg: {alg}",
        f"    spki: {role}.pub",
        f"    not_before: {clock.format_rfc3339(now)}",
        f"    not_after: {clock.format_rfc3339(until)}",
    ]
