"""Cryptography outside the system's modules: what the search for it brought."""

import re
from fnmatch import fnmatchcase

from hardpan.scanners.fips.model import Facts, Foreign, Tri

PLACES = ("/opt", "/usr/local", "/srv", "/home", "/root", "/var/lib")
"""Where what does not come from the distribution lies."""

LIBRARIES = {
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
"""Pattern of a file's name, as ``find`` knows it -> whose cryptography it is."""

_LIMIT = 50
_GO = "Go's own"
_LINE = re.compile(r"(file|go) (/.+)")


def files(facts: Facts) -> tuple[Foreign, ...]:
    """What was found, sorted, the first fifty; texts hold nothing but printable ASCII."""
    return _found(facts)[:_LIMIT]


def complete(facts: Facts) -> Tri:
    """Whether the search came to its end and all it found is told."""
    said = facts.said.get("foreign")
    if said is None or said.rc not in (0, 124, 137):
        return "unknown"
    ended = said.text.rstrip().endswith("\nend") or said.text.strip() == "end"
    return "yes" if said.rc == 0 and ended and len(_found(facts)) <= _LIMIT else "no"


def _found(facts: Facts) -> tuple[Foreign, ...]:
    said = facts.said.get("foreign")
    lines = said.text.splitlines() if said is not None else []
    found = {_foreign(*m.groups()) for x in lines if (m := _LINE.fullmatch(x))}
    return tuple(sorted((f for f in found if f is not None), key=lambda f: f.path))


def _foreign(kind: str, path: str) -> Foreign | None:
    shown = re.sub(r"[^ -~]", "?", path)[:200]
    if kind == "go":
        return Foreign(path=shown, library=_GO)
    name = path.rpartition("/")[2]
    library = next((lib for form, lib in LIBRARIES.items() if fnmatchcase(name, form)), None)
    return None if library is None else Foreign(path=shown, library=library)
