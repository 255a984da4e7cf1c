"""``hardpan ledger``: the append-only record of evidence."""

import click

from hardpan.scanners.commands import ledger_keep, ledger_read


@click.group()
def ledger() -> None:
    """Remember evidence: an append-only, hash-chained record of scans."""


for _command in (
    ledger_keep.add,
    ledger_keep.export,
    ledger_keep.head,
    ledger_keep.import_,
    ledger_keep.verify,
    ledger_read.check,
    ledger_read.diff,
    ledger_read.expiring_,
    ledger_read.history,
    ledger_read.list_,
):
    ledger.add_command(_command)
