"""``hardpan scan image:FILE``: an image that hardpan built, in a virtual machine."""

import json
import sys
import zipfile
from pathlib import Path

import pytest

from hardpan.core.files import sha256_file
from hardpan.core.process import run
from tests.integration.conftest import DATA, REPO, ProveRun

pytestmark = [pytest.mark.integration, pytest.mark.system]


def test_built_image_is_booted_scanned_and_not_modified(proved: ProveRun, tmp_path: Path) -> None:
    image = proved.output_folder / "lab-stig.qcow2"
    digest = sha256_file(image)
    evidence = tmp_path / "x.evidence.zip"
    argv: list[object] = [sys.executable, "-m", "hardpan", "scan", f"image:{image}"]
    argv += ["--profile", "lab-stig", "--no-smoke", "-o", evidence]

    environment = {"XDG_DATA_HOME": str(DATA)}
    run([str(a) for a in argv], timeout_s=3600, ok=(0, 1), cwd=REPO, env=environment)

    with zipfile.ZipFile(evidence) as archive:
        findings = json.loads(archive.read("findings.json"))
    assert findings["host"]["hostKeyTrust"] == "built_image"
    assert findings["image"]["sha256"] == digest
    assert sha256_file(image) == digest
    assert findings["counts"]["pass"] > findings["counts"]["fail"]
