import re
from datetime import date
from pathlib import Path

import pytest

from hardpan.scanners.fips.assess import assess_fips
from hardpan.scanners.fips.describe import describe_fips
from tests.source_tree import PRODUCT, REPO, list_files
from tests.unit.fips import samples

FORBIDDEN_CLAIM = re.compile(
    # Not behind a slash: the address of a source may hold the words.
    r"(?<![/\w])FIPS(?:[\s_-]+140-[23])?[\s_-]+(?:compliant|compliance|certified|certification|validated)\b",
    re.IGNORECASE,
)
# What a STIG asks for, in DISA's words; checklists quote it and claim none of it.
QUOTED = {REPO / "scanners/stig/rhel9.json", REPO / "scanners/stig/rhel10.json"}
_KINDS = (".py", ".j2", ".yaml", ".yml", ".json", ".css", ".md", ".sh", ".cfg")
TEXTS = [path for path in list_files(PRODUCT, *_KINDS) if path not in QUOTED]


def test_stock_builds_are_described_without_claim() -> None:
    packages = tuple(p for p in samples.INSTALLED if p != samples.OPENSSL_NEVRA)
    description = describe_fips(
        assess_fips(samples.make_answers(packages=packages), samples.make_table(), samples.TODAY)
    )

    assert description == (
        "FIPS mode is enabled. These builds are not listed on a CMVP certificate (list of "
        "2026-05-01): kernel, openssl, libgcrypt, gnutls, nss. "
        "No statement of FIPS 140-3 validation is made."
    )


def test_listed_module_is_described_with_certificate_and_dates() -> None:
    description = describe_fips(
        assess_fips(samples.make_answers(), samples.make_table(), samples.TODAY)
    )

    assert (
        f"Module openssl ({samples.OPENSSL_NEVRA}) is listed on certificate #5116 (FIPS "
        "140-3, status Active as of 2026-05-01, sunset 2031-01-05)." in description
    )
    assert description.endswith("No statement is made about other modules.")


@pytest.mark.parametrize(
    ("changes", "row", "today", "sentence"),
    [
        ({"flag": "0"}, {}, samples.TODAY, "FIPS mode is not enabled."),
        ({"flag": None}, {}, samples.TODAY, "Whether FIPS mode is enabled is not known."),
        ({}, {}, date(2026, 11, 21), "The list of 2026-05-01 is too old to determine whether"),
        ({}, {"level": "140-2"}, date(2026, 9, 22), "#5116 of module openssl is historical."),
        (
            {},
            {"status": "in_process", "certificate": None, "sunset": None},
            samples.TODAY,
            "In process at the CMVP, without a certificate: openssl.",
        ),
        ({"verify": None}, {}, samples.TODAY, "Certificate not known for: openssl."),
        ({"md5": "sha256 0 md5 0"}, {}, samples.TODAY, "OpenSSL's FIPS provider is not active."),
        (
            {"md5": None},
            {},
            samples.TODAY,
            "Whether OpenSSL's FIPS provider is active is not known.",
        ),
        ({"foreign": None}, {}, samples.TODAY, "of their own was not complete."),
        (
            {"foreign": "".join(f"file /opt/{i}/libcrypto.so.3\n" for i in range(7)) + "end"},
            {},
            samples.TODAY,
            "/opt/3/libcrypto.so.3 (OpenSSL), /opt/4/libcrypto.so.3 (OpenSSL) and 2 more.",
        ),
    ],
)
def test_each_state_has_its_sentence(
    changes: dict[str, str | None], row: dict[str, str], today: date, sentence: str
) -> None:
    state = assess_fips(
        samples.make_answers(**changes), samples.make_table(samples.make_certificate(**row)), today
    )
    description = describe_fips(state)

    assert sentence in description
    assert not FORBIDDEN_CLAIM.search(description)
    assert ("Active" in description) == any(m.state == "validated" for m in state.modules)


def test_no_product_text_claims_fips_compliance() -> None:
    assert len(TEXTS) > 400
    assert REPO / "hardpan" / "cli" / "scan.py" in TEXTS
    assert any(p.name == "report.html.j2" for p in TEXTS)
    claims = [f"{p.relative_to(REPO)}: {m[0]}" for p in TEXTS for m in _find_claims(p)]

    assert claims == []


def _find_claims(path: Path) -> list[re.Match[str]]:
    return list(FORBIDDEN_CLAIM.finditer(path.read_text("utf-8")))


@pytest.mark.parametrize("text", ["FIPS compliant", "fips-certified", "FIPS 140-3\nvalidated"])
def test_forbidden_claims_are_detected(text: str) -> None:
    assert FORBIDDEN_CLAIM.search(f"this host is {text}.")
