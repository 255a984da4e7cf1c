import re
from datetime import date
from pathlib import Path

import pytest

from hardpan.scanners.fips.judge import judge
from hardpan.scanners.fips.wording import wording
from tests.unit.fips import told
from tests.unit.tree import PRODUCT, REPO, files

FORBIDDEN = re.compile(
    # Not behind a slash: the address of a source may hold the words.
    r"(?<![/\w])FIPS(?:[\s_-]+140-[23])?[\s_-]+(?:compliant|compliance|certified|certification|validated)\b",
    re.IGNORECASE,
)
# What a STIG asks for, in DISA's words; checklists quote it and claim none of it.
QUOTED = {REPO / "scanners/stig/rhel9.json", REPO / "scanners/stig/rhel10.json"}
_KINDS = (".py", ".j2", ".yaml", ".yml", ".json", ".css", ".md", ".sh", ".cfg")
TEXTS = [path for path in files(PRODUCT, *_KINDS) if path not in QUOTED]


def test_stock_builds_get_no_claim() -> None:
    packages = tuple(p for p in told.INSTALLED if p != told.OPENSSL)
    said = wording(judge(told.facts(packages=packages), told.table(), told.TODAY))

    assert said == (
        "FIPS mode is enabled. These builds are not listed on a CMVP certificate (list of "
        "2026-05-01): kernel, openssl, libgcrypt, gnutls, nss. "
        "No statement of FIPS 140-3 validation is made."
    )


def test_a_listed_module_is_named_with_its_certificate_and_dates() -> None:
    said = wording(judge(told.facts(), told.table(), told.TODAY))

    assert (
        f"Module openssl ({told.OPENSSL}) is listed on certificate #5116 (FIPS 140-3, status "
        "Active as of 2026-05-01, sunset 2031-01-05)." in said
    )
    assert said.endswith("No statement is made about other modules.")


@pytest.mark.parametrize(
    ("changes", "row", "today", "words"),
    [
        ({"flag": "0"}, {}, told.TODAY, "FIPS mode is not enabled."),
        ({"flag": None}, {}, told.TODAY, "Whether FIPS mode is enabled is not known."),
        ({}, {}, date(2026, 11, 21), "The list of 2026-05-01 is too old to tell whether"),
        ({}, {"level": "140-2"}, date(2026, 9, 22), "#5116 of module openssl is historical."),
        (
            {},
            {"status": "in_process", "certificate": None, "sunset": None},
            told.TODAY,
            "In process at the CMVP, without a certificate: openssl.",
        ),
        ({"verify": None}, {}, told.TODAY, "Certificate not known for: openssl."),
        ({"md5": "sha256 0 md5 0"}, {}, told.TODAY, "OpenSSL's FIPS provider is not active."),
        ({"md5": None}, {}, told.TODAY, "Whether OpenSSL's FIPS provider is active is not known."),
        ({"foreign": None}, {}, told.TODAY, "of their own was not complete."),
        (
            {"foreign": "".join(f"file /opt/{i}/libcrypto.so.3\n" for i in range(7)) + "end"},
            {},
            told.TODAY,
            "/opt/3/libcrypto.so.3 (OpenSSL), /opt/4/libcrypto.so.3 (OpenSSL) and 2 more.",
        ),
    ],
)
def test_each_state_has_its_words(
    changes: dict[str, str | None], row: dict[str, str], today: date, words: str
) -> None:
    state = judge(told.facts(**changes), told.table(told.row(**row)), today)
    said = wording(state)

    assert words in said
    assert not FORBIDDEN.search(said)
    assert ("Active" in said) == any(m.state == "validated" for m in state.modules)


def test_no_template_or_text_says_what_no_scan_can_know() -> None:
    assert len(TEXTS) > 400
    assert REPO / "hardpan" / "cli.py" in TEXTS
    assert any(p.name == "report.html.j2" for p in TEXTS)
    found = [f"{p.relative_to(REPO)}: {m[0]}" for p in TEXTS for m in _said(p)]

    assert found == []


def _said(path: Path) -> list[re.Match[str]]:
    return list(FORBIDDEN.finditer(path.read_text("utf-8")))


@pytest.mark.parametrize("text", ["FIPS compliant", "fips-certified", "FIPS 140-3\nvalidated"])
def test_the_search_would_find_the_words(text: str) -> None:
    assert FORBIDDEN.search(f"this host is {text}.")
