"""An old good report is presented again."""

from datetime import timedelta

from hardpan.scanners.evidence.statement.predicate_extensions import ChainLink
from tests.tamper.kit import BEFORE, FINISHED, Evidence


def _after(kit, sequence, digest=BEFORE):
    chain = ChainLink(sequence=sequence, previous_statement_sha256=digest)
    return Evidence(files=kit.sign_scan(chain=chain))


VARIANTS = {
    "control": lambda kit: _after(kit, 2),
    "exactly at the maximum age": lambda kit: Evidence(
        files=kit.valid_files, now=FINISHED + timedelta(hours=24)
    ),
    "one second too old": lambda kit: Evidence(
        files=kit.valid_files, now=FINISHED + timedelta(hours=24, seconds=1)
    ),
    "another nonce": lambda kit: Evidence(files=kit.sign_scan(nonce="m" * 16)),
    "no nonce": lambda kit: Evidence(files=kit.sign_scan(nonce="")),
    "the same nonce again": lambda kit: Evidence(files=kit.valid_files),
    "an earlier statement": lambda kit: _after(kit, 1, None),
    "a gap": lambda kit: _after(kit, 3),
    "follows another statement": lambda kit: _after(kit, 2, "0" * 64),
    "no chain position": lambda kit: Evidence(
        files=kit.resign_changed(lambda s: s["predicate"].update(chain=None))
    ),
}
