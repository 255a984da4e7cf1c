"""What the installer is started with, beside the kickstart itself."""

from hardpan.kickstart.quoting import KickstartError, ks_word
from hardpan.profiles.schema.profile import Profile

_MAX_LABEL_CHARS = 32


def make_volume_label(profile: Profile) -> str:
    """A label for the unattended ISO: its own, for two media with one label are undefined.

    ISO 9660 gives it 32 characters; no blanks, which every boot loader escapes
    in its own way.
    """
    return f"HARDPAN-{profile.name.upper()}"[:_MAX_LABEL_CHARS].rstrip("-")


def boot_arguments(profile: Profile, volume_label: str) -> tuple[str, ...]:
    """The arguments that the installer of an unattended ISO gets on its command line.

    ``inst.ks=cdrom:`` would wait for ever when the file is not there, ``hd:LABEL``
    fails. ``fips=1`` is here and nowhere else: the installer carries it over with
    the ``boot=`` that the FIPS self-test needs.

    Raises:
        KickstartError: the label is longer than 32 characters or has odd ones.
    """
    if len(volume_label) > _MAX_LABEL_CHARS:
        raise KickstartError(
            f"expected a volume label of {_MAX_LABEL_CHARS} characters or less, found {volume_label!a}"
        )
    # The installed system keeps what Anaconda itself wrote (it tells whether FIPS was
    # on at install); with LUKS nothing is kept, for the passphrase would be in it.
    nosave = "all_ks" if profile.storage.encryption.mode == "luks2" else "input_ks"
    return (
        f"inst.ks=hd:LABEL={ks_word(volume_label)}:/ks.cfg",
        *(("fips=1",) if profile.fips else ()),
        "inst.text",
        "inst.cmdline",
        "inst.notmux",
        "inst.ksstrict",
        f"inst.nosave={nosave}",
        "console=tty0",
        "console=ttyS0,115200",
    )
