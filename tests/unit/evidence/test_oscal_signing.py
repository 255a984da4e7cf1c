import json
from pathlib import Path

import pytest

from hardpan.core.files import canonical_json, sha256_bytes
from hardpan.scanners.evidence.predicates.oscal_signing import (
    OSCAL_PREDICATE_TYPE,
    build_oscal_statement,
    extract_dsse,
)
from hardpan.scanners.report.registry import load_renderer
from hardpan.signing import MalformedError, create_signer, read_bundle, sign
from tests.unit.evidence import samples
from tests.unit.report.test_reports import report_of

NAME = "assessment-results.json"


def _document() -> bytes:
    return load_renderer("oscal-ar").render(report_of(samples.scan()))


def test_oscal_statement_has_single_subject_and_trestle_predicate() -> None:
    statement = build_oscal_statement(_document(), name=NAME)

    assert json.loads(statement) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": sha256_bytes(_document())}}],
        "predicateType": OSCAL_PREDICATE_TYPE,
        "predicate": {
            "canonicalization": "RFC8785",
            "digestAlgorithm": "sha256",
            "digestSource": "canonical-json",
            "tool": "hardpan",
        },
    }
    assert statement == canonical_json(json.loads(statement))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b'{"a": 1}', "not in RFC 8785 form"),
        (b'{"a":1}\n', "not in RFC 8785 form"),
        (b'{"b":1,"a":1}', "not in RFC 8785 form"),
        (b'{"a":1e99}', "not strict JSON: 1e99 is not a plain number in canonical JSON"),
        (b'{"a":1,"a":1}', "not strict JSON: a key appears twice"),
        (b"<xml/>", "not strict JSON"),
    ],
)
def test_oscal_statement_rejects_non_canonical_file(document: bytes, message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        build_oscal_statement(document, name="x.json")

    assert str(caught.value).startswith(f"x.json: {message}")


def test_oscal_envelope_equals_bundle_envelope(tmp_path: Path) -> None:
    signer = create_signer(tmp_path / "key.pem")
    payload = build_oscal_statement(_document(), name=NAME)
    signed = sign(payload, signer)
    opened, key = read_bundle(signed.bundle, label="bundle").verify(signer.public)

    assert (opened, key) == (payload, signer.public)
    assert json.loads(extract_dsse(signed)) == json.loads(signed.bundle)["dsseEnvelope"]
    assert json.loads(extract_dsse(signed))["signatures"][0]["keyid"] == ""
