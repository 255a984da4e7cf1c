"""A result changed under the old signature."""

import json

from tests.tamper.kit import Evidence, encode_base64


def _better(kit):
    statement = kit.read_statement()
    statement["predicate"]["results"]["counts"].update({"fail": 0, "pass": 3})
    return json.dumps(statement).encode()


def _both(kit):
    files = kit.with_changed_bundle(
        lambda b: b["dsseEnvelope"].update(payload=encode_base64(_better(kit)))
    )
    return Evidence(files={**files, "statement.json": _better(kit)})


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files),
    "in the bundle and its copy": _both,
    "in the copy alone": lambda kit: Evidence(
        files={**kit.valid_files, "statement.json": _better(kit)}
    ),
}
