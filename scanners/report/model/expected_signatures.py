"""What the statement says beside its findings, as it is known before anything is signed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedSignatures:
    """How the evidence is to be signed. Nothing of it is judged here: the page is drawn first."""

    algorithm: str
    """What the signing key signs with, as a policy's ``alg`` has it."""

    post_quantum: str = ""
    """The same of the second signature; empty where there is to be none."""

    has_timestamp: bool = False
    """An RFC 3161 timestamp over the signature is to lie beside it."""

    has_host_signature: bool = False
    """A signature by the host's own key is among the files."""
