"""Statement and files disagree."""

import base64
import json
from dataclasses import replace

from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.predicates.oscal_signing import (
    RESULTS_FILE,
    build_statement_for,
    extract_dsse,
)
from hardpan.scanners.evidence.statement.predicate_extensions import OSCAL, TEST_RESULT
from hardpan.signing import sign
from tests.tamper.kit import BUNDLE, Evidence, canonical_json


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
    made = extract_dsse(sign(build_statement_for(name, sha256), by or w.scan))
    return Evidence(files={**w.good, OSCAL: made})


def _other_form(w):
    """A file in a form whose digest is not the canonical one; all of it by the right key."""
    return Evidence(files=w.relisted({RESULTS_FILE: w.good[RESULTS_FILE].replace(b"{", b"{ ", 1)}))


def _second_scan_key(w):
    """Two keys may scan; the one that signed the statement must have signed this too."""
    keys = [*w.keys(), {**w.keys()[0], "id": "second", "spki": w.evil.public.pem}]
    evidence = _oscal(w, RESULTS_FILE, _digest(w, RESULTS_FILE), w.evil)
    return replace(evidence, policy={"keys": keys})


def _reworded(w, change):
    statement = json.loads(build_statement_for(RESULTS_FILE, _digest(w, RESULTS_FILE)))
    change(statement)
    return Evidence(files={**w.good, OSCAL: extract_dsse(sign(canonical_json(statement), w.scan))})


def _enveloped(w, change):
    envelope = json.loads(w.good[OSCAL])
    change(envelope)
    return Evidence(files={**w.good, OSCAL: json.dumps(envelope).encode()})


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
        w, RESULTS_FILE, _digest(w, "findings.json")
    ),
    "the OSCAL statement under another name": lambda w: _oscal(
        w, "x.json", _digest(w, RESULTS_FILE)
    ),
    "the OSCAL statement by another key": lambda w: _oscal(
        w, RESULTS_FILE, _digest(w, RESULTS_FILE), w.evil
    ),
    "the OSCAL statement by another scan key": _second_scan_key,
    "the OSCAL statement by the build key": lambda w: _oscal(
        w, RESULTS_FILE, _digest(w, RESULTS_FILE), w.build
    ),
    "the OSCAL statement about a second file": lambda w: _reworded(
        w, lambda s: s["subject"].append({"name": "x", "digest": {"sha256": "0" * 64}})
    ),
    "the OSCAL statement about nothing": lambda w: _reworded(w, lambda s: s.update(subject=[])),
    "the OSCAL statement of another tool": lambda w: _reworded(
        w, lambda s: s["predicate"].update(tool="other")
    ),
    "the main statement for the OSCAL one": lambda w: Evidence(
        files={**w.good, OSCAL: canonical_json(json.loads(w.good[BUNDLE])["dsseEnvelope"])}
    ),
    "a whole bundle for the OSCAL envelope": lambda w: Evidence(
        files={**w.good, OSCAL: w.good[TEST_RESULT]}
    ),
    "the OSCAL envelope signed twice": lambda w: _enveloped(
        w, lambda e: e["signatures"].append(e["signatures"][0])
    ),
    "the OSCAL envelope of another type": lambda w: _enveloped(
        w, lambda e: e.update(payloadType="application/json")
    ),
    "the OSCAL envelope with more in it": lambda w: _enveloped(w, lambda e: e.update(more=1)),
    "the OSCAL envelope is large": lambda w: Evidence(
        files={**w.good, OSCAL: w.good[OSCAL] + b" " * (64 << 10)}
    ),
    "the assessment results in another form": _other_form,
    "no assessment results": lambda w: Evidence(files=w.relisted({RESULTS_FILE: None})),
    "the ARF says something else": lambda w: Evidence(files=w.relisted({"arf-1.xml": b"<arf/>"})),
}
