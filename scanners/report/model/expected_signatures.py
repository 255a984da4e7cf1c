"""Signatures that the report announces before the evidence is signed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedSignatures:
    """How the evidence will be signed. Not verified: the page is rendered before signing."""

    algorithm: str
    """What the signing key signs with, as a policy's ``alg`` has it."""

    post_quantum: str = ""
    """The same of the second signature; empty where there is to be none."""

    has_timestamp: bool = False
    """The evidence will contain an RFC 3161 timestamp over the signature."""

    has_host_signature: bool = False
    """A signature by the host's own key is among the files."""
