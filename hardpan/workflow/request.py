"""The options of one run of ``build`` or ``prove``."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hardpan.builder.build_lock import BuildLock
from hardpan.builder.media.expected_digest import DigestOptions
from hardpan.core.events import Emit
from hardpan.core.file_lock import lock_folder
from hardpan.core.files import MiB
from hardpan.core.secret_files import read_passphrase
from hardpan.core.xdg import data_home
from hardpan.profiles.schema.profile import Profile
from hardpan.scanners.content.datastream import ContentSelection
from hardpan.scanners.deviations.tailoring_file import TailoringFile
from hardpan.workflow.keyring import KeyRefs


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """The options of one run of ``build`` or ``prove``."""

    profile: Profile
    output_folder: Path
    cache_folder: Path
    data_folder: Path = field(default_factory=data_home)
    """Folder of the generated keys, used where no option names others."""

    media: Path | None = None
    media_digest: DigestOptions = field(default_factory=DigestOptions)
    content: ContentSelection | None = None
    """None selects the default of ``datastream.find``."""

    tailoring: TailoringFile | None = None
    """Changes the profile that the image is scanned with; the build follows the profile itself."""

    ssh_key_file: Path | None = None
    keys_folder: Path | None = None
    key_refs: KeyRefs = field(default_factory=KeyRefs)
    luks_passphrase_file: Path | None = None
    erase_disks: bool = False
    """Consent to an ISO that erases disks without asking; a profile can consent as well."""

    stall_timeout_s: float | None = None
    """Limit of an install without output and disk access; None for the default of this host."""

    offline: bool = False
    """Put what the layers need on the ISO, so that its machines need no network."""

    max_iso_mib: MiB | None = None
    """Limit of an ISO with the layers' files; None for that of install media."""

    install_timeout_s: float | None = None
    """Limit of a whole install; None for the default of this host."""

    image_formats: tuple[str, ...] = ()
    """Formats of the image besides qcow2, names in ``hardpan.builder.vm.disk_format``."""

    run_smoke_test: bool = True
    nonce: str = ""
    timestamp_url: str = ""
    """URL of the RFC 3161 authority; empty for no timestamp."""

    lock: BuildLock | None = None
    """What the image has to be built from."""

    may_wait: bool = True
    """Wait for another build that uses the folders; False raises an error instead."""

    invocation: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command line, for others that wait for this run."""
        return shlex.join(self.invocation) or "hardpan"

    def read_luks_passphrase(self) -> str:
        """Return the passphrase of the LUKS volume: the first line of its file; empty without one.

        Raises:
            InputError: it cannot be read, or others have access to the file.
        """
        file = self.luks_passphrase_file
        return "" if file is None else read_passphrase(file)


@contextmanager
def lock_outputs(request: BuildRequest, emit: Emit) -> Iterator[None]:
    """Keep other builds out of the output folder for the length of the block.

    Raises:
        ResourceError: another build uses it, and the request does not wait.
        InputError: the folder cannot be created or written to.
    """
    with lock_folder(
        request.output_folder,
        command=request.command,
        stage="build",
        emit=emit,
        may_wait=request.may_wait,
    ):
        yield
