"""Secrets of a scan: what the target received must not be in its results."""

from collections.abc import Iterable
from dataclasses import replace

from hardpan.core.errors import InputError
from hardpan.core.redaction import SecretFilter
from hardpan.scanners.model.scan import Scan


def redact_secrets(result: Scan, secrets: SecretFilter) -> Scan:
    """Return ``result`` without secrets that the target received and may have sent back.

    They were redacted in every output already. This finds one that appeared when a text was
    sanitized. Attached ARFs were redacted before they were compressed.
    """
    return replace(
        result,
        host=secrets.filter_value(result.host),
        evaluation=secrets.filter_value(result.evaluation),
        checks=secrets.filter_value(result.checks),
        smoke=secrets.filter_value(result.smoke),
        compatibility=secrets.filter_value(result.compatibility),
        packages=secrets.filter_value(result.packages),
        fips=secrets.filter_value(result.fips),
        raw={
            n: secrets.filter_bytes(d) if isinstance(d, bytes) else d for n, d in result.raw.items()
        },
    )


def refuse_common_password(name: str, password: str, texts: Iterable[bytes]) -> None:
    """Pass if redacting a password leaves the content and the tailoring as they are.

    ``name`` is ``sudo`` or ``SSH``, as the prompt names it.

    Raises:
        InputError: one of their ``texts`` contains it.
    """
    data = password.encode("utf-8", "surrogateescape")
    if data and any(data in text for text in texts):
        raise InputError(
            f"the {name} password: cannot be used for a scan: expected a password that does not "
            "occur in the SCAP content or the tailoring, because it is redacted in all results",
            hint="use a longer password, a user with NOPASSWD, or a key for the login",
        )
