"""The lock files of the programs from npm: held by digests, with no address of a registry."""

import json
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
LOCKS = sorted(
    place
    for room in ("interop/*", "tooling/*")
    for place in TESTS.glob(f"{room}/package-lock.json")
)


def test_there_are_three() -> None:
    assert [place.parent.name for place in LOCKS] == ["saf", "stig_manager", "axe"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda place: place.parent.name)
def test_each_package_has_a_digest_and_no_address(lock: Path) -> None:
    document = json.loads(lock.read_text("utf-8"))
    packages = document["packages"]
    # 'npm ci' reads the digests of version 3 alone; it installs these or ends.
    assert document["lockfileVersion"] == 3
    wanted = json.loads(lock.with_name("package.json").read_text("utf-8"))["dependencies"]

    assert packages.pop("")["dependencies"] == wanted
    # What a package brings inside of its own archive has the archive's digest.
    told = {k: v for k, v in packages.items() if not v.get("inBundle")}
    assert [k for k, v in told.items() if not v.get("integrity", "").startswith("sha512-")] == []
    assert [k for k, v in packages.items() if "resolved" in v] == []
