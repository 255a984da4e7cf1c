"""``hardpan build``: build an unattended ISO or a hardened image."""

import click

from hardpan.builder import pipeline
from hardpan.cli.build_options import BuildOptions, build_options, print_plan
from hardpan.core.console import print_json, print_line, show_progress
from hardpan.core.errors import UsageError
from hardpan.preflight.plan import make_plan
from hardpan.workflow.build_and_attest import build_image, prepare_build

_FORMATS = frozenset({"iso", "qcow2"})


@click.command()
@build_options
@click.option(
    "--as",
    "format_list",
    default="iso,qcow2",
    show_default=True,
    help="What to build: iso, qcow2, or both separated by a comma.",
)
def build(options: BuildOptions, format_list: str) -> int | None:
    """Build PROFILE: an unattended ISO, or a hardened and generalized image."""
    formats = _parse_formats(format_list)
    request = options.to_request()
    with show_progress(quiet=options.quiet) as emit:
        plan = make_plan(
            request,
            emit,
            builds_image="qcow2" in formats,
            check_media_digest=options.dry_run,
        )
        if options.dry_run:
            return print_plan(plan, as_json=options.as_json)
        plan.require_startable()
        if formats == {"iso"}:
            iso = pipeline.build_iso(prepare_build(request, emit))
            outputs = {"iso": str(iso.path), "iso_sha256": iso.sha256}
        else:
            image = build_image(request, emit)
            outputs = {
                "iso": str(image.iso.path),
                "iso_sha256": image.iso.sha256,
                "qcow2": str(image.hardened.disk.path),
                "qcow2_sha256": image.hardened.disk.sha256,
            }
    if options.as_json:
        print_json(outputs)
    else:
        for name, value in outputs.items():
            print_line(f"{name:<13} {value}")
    return None


def _parse_formats(text: str) -> frozenset[str]:
    """Return the formats of a comma-separated list.

    Raises:
        UsageError: one of them is unknown.
    """
    formats = frozenset(text.split(","))
    if not formats <= _FORMATS:
        raise UsageError(f"--as {text}: expected iso, qcow2 or both separated by a comma")
    return formats
