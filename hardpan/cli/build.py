"""``hardpan build``: build an unattended ISO or a hardened image."""

from collections.abc import Iterable
from dataclasses import replace

import click
from pydantic_core import PydanticCustomError

from hardpan.builder import pipeline
from hardpan.builder.artifacts import ImageFile
from hardpan.builder.offline.packages import with_offline_packages
from hardpan.builder.vm.disk_format import DISK_FORMATS
from hardpan.cli.build_options import BuildOptions, build_options, print_plan
from hardpan.core.console import print_json, print_line, show_progress
from hardpan.core.errors import UsageError
from hardpan.core.events import Emit
from hardpan.core.files import MiB
from hardpan.preflight.plan import make_plan
from hardpan.profiles.schema.types import parse_size_mib
from hardpan.workflow.build_and_attest import AttestedImage, build_image, prepare_build
from hardpan.workflow.image_receipt import describe_files, write_receipt
from hardpan.workflow.request import BuildRequest, lock_outputs

_FORMAT_NAMES = ("iso", *DISK_FORMATS)


@click.command()
@build_options
@click.option(
    "--format",
    "--as",
    "formats",
    multiple=True,
    default=("iso", "qcow2"),
    show_default="iso,qcow2",
    metavar="FORMAT",
    help=f"What to build, repeatable or separated by commas: {', '.join(_FORMAT_NAMES)}.",
)
@click.option(
    "--offline",
    is_flag=True,
    help="Add all that the layers need to the ISO: they run at the first boot without a network."
    " For --format iso.",
)
@click.option(
    "--max-size",
    metavar="SIZE",
    help="Limit of an ISO with --offline, e.g. '16 GiB'; default: 32 GiB.",
)
def build(
    options: BuildOptions, formats: tuple[str, ...], offline: bool, max_size: str | None
) -> int | None:
    """Build PROFILE: an unattended ISO, or a hardened and generalized image."""
    names = _parse_formats(formats)
    disk_formats = tuple(name for name in DISK_FORMATS if name in names)
    max_iso_mib = _parse_max_size(max_size, offline=offline)
    request = replace(options.to_request(), image_formats=disk_formats)
    if offline:
        _require_iso_only(names)
        profile = with_offline_packages(request.profile)
        request = replace(request, profile=profile, offline=True, max_iso_mib=max_iso_mib)
    with show_progress(quiet=options.quiet) as emit:
        plan = make_plan(
            request,
            emit,
            builds_image=bool(disk_formats),
            check_media_digest=options.dry_run and not options.explain,
            may_skip_checks=not options.plans_only,
        )
        if options.plans_only:
            return print_plan(plan, options)
        plan.require_startable()
        with lock_outputs(request, emit):
            outputs, files = _build_formats(request, bool(disk_formats), emit)
    if options.as_json:
        print_json(outputs)
    else:
        _print_outputs(outputs, files)
    return None


def _build_formats(
    request: BuildRequest, builds_image: bool, emit: Emit
) -> tuple[dict[str, object], tuple[ImageFile, ...]]:
    if not builds_image:
        iso = pipeline.build_iso(prepare_build(request, emit))
        outputs: dict[str, object] = {"iso": str(iso.path), "iso_sha256": iso.sha256}
        if iso.payload_sha256:
            outputs["layers_sha256"] = iso.payload_sha256
        return outputs, ()
    image = build_image(request, emit)
    files = image.hardened.files
    write_receipt(files, request.profile.name, request.output_folder)
    return _describe_outputs(image), files


def _describe_outputs(image: AttestedImage) -> dict[str, object]:
    disk = image.hardened.disk
    return {
        "iso": str(image.iso.path),
        "iso_sha256": image.iso.sha256,
        "qcow2": str(disk.path),
        "qcow2_sha256": disk.sha256,
        "images": describe_files(image.hardened.files),
    }


def _print_outputs(outputs: dict[str, object], files: Iterable[ImageFile]) -> None:
    for name, value in outputs.items():
        if name != "images":
            print_line(f"{name:<13} {value}")
    for file in files:
        sizes = f"{file.file_bytes >> 20} MiB for a disk of {file.virtual_bytes >> 20} MiB"
        print_line(f"{file.format:<13} {file.path.name}: {sizes}, sha256 {file.sha256}")


def _require_iso_only(names: frozenset[str]) -> None:
    if names != {"iso"}:
        others = ", ".join(sorted(names - {"iso"})) or "none"
        raise UsageError(
            f"--offline: expected --format iso alone, got {others}: the layers of a disk image are"
            " applied during the build"
        )


def _parse_max_size(text: str | None, *, offline: bool) -> MiB | None:
    """Return the limit of the ISO in MiB; None without one.

    Raises:
        UsageError: it is no size, or there is no --offline.
    """
    if text is None:
        return None
    if not offline:
        raise UsageError("--max-size: expected --offline too: other ISOs have the media's size")
    try:
        return parse_size_mib(text)
    except PydanticCustomError as e:
        raise UsageError(f"--max-size: {e.message()}") from e


def _parse_formats(texts: Iterable[str]) -> frozenset[str]:
    """Return the formats of the options, each of which may be a comma-separated list.

    Raises:
        UsageError: one of them is unknown.
    """
    names = [name for text in texts for name in text.split(",")]
    if unknown := [name for name in names if name not in _FORMAT_NAMES]:
        expected = ", ".join(_FORMAT_NAMES)
        raise UsageError(f"--format {unknown[0]}: expected some of {expected}")
    return frozenset(names)
