"""The one place that puts the state of FIPS into words, and claims no more than it holds."""

from collections.abc import Iterable, Iterator

from hardpan.scanners.fips.model import CertificateState, Fips, Module

_MODE = {
    "on": "FIPS mode is enabled.",
    "off": "FIPS mode is not enabled.",
    "unknown": "Whether FIPS mode is enabled is not known.",
}


def wording(state: Fips) -> str:
    """What may be said of the target, in whole sentences."""
    by = {s: [m for m in state.modules if m.state == s] for s in _ORDER}
    said = [_MODE[state.kernel_fips_flag]]
    if state.kernel_fips_flag == "on" and state.provider_active != "yes":
        said.append(_PROVIDER[state.provider_active])
    said += [
        f"Module {m.name} ({m.nevra}) is listed on certificate #{m.certificate} "
        f"(FIPS {m.level}, status Active as of {state.table_as_of}, sunset {m.sunset})."
        for m in by["validated"]
    ]
    said += [
        f"Certificate #{m.certificate} of module {m.name} is historical." for m in by["historical"]
    ]
    for name in ("in_process", "not_validated", "stale_data", "unknown"):
        if by[name]:
            said.append(_OTHERS[name].format(_names(by[name]), state.table_as_of))
    said.append(
        "No statement is made about other modules."
        if by["validated"]
        else "No statement of FIPS 140-3 validation is made."
    )
    said += _foreign(state)
    return " ".join(said)


_PROVIDER = {
    "no": "OpenSSL's FIPS provider is not active.",
    "unknown": "Whether OpenSSL's FIPS provider is active is not known.",
}
_SHOWN = 5
_ORDER: tuple[CertificateState, ...] = (
    "validated",
    "historical",
    "in_process",
    "not_validated",
    "stale_data",
    "unknown",
)
_OTHERS = {
    "in_process": "In process at the CMVP, without a certificate: {0}.",
    "not_validated": "These builds are not listed on a CMVP certificate (list of {1}): {0}.",
    "stale_data": "The list of {1} is too old to tell whether a certificate is active for: {0}.",
    "unknown": "Certificate not known for: {0}.",
}


def _foreign(state: Fips) -> Iterator[str]:
    """The files that bring cryptography of their own, or that nobody knows whether there are."""
    found = state.non_system_crypto
    if found:
        names = ", ".join(f"{f.path} ({f.library})" for f in found[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        yield f"The following programs use cryptography outside these modules: {names}{more}."
    if state.non_system_crypto_complete != "yes":
        yield "The search for programs with cryptography of their own was not complete."


def _names(modules: Iterable[Module]) -> str:
    return ", ".join(m.name for m in modules)
