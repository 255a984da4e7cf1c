"""``hardpan hash-password``: hashes a password for a profile."""

import click

from hardpan.builder.ai_service.payload import accounts
from hardpan.core.console import print_line, prompt_secret
from hardpan.core.errors import InputError

_MIN_CHARS = 12


@click.command("hash-password")
def hash_password() -> None:
    """Prompt for a password and print its hash for ai_service.users[].password_hash."""
    typed = prompt_secret("password", repeat="again")
    if len(typed) < _MIN_CHARS:
        raise InputError(f"expected {_MIN_CHARS} characters or more, got {len(typed)}")
    print_line(accounts.hash_password(typed))
