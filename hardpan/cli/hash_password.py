"""``hardpan password``: the hash that a profile holds in place of a password."""

import click

from hardpan.builder.ai_service.payload.accounts import hash_password
from hardpan.core.console import print_line, prompt_secret
from hardpan.core.errors import InputError

_MIN_CHARS = 12


@click.command()
def password() -> None:
    """Ask for a password twice and print its hash for ai_service.users[].password_hash."""
    typed = prompt_secret("password", repeat="again")
    if len(typed) < _MIN_CHARS:
        raise InputError(f"expected {_MIN_CHARS} characters or more, found {len(typed)}")
    print_line(hash_password(typed))
