"""Limits on untrusted or hand-written input that several modules enforce.

A limit that only one module uses is defined there, next to the code that enforces it.
"""

from typing import Final

MAX_PATH_DEPTH: Final = 32
"""Parts of a name inside a medium, an archive or a repository: folders and the file."""

MAX_PATH_BYTES: Final = 1024
"""Length of such a name."""

MAX_YAML_BYTES: Final = 256 << 10
"""A profile, a policy or another YAML file that people write."""

MAX_SECRET_BYTES: Final = 16 << 10
"""A file with a key or a passphrase; an RSA key of 16,384 bits takes 12.6 KB as PEM."""

MAX_BUNDLE_BYTES: Final = 16 << 20
"""A Sigstore bundle or a DSSE envelope of any origin."""

MAX_EVIDENCE_BUNDLE_BYTES: Final = 12 << 20
"""A bundle or envelope inside evidence: a statement in base64, and its signatures."""

MAX_STATEMENT_BYTES: Final = 8 << 20
"""The in-toto statement in a bundle of evidence."""

MAX_TIMESTAMP_TOKEN_BYTES: Final = 64 << 10
"""An RFC 3161 timestamp token, with the certificates of its authority."""

MAX_CMS_BYTES: Final = 64 << 10
"""A detached CMS signature, with its certificates."""

MAX_SSHSIG_BYTES: Final = 16 << 10
"""An armored SSH signature."""

MAX_DATA_STREAM_BYTES: Final = 256 << 20
"""A SCAP data stream."""

MAX_RULE_OUTCOMES_BYTES: Final = 16 << 20
"""The outcomes of the fixes that ran on a host; a thousand rules take about 300 KiB."""
