"""``hardpan media list`` and ``hardpan media fetch``: published install images."""

from collections.abc import Iterator
from pathlib import Path

import click

from hardpan.builder.media.download import download_image
from hardpan.builder.media.download_plan import choose_image, plan_download
from hardpan.builder.media.expected_digest import DigestOptions
from hardpan.builder.media.published_images import ImageKind, PublishedImage, published_images
from hardpan.cli.checksum_options import checksum_options
from hardpan.core import events
from hardpan.core.console import print_json, print_line, show_progress

_USES = {
    ImageKind.DVD: "for builds",
    ImageKind.MINIMAL: "refused: no AppStream",
    ImageKind.BOOT: "refused: no packages",
}


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_images(as_json: bool) -> None:
    """List the install images of Rocky Linux, with size, digest and who states them.

    A dash is for what no public source states. Builds use DVDs; the other images are listed
    because an ISO is recognized by its digest.
    """
    if as_json:
        print_json(
            [image.model_dump(mode="json") for image in published_images()],
            indent=2,
        )
        return
    for line in _describe_images():
        print_line(line)


@click.command()
@click.argument("image")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder of the image; default: the current one.",
)
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="Folder with VERSION/isos/ARCH/FILE; repeat it for more. Default: the distributor's.",
)
@click.option(
    "--arch",
    type=click.Choice(["x86_64", "aarch64"]),
    default="x86_64",
    show_default=True,
    help="Architecture, where IMAGE is a release.",
)
@checksum_options
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
def fetch(
    image: str,
    output: Path,
    mirrors: tuple[str, ...],
    arch: str,
    digest: DigestOptions,
    quiet: bool,
) -> None:
    """Download IMAGE, a file name of 'hardpan media list', or rocky9 or rocky10.

    A download that was cut or interrupted is continued, from another mirror if necessary. The image
    gets its name only if it has the digest of hardpan's list, of --media-sha256 or of a CHECKSUM
    file with a valid signature, which is downloaded if the list has no digest.
    """
    chosen = choose_image(image, arch)
    with show_progress(quiet=quiet) as emit, events.run_stage(emit, "fetch"):
        download = plan_download(chosen, digest, folder=output, mirrors=mirrors)
        path = download_image(download, emit)
    print_line(f"{path}  {download.expected.sha256}  verified by: {download.expected.stated_by}")


def _describe_images() -> Iterator[str]:
    yield f"{'image':<31}{'MiB':>6}  {'use':<21}  {'stated by':<11}  sha256"
    for image in published_images():
        yield (
            f"{image.name:<31}{_describe_size(image):>6}  {_USES[image.kind]:<21}"
            f"  {image.source.label:<11}  {image.sha256 or '-'}"
        )


def _describe_size(image: PublishedImage) -> str:
    return "-" if image.size_bytes is None else str(-(-image.size_bytes >> 20))
