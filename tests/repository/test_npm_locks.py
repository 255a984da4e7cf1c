"""The npm lock files pin digests and contain no registry address."""

import json
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LOCKS = sorted(
    lock
    for folder in ("consumers/*", "tools/*")
    for lock in TESTS.glob(f"{folder}/package-lock.json")
)


def test_npm_lock_files_are_listed() -> None:
    assert [lock.parent.name for lock in LOCKS] == ["saf", "sarif_multitool", "stig_manager", "axe"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.parent.name)
def test_npm_lock_pins_digests_without_addresses(lock: Path) -> None:
    document = json.loads(lock.read_text("utf-8"))
    packages = document["packages"]
    # 'npm ci' reads the digests of version 3 alone; it installs these or ends.
    assert document["lockfileVersion"] == 3
    dependencies = json.loads(lock.with_name("package.json").read_text("utf-8"))["dependencies"]

    assert packages.pop("")["dependencies"] == dependencies
    # What a package brings inside of its own archive has the archive's digest.
    unbundled = {k: v for k, v in packages.items() if not v.get("inBundle")}
    assert [
        k for k, v in unbundled.items() if not v.get("integrity", "").startswith("sha512-")
    ] == []
    assert [k for k, v in packages.items() if "resolved" in v] == []
