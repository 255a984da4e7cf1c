"""``hardpan ledger``: the append-only record of evidence."""

import click

from hardpan.cli.ledger import query, write


@click.group()
def ledger() -> None:
    """Remember evidence: an append-only, hash-chained record of scans."""


for _command in (
    write.add,
    write.export,
    write.head,
    write.import_,
    write.verify,
    query.check,
    query.diff,
    query.expiring_,
    query.history,
    query.list_,
):
    ledger.add_command(_command)
