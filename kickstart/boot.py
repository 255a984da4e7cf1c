"""Boot arguments of the installer and the volume label of the ISO."""

from hardpan.core.files import sha256_bytes
from hardpan.kickstart.quoting import KickstartError, ks_word
from hardpan.profiles.schema.profile import Profile

CONSOLE_ARGUMENTS = ("console=ttyS0,115200", "console=tty0")
"""Consoles of the unattended installer. The last one is /dev/console, where Anaconda and emergency
shells write: the screen, because a server may have no serial port."""

_MAX_LABEL_CHARS = 32
_DIGEST_CHARS = 8


def make_volume_label(profile: Profile) -> str:
    """Return a volume label for the unattended ISO that differs from the media's.

    ISO 9660 allows 32 characters; blanks are avoided because boot loaders escape them differently.
    A longer name is cut and ends with its digest, so that the labels of two profiles differ.
    """
    label = f"HARDPAN-{profile.name.upper()}"
    if len(label) <= _MAX_LABEL_CHARS:
        return label
    digest = sha256_bytes(profile.name.encode())[:_DIGEST_CHARS].upper()
    return f"{label[: _MAX_LABEL_CHARS - _DIGEST_CHARS - 1]}-{digest}"


def boot_arguments(profile: Profile, volume_label: str) -> tuple[str, ...]:
    """Return the kernel arguments of the unattended installer.

    ``inst.ks=cdrom:`` would wait for a missing file, ``hd:LABEL`` fails. ``fips=1`` is set only
    here: the installer copies it to the installed system with the ``boot=`` that the FIPS
    self-test needs.

    Raises:
        KickstartError: the label is longer than 32 characters or has unsafe characters.
    """
    if len(volume_label) > _MAX_LABEL_CHARS:
        raise KickstartError(
            f"expected a volume label of {_MAX_LABEL_CHARS} characters or less,"
            f" got {volume_label!a}"
        )
    # The installed system retains Anaconda's logs (they show whether FIPS was on at install); with
    # LUKS nothing is retained, because the passphrase would be in it.
    nosave = "all_ks" if profile.storage.encryption.mode == "luks2" else "input_ks"
    return (
        f"inst.ks=hd:LABEL={ks_word(volume_label)}:/ks.cfg",
        *(("fips=1",) if profile.fips else ()),
        "inst.text",
        "inst.cmdline",
        "inst.notmux",
        "inst.ksstrict",
        f"inst.nosave={nosave}",
        *CONSOLE_ARGUMENTS,
    )
