"""``hardpan keys``: create signing keys and a policy that trusts them; show a key."""

from collections.abc import Sequence
from pathlib import Path

import click

from hardpan.cli.key_options import passphrase_options, passphrase_source
from hardpan.core import clock
from hardpan.core.console import print_document, print_json, print_line, print_message, stderr
from hardpan.core.errors import UsageError
from hardpan.signing import ALGORITHMS, DEFAULT_ALGORITHM, load_public_ref
from hardpan.workflow.key_set import create_keys, create_pq_key

_ALGORITHM_BY_SHORT_NAME = {x.cli_name: x for x in ALGORITHMS.values()}


@click.group()
def keys() -> None:
    """Create and show signing keys."""


@keys.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--alg",
    "algs",
    multiple=True,
    type=click.Choice(list(_ALGORITHM_BY_SHORT_NAME)),
    default=[ALGORITHMS[DEFAULT_ALGORITHM].cli_name],
    show_default=True,
    help="Algorithm of scan and build key; ml-dsa-* (alone or second) creates a scan-pq key.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="Encrypt the private keys with the first line of this file (mode 0600).",
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
@passphrase_options("", "File whose first line is the passphrase of an encrypted openssl:FILE.")
@click.option("--pem", is_flag=True, help="Print only the public key, for a *.pub file.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def show(
    key: str, passphrase_file: Path | None, passphrase_env: str, pem: bool, as_json: bool
) -> None:
    """Print the algorithm and fingerprint of KEY, as a policy needs them.

    KEY is a public key (*.pub) or a key reference as in 'scan --key': openssl:FILE, pkcs11:URI,
    tpm:HANDLE. No PIN is needed.
    """
    public = load_public_ref(
        key, passphrase_source=passphrase_source(passphrase_file, passphrase_env)
    )
    facts = {"alg": public.alg, "sha256": public.sha256, "hint": public.hint}
    if pem:
        print_document(public.pem.encode())
        return
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        print_line(f"{name:<7} {value}")
