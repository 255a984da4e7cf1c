"""Statement and files disagree."""

import base64
import json
from dataclasses import replace

from hardpan.core.files import sha256_bytes
from hardpan.scanners.evidence.file_names import OSCAL, TEST_RESULT
from hardpan.scanners.evidence.predicates.oscal_signing import (
    RESULTS_FILE,
    build_statement_for,
    extract_dsse,
)
from hardpan.signing import sign
from tests.tamper.kit import BUNDLE, Evidence, canonical_json


def _counts(kit, **counts):
    return Evidence(
        files=kit.resign_changed(lambda s: s["predicate"]["results"]["counts"].update(counts))
    )


def _results(kit, **fields):
    return Evidence(files=kit.resign_changed(lambda s: s["predicate"]["results"].update(fields)))


def _second(kit):
    bundle = json.loads(kit.valid_files[TEST_RESULT])
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    statement["predicate"].update(result="PASSED", failedTests=[])
    files = {
        **kit.valid_files,
        TEST_RESULT: sign(canonical_json(statement), kit.scan_signer).bundle,
    }
    return Evidence(files=files)


def _oscal(kit, name, sha256, by=None):
    envelope = extract_dsse(sign(build_statement_for(name, sha256), by or kit.scan_signer))
    return Evidence(files={**kit.valid_files, OSCAL: envelope})


def _other_form(kit):
    """A file in a form that is not canonical, signed by the right key."""
    return Evidence(
        files=kit.resign_with_files(
            {RESULTS_FILE: kit.valid_files[RESULTS_FILE].replace(b"{", b"{ ", 1)}
        )
    )


def _second_scan_key(kit):
    """Two keys have the role scan; the one that signed the statement must sign this too."""
    keys = [
        *kit.policy_keys(),
        {**kit.policy_keys()[0], "id": "second", "spki": kit.untrusted_signer.public.pem},
    ]
    evidence = _oscal(kit, RESULTS_FILE, _digest(kit, RESULTS_FILE), kit.untrusted_signer)
    return replace(evidence, policy={"keys": keys})


def _reworded(kit, change):
    statement = json.loads(build_statement_for(RESULTS_FILE, _digest(kit, RESULTS_FILE)))
    change(statement)
    return Evidence(
        files={
            **kit.valid_files,
            OSCAL: extract_dsse(sign(canonical_json(statement), kit.scan_signer)),
        }
    )


def _enveloped(kit, change):
    envelope = json.loads(kit.valid_files[OSCAL])
    change(envelope)
    return Evidence(files={**kit.valid_files, OSCAL: json.dumps(envelope).encode()})


def _digest(kit, name):
    return sha256_bytes(kit.valid_files[name])


VARIANTS = {
    "control": lambda kit: Evidence(files=kit.resign_changed(lambda s: None)),
    "better counts": lambda kit: _counts(kit, fail=0, **{"pass": 3}),
    "a verdict dropped": lambda kit: Evidence(
        files=kit.resign_changed(lambda s: s["predicate"]["results"]["counts"].pop("error"))
    ),
    "fewer rules than selected": lambda kit: Evidence(
        files=kit.resign_changed_findings(lambda f: f["rules"].pop())
    ),
    "another score": lambda kit: _results(kit, score="99.00"),
    "a rule turned": lambda kit: Evidence(
        files=kit.resign_changed_findings(lambda f: f["rules"][1].update(verdict="pass"))
    ),
    "the second statement says more": _second,
    "the second statement by another key": lambda kit: Evidence(
        files={
            **kit.valid_files,
            TEST_RESULT: kit.sign_scan(signer=kit.untrusted_signer)[TEST_RESULT],
        }
    ),
    "the OSCAL statement about another file": lambda kit: _oscal(
        kit, RESULTS_FILE, _digest(kit, "findings.json")
    ),
    "the OSCAL statement under another name": lambda kit: _oscal(
        kit, "x.json", _digest(kit, RESULTS_FILE)
    ),
    "the OSCAL statement by another key": lambda kit: _oscal(
        kit, RESULTS_FILE, _digest(kit, RESULTS_FILE), kit.untrusted_signer
    ),
    "the OSCAL statement by another scan key": _second_scan_key,
    "the OSCAL statement by the build key": lambda kit: _oscal(
        kit, RESULTS_FILE, _digest(kit, RESULTS_FILE), kit.build_signer
    ),
    "the OSCAL statement about a second file": lambda kit: _reworded(
        kit, lambda s: s["subject"].append({"name": "x", "digest": {"sha256": "0" * 64}})
    ),
    "the OSCAL statement about nothing": lambda kit: _reworded(kit, lambda s: s.update(subject=[])),
    "the OSCAL statement of another tool": lambda kit: _reworded(
        kit, lambda s: s["predicate"].update(tool="other")
    ),
    "the main statement for the OSCAL one": lambda kit: Evidence(
        files={
            **kit.valid_files,
            OSCAL: canonical_json(json.loads(kit.valid_files[BUNDLE])["dsseEnvelope"]),
        }
    ),
    "a whole bundle for the OSCAL envelope": lambda kit: Evidence(
        files={**kit.valid_files, OSCAL: kit.valid_files[TEST_RESULT]}
    ),
    "the OSCAL envelope signed twice": lambda kit: _enveloped(
        kit, lambda e: e["signatures"].append(e["signatures"][0])
    ),
    "the OSCAL envelope of another type": lambda kit: _enveloped(
        kit, lambda e: e.update(payloadType="application/json")
    ),
    "the OSCAL envelope with more in it": lambda kit: _enveloped(kit, lambda e: e.update(more=1)),
    "the OSCAL envelope is large": lambda kit: Evidence(
        files={**kit.valid_files, OSCAL: kit.valid_files[OSCAL] + b" " * (64 << 10)}
    ),
    "the assessment results in another form": _other_form,
    "no assessment results": lambda kit: Evidence(
        files=kit.resign_with_files({RESULTS_FILE: None})
    ),
    "the ARF says something else": lambda kit: Evidence(
        files=kit.resign_with_files({"arf-1.xml": b"<arf/>"})
    ),
}
