"""Write the unattended ISO once: ``python -m tests.benchmarks.iso_once MEDIA OUTPUT``."""

import sys
from pathlib import Path

from hardpan.builder.artifacts import InstallMedia
from hardpan.builder.media.remaster import remaster
from hardpan.core.events import discard
from hardpan.core.files import Sha256

LABEL = "HARDPAN-BENCH"


def main(media: Path, destination: Path) -> None:
    """Write it as a build does; the digest of the media is known from the build's first stage."""
    remaster(
        InstallMedia(
            path=media,
            sha256=Sha256("0" * 64),
            size_bytes=media.stat().st_size,
            volume_id="",
            name="bench",
        ),
        "text\n",
        destination,
        arguments=(f"inst.ks=hd:LABEL={LABEL}:/ks.cfg", "fips=1"),
        secret=False,
        emit=discard,
        volume_id=LABEL,
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
