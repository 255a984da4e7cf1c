"""A file that nobody signed."""

from tests.tamper.kit import Evidence, rezipped

_MORE = {"report-final.html": b"<h1>all is well</h1>"}

VARIANTS = {
    "twin": lambda w: Evidence(files=w.good),
    "beside the others": lambda w: Evidence(files={**w.good, **_MORE}),
    "hidden": lambda w: Evidence(
        files={**w.good, ".report.html": b"x"},
        archive=rezipped({**w.good, ".report.html": b"x"}),
    ),
    "in a folder": lambda w: Evidence(files={**w.good, "more/report.html": b"x"}),
    "an empty folder": lambda w: Evidence(
        files=w.good, archive=rezipped({**w.good, "more/": b""}), special=(("more", "folder"),)
    ),
}
