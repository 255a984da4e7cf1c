"""``hardpan build``: build an unattended ISO or a hardened image."""

from collections.abc import Iterable
from dataclasses import replace

import click

from hardpan.builder import pipeline
from hardpan.builder.artifacts import ImageFile
from hardpan.builder.vm.disk_format import DISK_FORMATS
from hardpan.cli.build_options import BuildOptions, build_options, print_plan
from hardpan.core.console import print_json, print_line, show_progress
from hardpan.core.errors import UsageError
from hardpan.core.events import Emit
from hardpan.preflight.plan import make_plan
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
def build(options: BuildOptions, formats: tuple[str, ...]) -> int | None:
    """Build PROFILE: an unattended ISO, or a hardened and generalized image."""
    names = _parse_formats(formats)
    disk_formats = tuple(name for name in DISK_FORMATS if name in names)
    request = replace(options.to_request(), image_formats=disk_formats)
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
        return {"iso": str(iso.path), "iso_sha256": iso.sha256}, ()
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
