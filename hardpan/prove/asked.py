"""What a person asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from hardpan.prove.keyring import References
from profiles.model import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked for."""

    profile: Profile
    out: Path
    cache: Path
    media: Path | None = None
    media_sha256: str | None = None
    content: Path | None = None
    ssh_key: Path | None = None
    keys: Path | None = None
    signers: References = field(default_factory=References)
    luks_passphrase: str = ""
    smoke: bool = True
    nonce: str = ""
    timestamp: str = ""
    """Address of the RFC 3161 authority; empty leaves the timestamp out."""

    invocation: tuple[str, ...] = ()
