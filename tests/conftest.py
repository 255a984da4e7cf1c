"""Order of the tests for several processors (pytest-xdist), and the end of a failed run.

``--dist loadfile`` gives a whole file to one worker, since its fixtures are module-wide and
expensive. The order decides how well the workers fill two processors. The demo's file comes first:
everything in it runs one after the other for a quarter of an hour, on one to one and a half
processors. Next to it run the unit tests, until the demo has built the lab media, and then the long
files, so that the last ones to end are short. The demo decides how long the whole run takes, so
the other workers yield the processors to it (``nice``).
"""

import os
from functools import lru_cache
from pathlib import Path

import pytest

from hardpan.core.yaml_source import YamlNode
from hardpan.profiles.loader import profile_file
from tests.tools import versions

_FOLDER = Path(__file__).parent
_WITHOUT_PROCESSES = ("repository", "tamper", "unit")
_LONG_FILES = (
    "test_ai_service",
    "test_setup",
    "test_tamper",
    "test_vendor_layers",
    "test_boot_modes",
    "test_first_scan",
    "test_ml_frameworks",
    "test_vm",
    "test_trestle",
    "test_html_report",
)
"""More than a minute each, the longest first."""


def pytest_configure(config: pytest.Config) -> None:
    """Lower the priority of every worker but the first, which gets the demo; cache profiles."""
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0":
        os.nice(10)
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    _cache_profile_parser(patch)


def _cache_profile_parser(patch: pytest.MonkeyPatch) -> None:
    """Parse each YAML file once: parsing a profile takes longer than most tests."""
    parse = lru_cache(maxsize=64)(profile_file.read_yaml)

    def read(data: bytes, file: str) -> YamlNode:
        tree = parse(data, file)
        # The loader takes ``extends`` out of the map that it is given.
        value = dict(tree.value) if isinstance(tree.value, dict) else tree.value
        return YamlNode(value=value, location=tree.location)

    patch.setattr(profile_file, "read_yaml", read)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by file."""

    def rank(item: pytest.Item) -> int:
        if item.get_closest_marker("demo"):
            return -2
        if item.path.relative_to(_FOLDER).parts[0] in _WITHOUT_PROCESSES:
            return -1
        name = item.path.stem
        return _LONG_FILES.index(name) if name in _LONG_FILES else len(_LONG_FILES)

    items.sort(key=rank)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print, below the failures, the installed versions that are not tested yet."""
    if not (terminalreporter.stats.get("failed") or terminalreporter.stats.get("error")):
        return
    lines = versions.list_changes(
        versions.read_record(versions.TESTED), versions.current_versions()
    )
    if lines:
        terminalreporter.section("changed since these tests last passed")
        for line in (*lines, *versions.HINT.splitlines()):
            terminalreporter.write_line(line)
