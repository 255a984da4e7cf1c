"""An unsigned file is added."""

from tests.tamper.kit import Evidence, build_zip

_MORE = {"report-final.html": b"<h1>all is well</h1>"}

VARIANTS = {
    "control": lambda kit: Evidence(files=kit.valid_files),
    "next to the others": lambda kit: Evidence(files={**kit.valid_files, **_MORE}),
    "hidden": lambda kit: Evidence(
        files={**kit.valid_files, ".report.html": b"x"},
        archive=build_zip({**kit.valid_files, ".report.html": b"x"}),
    ),
    "in a folder": lambda kit: Evidence(files={**kit.valid_files, "more/report.html": b"x"}),
    "an empty folder": lambda kit: Evidence(
        files=kit.valid_files,
        archive=build_zip({**kit.valid_files, "more/": b""}),
        special=(("more", "folder"),),
    ),
}
