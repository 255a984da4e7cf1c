"""Fingerprints of public keys."""

import base64
import hashlib


def fingerprint(key: bytes) -> str:
    """``SHA256:…`` of a public key blob, as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
