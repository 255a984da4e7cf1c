"""The files and variables of each layer, collected without a machine."""

import json
import tarfile
from pathlib import Path

import pytest

from hardpan.builder.ai_models import embedding
from hardpan.builder.artifacts import Assessment
from hardpan.builder.layers import registry
from hardpan.builder.layers.base import LayerPreparation, PreparedLayer
from hardpan.core.errors import InputError
from hardpan.core.events import discard
from hardpan.core.files import Sha256
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile
from hardpan.profiles.schema.ssg import RULE_PREFIX, Fix

LAB, LAB_AI = load_profile("lab-stig"), load_profile("lab-ai")
RUNTIME = "/var/lib/x/layers/1"
FIXES = (
    Fix(rule_id=f"{RULE_PREFIX}sample_rule", severity="high", script="echo sample\n"),
    Fix(rule_id=f"{RULE_PREFIX}mount_option_home_nosuid", severity="low", script="echo no\n"),
)


def prepare(
    name: str, profile: Profile, tmp_path: Path, *, runtime_folder: str = RUNTIME
) -> PreparedLayer:
    folder = tmp_path / "files"
    folder.mkdir()
    return registry.LAYERS[name].prepare(
        LayerPreparation(
            layer=name,
            profile=profile,
            assessment=Assessment(content_sha256=Sha256("0" * 64), counts={}, fixes=FIXES),
            cache=tmp_path,
            folder=folder,
            emit=discard,
            runtime_folder=runtime_folder,
        )
    )


def member_texts(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {m.name: f.read() for m in tar if (f := tar.extractfile(m)) is not None}


@pytest.fixture(autouse=True)
def model_files(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"opt/ai/models/x/model.bin": b"weights"}
    monkeypatch.setattr(embedding, "prepare_files", lambda _cache, _emit: files)


def test_fixes_of_failing_rules_become_an_archive(tmp_path: Path) -> None:
    prepared = prepare("stig", LAB, tmp_path)

    members = member_texts(tmp_path / "files/fixes.tar")
    assert prepared.variables["stig_archive"] == f"{RUNTIME}/fixes.tar"
    assert prepared.variables["stig_outcomes"] == f"{RUNTIME}/outcomes.json"
    assert members["fixes/000.sh"] == b"echo sample\n"
    # Mount options are never changed by a fix.
    assert json.loads(members["manifest.json"])["rules"] == [f"{RULE_PREFIX}sample_rule"]


def test_model_archive_has_its_installer(tmp_path: Path) -> None:
    prepared = prepare("ml_cpu", LAB, tmp_path)

    members = member_texts(tmp_path / "files/model.tar")
    assert prepared.variables["ml_cpu_archive"] == f"{RUNTIME}/model.tar"
    assert members["opt/ai/models/x/model.bin"] == b"weights"
    assert members["install.sh"].startswith(b"#!/bin/sh")


def test_variables_name_the_folder_itself_by_default(tmp_path: Path) -> None:
    prepared = prepare("ml_cpu", LAB, tmp_path, runtime_folder="")

    assert prepared.variables["ml_cpu_archive"] == str(tmp_path / "files/model.tar")


def test_service_archive_has_its_installer(tmp_path: Path) -> None:
    prepared = prepare("ai_service", LAB_AI, tmp_path)

    assert prepared.variables["ai_service_archive"] == f"{RUNTIME}/ai_service.tar"
    assert "install.sh" in member_texts(tmp_path / "files/ai_service.tar")


@pytest.mark.parametrize("name", ["audit", "kernel_hardening", "tuning"])
def test_layer_with_a_plan_has_no_files(name: str, tmp_path: Path) -> None:
    prepared = prepare(name, LAB_AI, tmp_path)

    assert prepared.variables == registry.LAYERS[name].planned_variables(LAB_AI)
    assert list((tmp_path / "files").iterdir()) == []


def test_prepared_variables_are_those_of_the_plan(tmp_path: Path) -> None:
    for number, name in enumerate(("stig", "ml_cpu")):
        folder = tmp_path / str(number)
        folder.mkdir()
        planned = registry.LAYERS[name].planned_variables(LAB)
        assert prepare(name, LAB, folder).variables.keys() == planned.keys()


@pytest.mark.parametrize(
    ("profile", "layer", "obstacle"),
    [
        ("lab-stig", "stig", ""),
        ("lab-ai", "ml_frameworks", ""),
        (
            "rocky9-ai",
            "nvidia_driver",
            "its kernel modules are built in the build guest, and signed on the build machine",
        ),
        (
            "rocky9-ai",
            "cuda",
            "its packages come from the repository cuda, not from the install media",
        ),
    ],
)
def test_layer_reports_its_need_of_a_network(profile: str, layer: str, obstacle: str) -> None:
    assert registry.LAYERS[layer].offline_obstacle(load_profile(profile)) == obstacle


def test_key_that_does_not_match_its_pin_ends_the_preparation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_repository: object) -> bytes:
        raise InputError("another key")

    monkeypatch.setattr("hardpan.builder.layers.vendor_packages.load_signing_key", refuse)

    with pytest.raises(InputError, match="another key"):
        prepare("cuda", load_profile("rocky9-ai"), tmp_path)
