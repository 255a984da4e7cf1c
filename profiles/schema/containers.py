"""Whose container images a host takes: nobody's, until a profile names a registry and its key."""

from typing import Annotated

from hardpan.profiles.schema.hardware import ProfileSection
from hardpan.profiles.schema.types import Pattern

RegistryReference = Annotated[
    str,
    Pattern(
        r"[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:[._-]{1,2}[a-z0-9]+)*)*",
        "a registry or a namespace of one, e.g. registry.example/ai",
    ),
]
PemPublicKey = Annotated[
    str,
    Pattern(
        r"-----BEGIN PUBLIC KEY-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END PUBLIC KEY-----\n?",
        "one public key in PEM, as 'cosign public-key' writes it, below 'sigstore_key: |'",
    ),
]


class SignedRegistry(ProfileSection):
    """A place that images are taken from, and the key that they must be signed with."""

    registry: RegistryReference
    """Host, perhaps with port and namespace."""

    sigstore_key: PemPublicKey
    """Public key of the site's signatures (cosign), inline."""


class Containers(ProfileSection):
    """The layer ``containers``. Without registries it rejects every image."""

    registries: tuple[SignedRegistry, ...] = ()
    """Where signed images come from; all else is rejected."""
