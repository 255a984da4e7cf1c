"""Statement and files disagree."""

import base64
import json

from hardpan.signing import sign
from tests.tamper.kit import TEST_RESULT, Evidence, canonical_json


def _counts(w, **counts):
    return Evidence(files=w.changed(lambda s: s["predicate"]["results"]["counts"].update(counts)))


def _results(w, **fields):
    return Evidence(files=w.changed(lambda s: s["predicate"]["results"].update(fields)))


def _second(w):
    bundle = json.loads(w.good[TEST_RESULT])
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    statement["predicate"].update(result="PASSED", failedTests=[])
    files = {**w.good, TEST_RESULT: sign(canonical_json(statement), w.scan).bundle}
    return Evidence(files=files)


VARIANTS = {
    "twin": lambda w: Evidence(files=w.changed(lambda s: None)),
    "better counts": lambda w: _counts(w, fail=0, **{"pass": 3}),
    "a verdict dropped": lambda w: Evidence(
        files=w.changed(lambda s: s["predicate"]["results"]["counts"].pop("error"))
    ),
    "fewer rules than selected": lambda w: Evidence(files=w.findings(lambda f: f["rules"].pop())),
    "another score": lambda w: _results(w, score="99.00"),
    "a rule turned": lambda w: Evidence(
        files=w.findings(lambda f: f["rules"][1].update(verdict="pass"))
    ),
    "the second statement says more": _second,
    "the second statement by another key": lambda w: Evidence(
        files={
            **w.good,
            "evidence.test-result.sigstore.json": w.made(signer=w.evil)[
                "evidence.test-result.sigstore.json"
            ],
        }
    ),
    "the ARF says something else": lambda w: Evidence(files=w.relisted({"arf-1.xml": b"<arf/>"})),
}
