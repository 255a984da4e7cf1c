"""Whose container images a host takes: nobody's, until a profile names a registry and its key."""

from typing import Annotated

from hardpan.profiles.hardware import Section
from hardpan.profiles.words import Shape

Registry = Annotated[
    str,
    Shape(
        r"[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:[._-]{1,2}[a-z0-9]+)*)*",
        "a registry or a namespace of one, e.g. registry.example/ai",
    ),
]
PublicKey = Annotated[
    str,
    Shape(
        r"-----BEGIN PUBLIC KEY-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END PUBLIC KEY-----\n?",
        "one public key in PEM, as 'cosign public-key' writes it, below 'sigstore_key: |'",
    ),
]


class SignedRegistry(Section):
    """A place that images are taken from, and the key that they must be signed with."""

    registry: Registry
    """Host, perhaps with port and namespace."""

    sigstore_key: PublicKey
    """Public key of the site's signatures (cosign), inline."""


class Containers(Section):
    """The layer ``containers``. Without registries it rejects every image."""

    registries: tuple[SignedRegistry, ...] = ()
    """Where signed images come from; all else is rejected."""
