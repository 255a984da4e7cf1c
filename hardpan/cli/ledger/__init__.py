"""``hardpan ledger``: the append-only record of evidence."""

import click

from hardpan.cli.ledger import query, write


@click.group()
def ledger() -> None:
    """Keep an append-only, hash-chained record of verified evidence."""


for _command in (
    write.add,
    write.export,
    write.checkpoint,
    write.import_,
    write.verify,
    query.check,
    query.diff,
    query.expiring_,
    query.history,
    query.list_,
):
    ledger.add_command(_command)
