"""Render the kickstart of a profile; the same inputs give the same bytes."""

import re
from functools import lru_cache

from jinja2 import Environment
from pydantic_core import PydanticCustomError

from hardpan.core.errors import InputError
from hardpan.core.identifiers import INSTALL_PORT
from hardpan.core.resources import resource_path
from hardpan.core.templates import text_environment
from hardpan.kickstart.offline import ISO_FOLDER, LAYERS_FOLDER
from hardpan.kickstart.quoting import (
    KickstartError,
    ks_argument,
    ks_hash,
    ks_text,
    ks_word,
    require_single_line,
)
from hardpan.profiles.constraints.system import is_key_accepted
from hardpan.profiles.loader.profile_file import install_digest
from hardpan.profiles.schema.machine import Partition
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.public_keys import validate_ssh_key

MARKER_COMPLETE = "HARDPAN-INSTALL: complete"
MARKER_FAILED = "HARDPAN-INSTALL: failed"
MARKER_HOST_KEY = "HARDPAN-HOSTKEY:"
REPORT_FILE = "/usr/lib/hardpan/report-failure.sh"
"""What each %post sources to report its failure; the last one removes it."""

_PASSPHRASE = re.compile(r"[A-Za-z0-9._:@+/][A-Za-z0-9._:@=+/-]{11,127}", re.ASCII)
_VOLUME_GROUP = "vg0"


def render_kickstart(
    profile: Profile, access_public_key: str, *, passphrase: str = "", offline: bool = False
) -> str:
    """Render the kickstart that installs ``profile`` with the operator's SSH key.

    ``access_public_key`` is an authorized_keys line; it may be empty if the profile has a key of
    the build user. ``passphrase`` is the LUKS passphrase and makes the text a secret.
    ``offline`` is for an ISO with the layers' files, which are applied at the first boot.

    Raises:
        KickstartError: a value is not safe in a kickstart.
        InputError: nobody could log in, or the passphrase is missing or invalid.
    """
    keys = _ssh_keys(profile, access_public_key)
    _check_passphrase(profile, passphrase)
    text = (
        _environment()
        .get_template(f"{profile.release}.ks.j2")
        .render(
            profile=profile,
            install_sha256=install_digest(profile),
            keys=keys,
            passphrase=passphrase,
            pin_settings=profile.storage.encryption.pin_settings,
            volume_group=_VOLUME_GROUP,
            plain=[p for p in profile.storage.partitions if _is_plain_partition(p)],
            logical=[
                (p, _volume_name(p))
                for p in profile.storage.partitions
                if not _is_plain_partition(p)
            ],
            arguments=profile.kernel_arguments,
            consoles=[a for a in profile.kernel_arguments if a.startswith("console=")],
            port=f"/dev/virtio-ports/{INSTALL_PORT}",
            complete=MARKER_COMPLETE,
            failed=MARKER_FAILED,
            report_file=REPORT_FILE,
            host_key=MARKER_HOST_KEY,
            offline=offline,
            iso_folder=ISO_FOLDER,
            layers_folder=LAYERS_FOLDER,
        )
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def contains_secret(text: str) -> bool:
    """Return whether a kickstart contains a LUKS passphrase; hashes do not count."""
    return any("--passphrase=" in line for line in text.splitlines() if line.startswith("part "))


@lru_cache(maxsize=1)  # compiling the templates takes ten times as long as rendering them
def _environment() -> Environment:
    environment = text_environment(
        resource_path("hardpan.kickstart", "templates"),
        finalize=require_single_line,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ks_word=ks_word, ks_argument=ks_argument, ks_text=ks_text, ks_hash=ks_hash
    )
    return environment


def _ssh_keys(profile: Profile, access_public_key: str) -> tuple[tuple[str, str], ...]:
    """Return user and key line of every key, the operator's first."""
    pairs = [(user.name, line) for user in profile.users for line in user.ssh_keys]
    if access_public_key.strip():
        pairs.insert(
            0, (profile.build_user, _check_operator_key(profile, access_public_key.strip()))
        )
    if all(user != profile.build_user for user, _ in pairs):
        raise InputError(
            f"no SSH key for {profile.build_user}: nobody could log in",
            hint="give the operator's public key, e.g. --key ~/.ssh/id_ecdsa.pub",
        )
    return tuple(dict.fromkeys(pairs))


def _check_operator_key(profile: Profile, line: str) -> str:
    try:
        validate_ssh_key(line)
    except PydanticCustomError as e:
        raise KickstartError(f"the operator's public key: {e.message()}") from e
    if not is_key_accepted(line, fips=profile.fips, release=profile.release):
        raise InputError(
            "the operator's public key is ssh-ed25519, which sshd refuses in FIPS mode",
            hint="make one that works: ssh-keygen -t ecdsa -b 256",
        )
    return line


def _check_passphrase(profile: Profile, passphrase: str) -> None:
    is_encrypted = profile.storage.encryption.mode == "luks2"
    if is_encrypted and not passphrase:
        raise InputError(
            "the profile requires LUKS and no passphrase was given",
            hint="write one to a file and pass it with --luks-passphrase-file",
        )
    if passphrase and not is_encrypted:
        raise InputError("a passphrase was given and the profile has 'encryption: mode: none'")
    if passphrase and not _PASSPHRASE.fullmatch(passphrase):
        # NOTE: the passphrase itself is not in the message.
        raise KickstartError(
            "expected a passphrase of 12 to 128 characters of A-Z a-z 0-9 . _ : @ = + / -"
        )


def _is_plain_partition(part: Partition) -> bool:
    return part.mount in ("/boot", "/boot/efi")


def _volume_name(part: Partition) -> str:
    """Return the logical volume's name: ``root``, ``var_log_audit``."""
    return "root" if part.mount == "/" else part.mount.strip("/").replace("/", "_")
