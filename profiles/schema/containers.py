"""Container registries that a host accepts images from; none unless a profile lists them."""

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
    """A registry or namespace, and the key that its images must be signed with."""

    registry: RegistryReference
    """Host, with optional port and namespace."""

    sigstore_key: PemPublicKey
    """Public key of the image signatures (cosign), inline."""


class Containers(ProfileSection):
    """Settings of the layer ``containers``. Without registries every image is rejected."""

    registries: tuple[SignedRegistry, ...] = ()
    """Accepted registries; all other images are rejected."""
