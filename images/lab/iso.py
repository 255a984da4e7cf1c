# SPDX-License-Identifier: GPL-2.0-or-later
"""The ISO: its description files and its boot records, laid out as EL 10 has them."""

import io
from collections.abc import Mapping
from configparser import RawConfigParser
from pathlib import Path

from hardpan.core.files import Sha256, sha256_file
from hardpan.core.process import run
from images.lab.media_definition import MediaDefinition

_ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_BASIC_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
CHECKSUMMED_FILES = (
    "images/install.img",
    "images/pxeboot/initrd.img",
    "images/pxeboot/vmlinuz",
    "BaseOS/repodata/repomd.xml",
    "AppStream/repodata/repomd.xml",
)
"""Files whose digests ``.treeinfo`` names; eltorito.img is patched while the ISO is written."""


def render_treeinfo(
    definition: MediaDefinition, checksums: Mapping[str, Sha256], timestamp: int
) -> str:
    """The media's description in productmd's format, version 1.2."""
    ini = RawConfigParser()
    ini.optionxform = str  # type: ignore[assignment,method-assign]  # names are case-sensitive
    platform = {"kernel": "images/pxeboot/vmlinuz", "initrd": "images/pxeboot/initrd.img"}
    general = {
        "arch": "x86_64",
        "family": "hardpan lab",
        "name": f"hardpan lab {definition.release}",
        "platforms": "x86_64",
        "repository": "BaseOS",
        "packagedir": "BaseOS/Packages",
        "timestamp": str(timestamp),
        "variant": "BaseOS",
        "variants": "AppStream,BaseOS",
        "version": definition.release,
    }
    sections: dict[str, dict[str, str]] = {
        "header": {"type": "productmd.treeinfo", "version": "1.2"},
        "release": {"name": "hardpan lab", "short": "HPL", "version": definition.release},
        "tree": {
            "arch": "x86_64",
            "build_timestamp": str(timestamp),
            "platforms": "x86_64",
            "variants": "AppStream,BaseOS",
        },
        "checksums": {name: f"sha256:{digest}" for name, digest in sorted(checksums.items())},
        "general": general,
        "images-x86_64": platform,
        "stage2": {"mainimage": "images/install.img"},
        **{
            f"variant-{v}": {
                "id": v,
                "name": v,
                "packages": f"{v}/Packages",
                "repository": v,
                "type": "variant",
                "uid": v,
            }
            for v in ("AppStream", "BaseOS")
        },
    }
    ini.read_dict(sections)
    out = io.StringIO()
    ini.write(out)
    return out.getvalue()


def render_discinfo(definition: MediaDefinition, timestamp: int) -> str:
    """The four lines that installers read: when, what, for which machine, which disc."""
    return f"{timestamp}.000000\nhardpan lab {definition.release}\nx86_64\nALL\n"


def write_descriptions(definition: MediaDefinition, tree: Path, timestamp: int) -> None:
    """Write the description files into the media's tree."""
    sums = {name: sha256_file(tree / name) for name in CHECKSUMMED_FILES}
    (tree / ".treeinfo").write_text(render_treeinfo(definition, sums, timestamp), "utf-8")
    (tree / ".discinfo").write_text(render_discinfo(definition, timestamp), "utf-8")


def master_iso(definition: MediaDefinition, tree: Path, esp: Path, mbr: Path, out: Path) -> None:
    """Write the ISO. Boots by BIOS and UEFI, as a CD and as a disk."""
    run(
        [
            *("xorriso", "-as", "mkisofs", "-quiet", "-o", out),
            *("-R", "-J", "-joliet-long", "-iso-level", "3", "-V", definition.volume_label),
            # The protective layout of lorax for EL 10: a GPT whose second
            # partition is the ESP, appended behind the ISO9660 data.
            *("--grub2-mbr", mbr, "-partition_offset", "16", "-appended_part_as_gpt"),
            *("-append_partition", "2", _ESP, esp, "-iso_mbr_part_type", _BASIC_DATA),
            *("--boot-catalog-hide", "-b", "images/eltorito.img"),
            *("-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"),
            *("-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::"),
            *("-no-emul-boot", tree),
        ],
        timeout_s=300,
        hint="install xorriso",
    )
