"""What a person asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from hardpan.core.secret_files import read_passphrase
from hardpan.core.xdg import data_home
from hardpan.profiles.schema.profile import Profile
from hardpan.scanners.content.datastream import ContentSelection
from hardpan.workflow.keyring import KeyRefs


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What a person asked for."""

    profile: Profile
    output_folder: Path
    cache_folder: Path
    data_folder: Path = field(default_factory=data_home)
    """Folder of generated keys, for runs that were given none."""

    media: Path | None = None
    media_sha256: str | None = None
    content: ContentSelection | None = None
    """None takes what ``datastream.find`` takes by default."""

    ssh_key_file: Path | None = None
    keys_folder: Path | None = None
    key_refs: KeyRefs = field(default_factory=KeyRefs)
    luks_passphrase_file: Path | None = None
    run_smoke_test: bool = True
    nonce: str = ""
    timestamp_url: str = ""
    """Address of the RFC 3161 authority; empty leaves the timestamp out."""

    invocation: tuple[str, ...] = ()

    def read_luks_passphrase(self) -> str:
        """What opens the LUKS volume: the first line of its file.

        Raises:
            InputError: it cannot be read, or others have access to it.
        """
        file = self.luks_passphrase_file
        return "" if file is None else read_passphrase(file)
