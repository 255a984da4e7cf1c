import json
from pathlib import Path

import pytest

from hardpan.files import canonical_json, sha256_bytes
from hardpan.scanners.evidence.oscal_statement import OSCAL_PREDICATE_TYPE, dsse, oscal_statement
from hardpan.scanners.report.base import renderer
from hardpan.signing import MalformedError, new_signer, read_bundle, sign
from tests.unit.evidence import samples
from tests.unit.report.test_reports import report_of

NAME = "assessment-results.json"


def _document() -> bytes:
    return renderer("oscal-ar").render(report_of(samples.scan()))


def test_the_statement_has_one_subject_and_trestles_words() -> None:
    made = oscal_statement(_document(), name=NAME)

    assert json.loads(made) == {
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
    assert made == canonical_json(json.loads(made))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b'{"a": 1}', "not in RFC 8785 form"),
        (b'{"a":1}\n', "not in RFC 8785 form"),
        (b'{"b":1,"a":1}', "not in RFC 8785 form"),
        (b'{"a":1e99}', "not strict JSON: 1e99 is not a plain number in canonical JSON"),
        (b'{"a":1,"a":1}', "not strict JSON: a key appears twice"),
        (b"<xml/>", "not strict JSON"),
    ],
)
def test_a_file_that_is_not_canonical_gets_no_statement(document: bytes, said: str) -> None:
    with pytest.raises(MalformedError) as caught:
        oscal_statement(document, name="x.json")

    assert str(caught.value).startswith(f"x.json: {said}")


def test_the_envelope_is_the_bundles_own(tmp_path: Path) -> None:
    signer = new_signer(tmp_path / "key.pem")
    payload = oscal_statement(_document(), name=NAME)
    signed = sign(payload, signer)
    opened, key = read_bundle(signed.bundle, what="bundle").opened(signer.public)

    assert (opened, key) == (payload, signer.public)
    assert json.loads(dsse(signed)) == json.loads(signed.bundle)["dsseEnvelope"]
    assert json.loads(dsse(signed))["signatures"][0]["keyid"] == ""
