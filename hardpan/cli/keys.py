"""``hardpan keys``: make signing keys and a policy that trusts them; show a key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from hardpan.cli.key_options import passphrase_options, passphrase_source
from hardpan.core import clock
from hardpan.core.console import print_document, print_json, print_line, print_message, stderr
from hardpan.core.errors import InputError, UsageError
from hardpan.core.files import write_atomic
from hardpan.signing import ALGORITHMS, DEFAULT_ALGORITHM, create_signer, load_public_ref

_ROLES = ("scan", "build")
_PQ_ROLE = "scan-pq"
_VALIDITY_YEARS = 2
_ALGORITHM_BY_SHORT_NAME = {x.cli_name: x for x in ALGORITHMS.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """Where a new set of keys lies."""

    scan: Path
    """Private key that signs evidence."""

    build: Path
    """Private key that signs image provenance."""

    policy: Path
    """``trust.yaml`` that trusts all of them, each for its own role."""

    pq: Path | None = None
    """Private key that signs the second envelope; None where none was asked for."""


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


@click.group()
def keys() -> None:
    """Make signing keys, and show them."""


@keys.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--alg",
    "algs",
    multiple=True,
    type=click.Choice(list(_ALGORITHM_BY_SHORT_NAME)),
    default=[ALGORITHMS[DEFAULT_ALGORITHM].cli_name],
    show_default=True,
    help="Of scan and build key; ml-dsa-*, alone or as a second --alg, makes a scan-pq key.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="Lock the private keys with the first line of this file (mode 0600).",
)
def new(folder: Path, algs: Sequence[str], passphrase_file: Path | None) -> None:
    """Make a scan key, a build key and a trust.yaml in FOLDER.

    With --alg ml-dsa-65 or ml-dsa-87 alone: a scan-pq key, and the lines to add to the
    trust.yaml that is there.
    """
    algorithms = [_ALGORITHM_BY_SHORT_NAME[a] for a in algs]
    pq = [a.name for a in algorithms if a.is_post_quantum]
    classical = [a.name for a in algorithms if not a.is_post_quantum]
    if len(pq) > 1 or len(classical) > 1:
        raise UsageError(f"--alg {' --alg '.join(algs)}: expected one of each kind at most")
    if not classical:
        path, lines = create_pq_key(folder, alg=pq[0], now=clock.now(), passphrase=passphrase_file)
        print_message(stderr, f"wrote {path}; add these lines to 'keys:' of trust.yaml")
        print_document(lines.encode())
        return
    key_files = create_keys(
        folder,
        now=clock.now(),
        passphrase=passphrase_file,
        alg=classical[0],
        pq_alg="".join(pq),
    )
    for path_written in (key_files.scan, key_files.build, key_files.pq, key_files.policy):
        if path_written is not None:
            print_message(stderr, f"wrote {path_written}")
    print_line(str(key_files.policy))


@keys.command()
@click.argument("key")
@passphrase_options("", "The first line of this file opens an openssl:FILE that is locked.")
@click.option("--pem", is_flag=True, help="Print the public key alone, for a *.pub file.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def show(key: str, pem: bool, as_json: bool, **options: Any) -> None:
    """Print what a policy needs to know of KEY.

    KEY is a public key (*.pub), or as for 'scan --key': openssl:FILE, pkcs11:URI, tpm:HANDLE.
    Tokens and TPMs are asked for no PIN.
    """
    public = load_public_ref(key, passphrase_source=passphrase_source(options))
    facts = {"alg": public.alg, "sha256": public.sha256, "hint": public.hint}
    if pem:
        print_document(public.pem.encode())
        return
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        print_line(f"{name:<7} {value}")


def refuse_existing(*paths: Path) -> None:
    """Pass if none of ``paths`` is there.

    Raises:
        InputError: one is.
    """
    for path in paths:
        if path.exists() or path.is_symlink():
            raise InputError(f"{path}: is there already", hint="keys are never overwritten")


def _format_policy(algs: dict[str, str], now: datetime, host_keys: tuple[str, ...]) -> str:
    lines = [
        "# Whom and what 'hardpan verify' trusts. Keep it apart from the evidence.",
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
