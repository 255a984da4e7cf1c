"""``hardpan keys``: make signing keys and a policy that trusts them; show a key."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click

from hardpan import clock
from hardpan.errors import InputError
from hardpan.files import canonical_json, write_atomic
from hardpan.signing import ALG, load_public, new_signer

_ROLES = ("scan", "build")
_YEARS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Where a new set of keys lies."""

    scan: Path
    """Private key that signs evidence."""

    build: Path
    """Private key that signs image provenance."""

    policy: Path
    """``trust.yaml`` that trusts both, each for its own role."""


def new_keys(
    folder: Path, *, now: datetime, host_keys: tuple[str, ...] = (), passphrase: Path | None = None
) -> KeyRing:
    """A scan key, a build key and a policy for them in ``folder``.

    Raises:
        InputError: one of the files is there already.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    policy = folder / "trust.yaml"
    refuse_existing(policy, *(folder / f"{r}.{s}" for r in _ROLES for s in ("pem", "pub")))
    for role in _ROLES:
        new_signer(folder / f"{role}.pem", passphrase_file=passphrase)
    write_atomic(policy, _policy(now, host_keys))
    return KeyRing(scan=folder / "scan.pem", build=folder / "build.pem", policy=policy)


@click.group()
def keys() -> None:
    """Make signing keys, and show them."""


@keys.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="Lock the private keys with the first line of this file (mode 0600).",
)
def new(folder: Path, passphrase_file: Path | None) -> None:
    """Make a scan key, a build key and a trust.yaml in FOLDER."""
    made = new_keys(folder, now=clock.now(), passphrase=passphrase_file)
    for path in (made.scan, made.build, made.policy):
        click.echo(f"wrote {path}", err=True)
    click.echo(str(made.policy))


@keys.command()
@click.argument("key", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def show(key: Path, as_json: bool) -> None:
    """Print the fingerprint of KEY, a public key (*.pub)."""
    public = load_public(key)
    facts = {"alg": ALG, "sha256": public.sha256, "hint": public.hint}
    if as_json:
        click.echo(canonical_json(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name:<7} {value}")


def refuse_existing(*paths: Path) -> None:
    """Pass if none of ``paths`` is there.

    Raises:
        InputError: one is.
    """
    for path in paths:
        if path.exists() or path.is_symlink():
            raise InputError(f"{path}: is there already", hint="keys are never overwritten")


def _policy(now: datetime, host_keys: tuple[str, ...]) -> str:
    until = now + timedelta(days=365 * _YEARS)
    lines = [
        "# Whom and what 'hardpan verify' trusts. Keep it apart from the evidence.",
        "version: 1",
    ]
    lines.append("keys:")
    for role in _ROLES:
        lines += [
            f"  - id: {role}",
            f"    role: {role}",
            f"    alg: {ALG}",
            f"    spki: {role}.pub",
            f"    not_before: {clock.rfc3339(now)}",
            f"    not_after: {clock.rfc3339(until)}",
        ]
    if host_keys:
        lines += ["target:", "  host_keys:", *(f"    - {k}" for k in host_keys)]
    lines += ["# More than this is an answer (exit 1), not broken trust.", "max_open:"]
    lines += ["  high: 0"]
    return "\n".join(lines) + "\n"
