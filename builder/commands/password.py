"""``hardpan password``: the hash that a profile holds in place of a password."""

import click

from hardpan.builder.layers.sovereign.accounts import password_hash
from hardpan.errors import InputError
from hardpan.terminal import ask_secret, print_line

_LEAST = 12


@click.command()
def password() -> None:
    """Ask for a password twice and print its hash for sovereign.users[].password_hash."""
    typed = ask_secret("password", repeat="again")
    if len(typed) < _LEAST:
        raise InputError(f"expected {_LEAST} characters or more, found {len(typed)}")
    print_line(password_hash(typed))
