"""Statement and files disagree."""

import base64
import json

from hardpan.files import sha256_bytes
from hardpan.signing import sign
from scanners.evidence.bindings import OSCAL, TEST_RESULT
from scanners.evidence.oscal_statement import RESULTS, dsse, statement_about
from tests.tamper.kit import Evidence, canonical_json


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


def _oscal(w, name, sha256, by=None):
    made = dsse(sign(statement_about(name, sha256), by or w.scan))
    return Evidence(files={**w.good, OSCAL: made})


def _digest(w, name):
    return sha256_bytes(w.good[name])


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
        files={**w.good, TEST_RESULT: w.made(signer=w.evil)[TEST_RESULT]}
    ),
    "the OSCAL statement about another file": lambda w: _oscal(
        w, RESULTS, _digest(w, "findings.json")
    ),
    "the OSCAL statement under another name": lambda w: _oscal(w, "x.json", _digest(w, RESULTS)),
    "the OSCAL statement by another key": lambda w: _oscal(w, RESULTS, _digest(w, RESULTS), w.evil),
    "the ARF says something else": lambda w: Evidence(files=w.relisted({"arf-1.xml": b"<arf/>"})),
}
