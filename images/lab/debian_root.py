# SPDX-License-Identifier: GPL-2.0-or-later
"""The root with the Debian packages, as apt installs them: the same for every release."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hardpan.core.files import canonical_json, sha256_bytes, sha256_file
from hardpan.core.process import run
from images.lab.media_definition import MediaDefinition
from images.lab.mirror import DOWNLOAD_LIMIT_S, KEYRING, Mirror, format_download_options
from images.lab.root import NAMESPACE_ARGV

# What no image needs and what costs time to unpack. Copyright files stay.
_EXCLUDED = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/bug/*",
    "force-unsafe-io",
)


# Debian's dracut makes an initramfs when it is installed. Nobody uses it, so it is an empty one.
_DRACUT_CONFIG = '"$1"/etc/dracut.conf.d/00-unused.conf'
_SMALL_INITRAMFS = (
    'mkdir -p "$1"/etc/dracut.conf.d && '
    f"printf 'dracutmodules=base\\nno_kernel=yes\\ncompress=cat\\n' >{_DRACUT_CONFIG}"
)


def provide_debian_root(
    definition: MediaDefinition,
    mirror: Mirror,
    cache: Path,
    versions: Mapping[str, str],
    on_progress: Callable[[str], None],
) -> Path:
    """Return the folder of the root, from the cache if no package's version has changed.

    A change of the EL shape does not unpack the packages again. Older roots are removed.
    """
    inputs = {"versions": dict(versions), "program": sha256_file(Path(__file__))}
    folder = cache / f"debian-{sha256_bytes(canonical_json(inputs))[:16]}"
    if folder.is_dir():
        on_progress("Debian packages are reused from a previous build")
        return folder
    on_progress(f"assembling {len(definition.install_packages)} packages and what they need")
    for path in cache.glob("debian-*"):
        shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=cache) as temp_name:
        root = Path(temp_name) / "root"
        install_debian_packages(definition, mirror, root, on_progress)
        root.rename(folder)
    return folder


def install_debian_packages(
    definition: MediaDefinition, mirror: Mirror, root: Path, on_progress: Callable[[str], None]
) -> None:
    """Install the recipe's Debian packages into ``root`` with apt's signed metadata."""
    apt_options = (
        'Apt::Install-Recommends "false"',
        'Acquire::Languages "none"',
        *format_download_options(),
        *(p.rstrip(";") for p in mirror.proxies),
    )
    run(
        [
            *NAMESPACE_ARGV,
            "--mount-proc",
            "mmdebstrap",
            "--mode=root",
            "--format=directory",
            "--variant=essential",
            "--components=main",
            "--architectures=amd64",
            f"--keyring={KEYRING}",
            *(f"--aptopt={o}" for o in apt_options),
            *(f"--dpkgopt={o}" for o in _EXCLUDED),
            f"--include={','.join(definition.install_packages)}",
            *(f"--essential-hook={_SMALL_INITRAMFS}", f"--customize-hook=rm {_DRACUT_CONFIG}"),
            mirror.suite,
            root,
            mirror.uri,
        ],
        timeout_s=DOWNLOAD_LIMIT_S,
        env={"DEBIAN_FRONTEND": "noninteractive"},
        on_line=lambda line: (
            on_progress(line.removeprefix("I: ")) if line.startswith("I: ") else None
        ),
    )
