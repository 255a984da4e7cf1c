"""The only place that describes the state of FIPS as text, without unproven claims."""

from collections.abc import Iterable, Iterator

from hardpan.scanners.fips.model import CertificateState, CryptoModule, FipsState

_MODE = {
    "on": "FIPS mode is enabled.",
    "off": "FIPS mode is not enabled.",
    "unknown": "Whether FIPS mode is enabled is not known.",
}


def describe_fips(state: FipsState) -> str:
    """Describe the state of FIPS on the target in complete sentences."""
    modules_by_state = {s: [m for m in state.modules if m.state == s] for s in _ORDER}
    sentences = [_MODE[state.kernel_fips_flag]]
    if state.kernel_fips_flag == "on" and state.provider_active != "yes":
        sentences.append(_PROVIDER[state.provider_active])
    sentences += [
        f"Module {m.name} ({m.nevra}) is listed on certificate #{m.certificate} "
        f"(FIPS {m.level}, status Active as of {state.table_as_of}, sunset {m.sunset})."
        for m in modules_by_state["validated"]
    ]
    sentences += [
        f"Certificate #{m.certificate} of module {m.name} is historical."
        for m in modules_by_state["historical"]
    ]
    for name in ("in_process", "not_validated", "stale_data", "unknown"):
        if modules_by_state[name]:
            sentences.append(
                _STATE_SENTENCES[name].format(
                    _join_names(modules_by_state[name]), state.table_as_of
                )
            )
    sentences.append(
        "No statement is made about other modules."
        if modules_by_state["validated"]
        else "No statement of FIPS 140-3 validation is made."
    )
    sentences += _describe_non_system_crypto(state)
    if state.table_warning:
        sentences.append(f"Warning: {state.table_warning}.")
    return " ".join(sentences)


_PROVIDER = {
    "no": "OpenSSL's FIPS provider is not active.",
    "unknown": "Whether OpenSSL's FIPS provider is active is not known.",
}
_MAX_NAMED_FILES = 5
_ORDER: tuple[CertificateState, ...] = (
    "validated",
    "historical",
    "in_process",
    "not_validated",
    "stale_data",
    "unknown",
)
_STATE_SENTENCES = {
    "in_process": "In process at the CMVP, without a certificate: {0}.",
    "not_validated": "These builds are not listed on a CMVP certificate (list of {1}): {0}.",
    "stale_data": "The list of {1} is too old to determine whether a certificate is active "
    "for: {0}.",
    "unknown": "Certificate not known for: {0}.",
}


def _describe_non_system_crypto(state: FipsState) -> Iterator[str]:
    """Describe files with other cryptography, or that the search for them was incomplete."""
    files = state.non_system_crypto
    if files:
        names = ", ".join(f"{f.path} ({f.library})" for f in files[:_MAX_NAMED_FILES])
        remainder = (
            f" and {len(files) - _MAX_NAMED_FILES} more" if len(files) > _MAX_NAMED_FILES else ""
        )
        yield f"The following programs use cryptography outside these modules: {names}{remainder}."
    if state.non_system_crypto_complete != "yes":
        yield "The search for programs with cryptography of their own was not complete."


def _join_names(modules: Iterable[CryptoModule]) -> str:
    return ", ".join(m.name for m in modules)
