"""``hardpan render``: write the inputs of a build as files, without running anything."""

from collections.abc import Mapping
from pathlib import Path

import click
import yaml

from hardpan import kickstart
from hardpan.builder import build_manifest
from hardpan.core.console import print_message, stderr
from hardpan.core.errors import InputError
from hardpan.core.files import PRIVATE_MODE, atomic_path
from hardpan.core.secret_files import read_passphrase
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.workflow.stig_exceptions import decide_exceptions

_MAX_KEY_BYTES = 64 * 1024


@click.command()
@click.argument("profile")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Output folder; created, or an earlier render in it is replaced.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="SSH public key of the operator, added to the build user.",
)
@click.option(
    "--luks-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File (mode 0600) whose first line is the LUKS passphrase; makes the kickstart a secret.",
)
def render(profile: str, output: Path, key: Path | None, luks_passphrase_file: Path | None) -> None:
    """Write the kickstart and the build inputs of PROFILE."""
    loaded = load_profile(profile)
    text = kickstart.render_kickstart(
        loaded,
        _read_public_key(key) if key else "",
        passphrase=read_passphrase(luks_passphrase_file) if luks_passphrase_file else "",
    )
    kickstart.lint_or_raise(text, loaded.release)
    _write_files(
        output,
        {
            "ks.cfg": text,
            "build.yaml": _to_yaml(build_manifest.describe_build(loaded, text)),
            "waivers.yaml": _to_yaml(build_manifest.describe_waivers(loaded)),
            "layers.yaml": _to_yaml(build_manifest.describe_layers(loaded)),
            "exceptions.md": decide_exceptions(loaded).document,
        },
    )
    print_message(
        stderr, f"wrote {output}: ks.cfg, build.yaml, waivers.yaml, layers.yaml, exceptions.md"
    )


def _read_public_key(path: Path) -> str:
    try:
        with path.open("rb") as f:
            data = f.read(_MAX_KEY_BYTES)
        lines = data.decode("utf-8").splitlines()
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise InputError(f"{path}: expected a public key, got binary data") from e
    if "PRIVATE KEY" in (lines or [""])[0]:
        raise InputError(f"{path}: expected a public key, got a private one")
    if len(lines) != 1 or not lines[0]:
        raise InputError(f"{path}: expected one line with a public key, got {len(lines)} lines")
    return lines[0]


def _write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write all files at once; replaces an earlier render, but nothing else.

    Kickstarts contain password hashes, so the files are readable by their owner only.
    """
    if folder.is_dir():
        unexpected = sorted({p.name for p in folder.iterdir()} - set(files))
        if unexpected:
            raise InputError(
                f"{folder}: expected an empty folder or an earlier render, got {unexpected[0]!a}",
                hint="choose another folder",
            )
    with atomic_path(folder) as temp:
        temp.mkdir(mode=0o700)
        for name, text in files.items():
            (temp / name).write_text(text, "utf-8")
            (temp / name).chmod(PRIVATE_MODE)


def _to_yaml(value: object) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, width=100, explicit_start=True))
