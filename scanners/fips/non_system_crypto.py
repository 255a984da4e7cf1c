"""Cryptography outside the system's modules: the result of the search on the target."""

import re
from fnmatch import fnmatchcase

from hardpan.scanners.fips.model import FipsAnswers, NonSystemCrypto, TriState
from hardpan.ssh.bootstrap import TIMED_OUT

SEARCH_ROOTS = ("/opt", "/usr/local", "/srv", "/home", "/root", "/var/lib")
"""Folders of files that do not come from the distribution."""

LIBRARY_PATTERNS = {
    "libcrypto[.-]*so*": "OpenSSL",
    "libssl[.-]*so*": "OpenSSL",
    "libgcrypt[.-]*so*": "libgcrypt",
    "libgnutls[.-]*so*": "GnuTLS",
    "libnettle[.-]*so*": "Nettle",
    "libfreebl*.so*": "NSS",
    "libsoftokn*.so*": "NSS",
    "libsodium[.-]*so*": "libsodium",
    "_sodium*.so": "libsodium",
    "libmbedcrypto[.-]*so*": "Mbed TLS",
    "libwolfssl[.-]*so*": "wolfSSL",
    "libbotan*.so*": "Botan",
    "libaws_lc*.so*": "AWS-LC",
    "_awscrt*.so": "AWS-LC",
    "_rust.abi3.so": "OpenSSL in a wheel of cryptography",
    "bcprov-*.jar": "Bouncy Castle",
    "bc-fips-*.jar": "Bouncy Castle",
    "java.security": "a Java runtime",
}
"""File name pattern of ``find`` -> the cryptographic library."""

_MAX_FILES = 50
_GO_LIBRARY = "Go's own"
_LINE = re.compile(r"(file|go) (/.+)")


def list_files(facts: FipsAnswers) -> tuple[NonSystemCrypto, ...]:
    """Return the findings, sorted, the first fifty; texts are printable ASCII."""
    return _parse_findings(facts)[:_MAX_FILES]


def assess_completeness(facts: FipsAnswers) -> TriState:
    """Return whether the search ended and all its findings are listed."""
    answer = facts.answers.get("foreign")
    if answer is None or answer.exit_status not in (0, *TIMED_OUT):
        return "unknown"
    has_ended = answer.text.rstrip().endswith("\nend") or answer.text.strip() == "end"
    return (
        "yes"
        if answer.exit_status == 0 and has_ended and len(_parse_findings(facts)) <= _MAX_FILES
        else "no"
    )


def _parse_findings(facts: FipsAnswers) -> tuple[NonSystemCrypto, ...]:
    answer = facts.answers.get("foreign")
    lines = answer.text.splitlines() if answer is not None else []
    entries = {_parse_entry(*m.groups()) for x in lines if (m := _LINE.fullmatch(x))}
    return tuple(sorted((f for f in entries if f is not None), key=lambda f: f.path))


def _parse_entry(kind: str, path: str) -> NonSystemCrypto | None:
    printable_path = re.sub(r"[^ -~]", "?", path)[:200]
    if kind == "go":
        return NonSystemCrypto(path=printable_path, library=_GO_LIBRARY)
    name = path.rpartition("/")[2]
    library = next(
        (lib for pattern, lib in LIBRARY_PATTERNS.items() if fnmatchcase(name, pattern)), None
    )
    return None if library is None else NonSystemCrypto(path=printable_path, library=library)
