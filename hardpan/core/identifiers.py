"""The identifiers of hardpan, all in one domain.

They are compared as text; nothing is downloaded from these addresses (docs/evidence.md,
"Identifiers"). Signed evidence contains them: once published, an identifier never changes its
meaning, and a new version of a format gets a new one.
"""

from typing import Final, Literal, get_args

PredicateType = Literal["https://hardpan.dev/attestation/compliance-scan/v1"]

PREDICATE_TYPE: Final[PredicateType] = get_args(PredicateType)[0]
"""in-toto predicate type of the statement about a scan."""

BUILD_TYPE: Final = "https://hardpan.dev/build/unattended-install/v1"
"""SLSA build type of an image."""

BUILDER_ID: Final = "https://hardpan.dev/builder/local/v1"
"""SLSA builder: hardpan on the machine of the holder of the build key."""

SPDX_NAMESPACE: Final = "https://hardpan.dev/spdx"
"""Namespace of SPDX documents; a UUID derived from the image follows after a slash."""

VERIFIER_ID: Final = "https://hardpan.dev/verifier"
"""Verifier of a Simple Verification Result; hardpan's version follows after a slash."""

OSCAL_NAMESPACE: Final = "https://hardpan.dev/ns/oscal"
"""Namespace of hardpan's properties in OSCAL; docs/formats.md lists them."""

SARIF_TAXONOMY: Final = "https://hardpan.dev/ns/sarif/nist-sp-800-53-r4"
"""The UUID of the taxonomy in SARIF is derived from it."""

INSTALL_PORT: Final = "dev.hardpan.install.0"
"""virtio-serial port on which an installer reports its outcome; by convention a reversed domain."""
