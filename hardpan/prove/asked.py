"""What a person asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from hardpan.folders import data_home
from hardpan.profiles.model import Profile
from hardpan.prove.keyring import References
from hardpan.scanners.content.datastream import Choice
from hardpan.secret_files import read_passphrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked for."""

    profile: Profile
    out: Path
    cache: Path
    data: Path = field(default_factory=data_home)
    """Folder of generated keys, for runs that were given none."""

    media: Path | None = None
    media_sha256: str | None = None
    content: Choice | None = None
    """None takes what ``datastream.find`` takes by default."""

    ssh_key: Path | None = None
    keys: Path | None = None
    signers: References = field(default_factory=References)
    luks_passphrase_file: Path | None = None
    smoke: bool = True
    nonce: str = ""
    timestamp: str = ""
    """Address of the RFC 3161 authority; empty leaves the timestamp out."""

    invocation: tuple[str, ...] = ()

    def passphrase(self) -> str:
        """What opens the LUKS volume: the first line of its file.

        Raises:
            InputError: it cannot be read, or others have access to it.
        """
        file = self.luks_passphrase_file
        return "" if file is None else read_passphrase(file)
