"""A key, a profile and the kickstart they lead to."""

import base64
import struct

import pytest

from hardpan.kickstart.render import render_kickstart
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile


def _key() -> str:
    fields = (b"ecdsa-sha2-nistp256", b"nistp256", b"\x04" + bytes(range(64)))
    blob = b"".join(struct.pack(">I", len(f)) + f for f in fields)
    return f"ecdsa-sha2-nistp256 {base64.b64encode(blob).decode()} operator@example"


@pytest.fixture(scope="session")
def key() -> str:
    """Return a well-formed public key; its private key does not exist."""
    return _key()


@pytest.fixture(scope="session")
def rocky9() -> Profile:
    return load_profile("rocky9-stig")


@pytest.fixture(scope="session")
def rocky10() -> Profile:
    return load_profile("rocky10-stig")


@pytest.fixture(scope="session")
def lab() -> Profile:
    return load_profile("lab-stig")


@pytest.fixture(scope="session")
def text9(rocky9: Profile, key: str) -> str:
    return render_kickstart(rocky9, key)


@pytest.fixture(scope="session")
def text10(rocky10: Profile, key: str) -> str:
    return render_kickstart(rocky10, key)
