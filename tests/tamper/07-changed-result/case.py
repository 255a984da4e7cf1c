"""A result changed under the old signature."""

import json

from tests.tamper.kit import Evidence, b64


def _better(w):
    statement = w.statement()
    statement["predicate"]["results"]["counts"].update({"fail": 0, "pass": 3})
    return json.dumps(statement).encode()


def _both(w):
    files = w.bundled(lambda b: b["dsseEnvelope"].update(payload=b64(_better(w))))
    return Evidence(files={**files, "statement.json": _better(w)})


VARIANTS = {
    "twin": lambda w: Evidence(files=w.good),
    "in the bundle and its copy": _both,
    "in the copy alone": lambda w: Evidence(files={**w.good, "statement.json": _better(w)}),
}
