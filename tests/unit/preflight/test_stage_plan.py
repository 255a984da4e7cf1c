"""Which stages a run would reuse, determined from records alone."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from hardpan.builder import stages as build_stages
from hardpan.builder.artifacts import SshAccess
from hardpan.builder.build_lock import BuildLock, LockedFile
from hardpan.builder.layers import registry
from hardpan.builder.media import sources
from hardpan.builder.vm.disk_format import DISK_FORMATS
from hardpan.core import clock
from hardpan.core.events import discard
from hardpan.core.files import Sha256, sha256_bytes, sha256_file
from hardpan.core.stage_cache import CachedStage
from hardpan.kickstart import boot_arguments, make_volume_label
from hardpan.preflight.plan import RunPlan, make_plan
from hardpan.preflight.stage_plan import PlannedStage
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.scanners.deviations.tailoring_file import load_tailoring
from hardpan.workflow import keyring, stages
from hardpan.workflow.key_set import create_keys
from hardpan.workflow.request import BuildRequest
from images.lab import build as lab
from tests.unit import fake_host
from tests.unit.evidence.evidence_fixture import KEYS_CREATED_AT

KEY = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwN"
    "Dg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= hardpan-operator"
)
LABEL = "HARDPAN-LAB-9"


@pytest.fixture
def request_with_media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildRequest:
    """A request on a machine whose cache has media and keys."""
    fake_host.install(monkeypatch)
    cache = tmp_path / "cache"
    cache.mkdir()
    media = cache / "lab.iso"
    media.write_bytes(b"media")
    receipt = {"iso": str(media), "sha256": sha256_file(media), "size": 5, "volume_label": LABEL}
    monkeypatch.setattr(sources, "_run_media_builder", lambda *_, **__: receipt)
    access = SshAccess(user="steward", private_key=cache / "id", public_key=KEY)
    monkeypatch.setattr(keyring, "find_operator_key", lambda *_: access)
    create_keys(cache / "keys", now=KEYS_CREATED_AT)
    return BuildRequest(
        profile=load_profile("lab-stig"),
        output_folder=tmp_path / "out",
        cache_folder=cache,
        data_folder=cache,
    )


def run_recorded(stage: CachedStage, sha256: str) -> None:
    """Write the outputs and the record of a stage."""

    def execute(_note: object) -> dict[str, object]:
        for path in stage.outputs:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"made")
        return {"sha256": sha256}

    stage.run(discard, execute)


ISO, BASE, MODEL, HARDENED, GENERALIZED, IMAGE = (Sha256(x * 64) for x in "abcdef")
LAYER_STAGES = ("layer-ml_cpu", "layer-stig")
IMAGE_STAGES = (*LAYER_STAGES, "sysprep", "image")


def run_until(request: BuildRequest, last_stage: str) -> None:
    """Write the records of a run up to ``last_stage``."""
    profile, run_plan = request.profile, make_plan(request, discard)
    out, cache = request.output_folder, request.cache_folder
    media, content, ring = (
        run_plan.environment.media,
        run_plan.environment.content,
        run_plan.environment.keyring,
    )
    assert media is not None
    assert media.sha256 is not None
    assert content is not None
    assert ring is not None
    ml_cpu, stig = registry.layers_of(profile)
    layer_stage = partial(build_stages.layer_stage, content_sha256=content.sha256)
    run_stages = (
        (
            build_stages.iso_stage(
                profile,
                out,
                media_sha256=media.sha256,
                kickstart_text=run_plan.environment.kickstart,
                boot_options=boot_arguments(profile, make_volume_label(profile)),
            ),
            ISO,
        ),
        (build_stages.install_stage(profile, cache, iso_sha256=ISO), BASE),
        (
            build_stages.assess_stage(
                profile, cache, base_sha256=BASE, content_sha256=content.sha256
            ),
            "",
        ),
        (layer_stage(profile, cache, ml_cpu, disk_sha256=BASE), MODEL),
        (layer_stage(profile, cache, stig, disk_sha256=MODEL), HARDENED),
        (
            build_stages.sysprep_stage(profile, cache, disk_sha256=HARDENED, public_key=KEY),
            GENERALIZED,
        ),
        (build_stages.image_stage(profile, out, disk_sha256=GENERALIZED), IMAGE),
        (
            stages.provenance_stage(
                request,
                ring,
                image_sha256=IMAGE,
                iso_sha256=ISO,
                content_sha256=content.sha256,
            ),
            "",
        ),
        (
            stages.scan_stage(request, ring, image_sha256=IMAGE, content_sha256=content.sha256),
            "",
        ),
    )
    for stage, sha256 in run_stages:
        run_recorded(stage, sha256)
        if stage.name == last_stage:
            return


def built_stages(request: BuildRequest) -> dict[str, tuple[str, ...]]:
    """Return the stages that a run would execute, each with the reasons."""
    run_plan = make_plan(request, discard, with_scan=True)
    return {x.name: x.reasons for x in run_plan.stages if x.state == "build"}


def stage_states(plan: RunPlan) -> dict[str, str]:
    return {stage.name: stage.state for stage in plan.stages}


def test_all_stages_run_without_records(request_with_media: BuildRequest) -> None:
    run_plan = make_plan(request_with_media, discard, with_scan=True)

    assert stage_states(run_plan) == {
        "media": "cached",
        "content": "installed",
        **dict.fromkeys(
            ("iso", "install", "assess", *IMAGE_STAGES, "provenance", "scan", "verify"), "build"
        ),
    }
    assert run_plan.stages[8].outputs == (request_with_media.output_folder / "lab-stig.qcow2",)


def test_further_formats_are_converted_after_hardening(request_with_media: BuildRequest) -> None:
    request = replace(request_with_media, image_formats=("vhdx", "ami-raw", "qcow2"))

    planned = {stage.name: stage for stage in make_plan(request, discard).stages}

    names = list(planned)
    assert names[names.index("image") :] == ["image", "vhdx", "ami-raw", "provenance"]
    assert planned["vhdx"].outputs == (request.output_folder / "lab-stig.vhdx",)
    assert planned["ami-raw"].outputs == (request.output_folder / "lab-stig.ami.raw",)
    assert planned["vhdx"].required_mib > planned["vhdx"].required_mib // 2 > 1024
    assert planned["vhdx"].required_in == request.output_folder


def test_converted_formats_are_reused_and_part_of_the_provenance(
    request_with_media: BuildRequest,
) -> None:
    run_until(request_with_media, "provenance")
    request = replace(request_with_media, image_formats=("vmdk",))
    states = stage_states(make_plan(request, discard))
    assert (states["vmdk"], states["provenance"]) == ("build", "undetermined")

    stage = build_stages.format_stage(
        request.profile, request.output_folder, DISK_FORMATS["vmdk"], image_sha256=IMAGE
    )
    run_recorded(stage, "d" * 64)
    states = stage_states(make_plan(request, discard))
    assert (states["vmdk"], states["provenance"]) == ("reuse", "build")


def test_ec2_volume_requires_full_gibibytes(request_with_media: BuildRequest) -> None:
    storage = request_with_media.profile.storage.model_copy(update={"disk_size_mib": 40_000})
    profile = request_with_media.profile.model_copy(update={"storage": storage})
    request = replace(request_with_media, profile=profile, image_formats=("ami-raw",))

    errors = {x.area: x.error for x in make_plan(request, discard).errors}

    assert str(errors["image formats"]) == (
        "lab-stig: disk_size: ami-raw needs a multiple of 1024 MiB, got 40000 MiB"
    )
    assert errors["image formats"].hint == "set storage.disk_size to whole GiB"
    assert "image formats" not in {
        x.area for x in make_plan(replace(request, image_formats=("raw",)), discard).errors
    }


def test_image_without_the_operators_key_cannot_be_scanned(
    request_with_media: BuildRequest,
) -> None:
    profile = request_with_media.profile.model_copy(update={"build_key": "remove"})
    request = replace(request_with_media, profile=profile)

    problems = [collected.area for collected in make_plan(request, discard, with_scan=True).errors]
    assert "scan" in problems
    assert "scan" not in [x.area for x in make_plan(request, discard, with_scan=False).errors]


def test_finished_run_is_reused(request_with_media: BuildRequest) -> None:
    run_until(request_with_media, "scan")

    assert stage_states(make_plan(request_with_media, discard, with_scan=True)) == {
        "media": "cached",
        "content": "installed",
        "iso": "reuse",
        "install": "cached",
        "assess": "cached",
        **dict.fromkeys((*LAYER_STAGES, "sysprep"), "cached"),
        "image": "reuse",
        "provenance": "reuse",
        "scan": "reuse",
        "verify": "build",
    }


def test_changed_nonce_reruns_the_scan_only(request_with_media: BuildRequest) -> None:
    run_until(request_with_media, "scan")

    states = stage_states(
        make_plan(replace(request_with_media, nonce="x"), discard, with_scan=True)
    )

    assert [name for name, state in states.items() if state == "build"] == ["scan", "verify"]


def test_tailoring_reruns_the_scan_only(request_with_media: BuildRequest, tmp_path: Path) -> None:
    run_until(request_with_media, "scan")
    file = tmp_path / "site.yaml"
    file.write_text("title: Site\nunselect:\n  package_aide_installed: Another tool does it.\n")
    tailored = replace(request_with_media, tailoring=load_tailoring(file))

    states = stage_states(make_plan(tailored, discard, with_scan=True))

    assert [name for name, state in states.items() if state == "build"] == ["scan", "verify"]


def test_change_of_the_last_layer_rebuilds_that_layer_only(
    request_with_media: BuildRequest,
) -> None:
    run_until(request_with_media, "image")
    profile = request_with_media.profile
    stig = profile.stig.model_copy(update={"waivers": profile.stig.waivers[1:]})
    request = replace(request_with_media, profile=profile.model_copy(update={"stig": stig}))

    built = built_stages(request)

    assert list(built)[:3] == ["layer-stig", "sysprep", "image"]
    assert built["layer-stig"] == ("profile: stig changed",)
    assert built["sysprep"] == ("follows layer-stig, which is built",)


def test_change_of_the_first_layer_rebuilds_all_layers(
    request_with_media: BuildRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_until(request_with_media, "image")
    playbooks = tmp_path / "ansible"
    shutil.copytree(registry.PLAYBOOKS, playbooks)
    (playbooks / "roles/ml_cpu/tasks/main.yml").write_text("[]\n")
    monkeypatch.setattr(registry, "PLAYBOOKS", playbooks)

    built = built_stages(request_with_media)

    assert list(built)[:4] == [*IMAGE_STAGES]
    assert built["layer-ml_cpu"] == ("code: ansible/roles/ml_cpu/tasks/main.yml changed",)


def test_roles_are_read_only_if_a_layer_runs(
    request_with_media: BuildRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked_profiles: list[str] = []
    monkeypatch.setattr(
        "hardpan.preflight.checks.validate_roles",
        lambda profile: checked_profiles.append(profile.name),
    )
    run_until(request_with_media, "layer-ml_cpu")
    checked_profiles.clear()
    make_plan(request_with_media, discard)
    assert checked_profiles == ["lab-stig"]

    run_until(request_with_media, "layer-stig")
    checked_profiles.clear()
    make_plan(request_with_media, discard)
    assert checked_profiles == []


def test_expired_waiver_rebuilds_the_stig_layer(
    request_with_media: BuildRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_until(request_with_media, "image")
    monkeypatch.setattr(clock, "now", lambda: datetime(2096, 1, 1, tzinfo=UTC))

    assert built_stages(request_with_media)["layer-stig"] == ("expired waivers changed",)


@pytest.mark.parametrize(("module", "first_stage"), [(stages, "scan"), (build_stages, "assess")])
def test_changed_scanner_code_reruns_its_stages(
    request_with_media: BuildRequest,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    first_stage: str,
) -> None:
    run_until(request_with_media, "scan")
    monkeypatch.setattr(module, "digest_code", lambda *_: sha256_bytes(b"other"))

    states = stage_states(make_plan(request_with_media, discard, with_scan=True))

    assert next(name for name, state in states.items() if state == "build") == first_stage
    assert states["scan"] == "build"
    assert states["install"] == "cached"


def test_base_install_is_undetermined_for_another_folder(
    request_with_media: BuildRequest, tmp_path: Path
) -> None:
    run_until(request_with_media, "scan")

    states = stage_states(
        make_plan(
            replace(request_with_media, output_folder=tmp_path / "other"), discard, with_scan=True
        )
    )

    assert states["iso"] == "build"
    assert (states["install"], states["assess"]) == ("undetermined", "undetermined")
    assert {states[name] for name in (*LAYER_STAGES, "sysprep")} == {"undetermined"}
    assert (states["image"], states["provenance"], states["scan"]) == ("build", "build", "build")


def test_missing_output_is_rebuilt(request_with_media: BuildRequest) -> None:
    run_until(request_with_media, "scan")
    (request_with_media.output_folder / "lab-stig.qcow2").unlink()

    states = stage_states(make_plan(request_with_media, discard, with_scan=True))

    assert (states["sysprep"], states["image"]) == ("cached", "build")
    assert (states["provenance"], states["scan"]) == ("build", "build")
    assert built_stages(request_with_media)["image"] == ("lab-stig.qcow2 is missing",)


def test_interrupted_run_rebuilds_remaining_stages(request_with_media: BuildRequest) -> None:
    run_until(request_with_media, "install")

    states = stage_states(make_plan(request_with_media, discard, with_scan=True))

    assert (states["iso"], states["install"]) == ("reuse", "cached")
    assert {states[name] for name in ("assess", *IMAGE_STAGES, "scan")} == {"build"}


def test_disk_space_is_checked_for_stages_to_build_only(
    request_with_media: BuildRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_until(request_with_media, "install")
    checked_purposes: list[str] = []
    monkeypatch.setattr(
        "hardpan.preflight.checks.require_free_space",
        lambda *_, purpose: checked_purposes.append(purpose),
    )

    run_plan = make_plan(request_with_media, discard)

    disk_stages: dict[str, PlannedStage] = {s.name: s for s in run_plan.stages if s.required_mib}
    assert set(disk_stages) == {"iso", "install", *IMAGE_STAGES}
    assert checked_purposes == [f"stage {name}" for name in IMAGE_STAGES]


def test_plan_does_not_change_existing_folders(
    request_with_media: BuildRequest, tmp_path: Path
) -> None:
    run_until(request_with_media, "scan")

    def snapshot_tree() -> dict[str, tuple[int, str]]:
        return {
            str(p): (p.stat().st_mtime_ns, sha256_file(p) if p.is_file() else "")
            for p in sorted(tmp_path.rglob("*"))
        }

    original_tree = snapshot_tree()
    make_plan(request_with_media, discard, with_scan=True, check_media_digest=True)

    assert snapshot_tree() == original_tree


def test_lab_builder_reports_its_newest_media(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "_require_build_host", lambda _installer: None)
    installer = tmp_path / "installer"
    installer.mkdir()
    assert lab.find_cached(tmp_path, installer=installer) == {}
    for name, age in (("a" * 16, 1), ("b" * 16, 2)):
        path = tmp_path / f"{LABEL}-{name}.iso"
        path.write_bytes(name.encode())
        record = {"iso": str(path), "size": 16, "sha256": sha256_bytes(name.encode())}
        record |= {"volume_label": LABEL, "files_sha256": lab.digest_files(installer)}
        (tmp_path / f"{name}.json").write_text(json.dumps(record), "utf-8")
        lab.os.utime(path, (age, age))

    assert lab.find_cached(tmp_path, installer=installer)["iso"].endswith("-bbbbbbbbbbbbbbbb.iso")
    (tmp_path / f"{LABEL}-{'b' * 16}.iso").write_bytes(b"cut")
    assert lab.find_cached(tmp_path, installer=installer)["iso"].endswith("-aaaaaaaaaaaaaaaa.iso")


def test_lab_builder_ignores_media_of_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "_require_build_host", lambda _installer: None)
    cache, installer = tmp_path / "cache", tmp_path / "installer"
    cache.mkdir()
    installer.mkdir()
    (installer / "init").write_text("first")
    path = cache / f"{LABEL}-{'a' * 16}.iso"
    path.write_bytes(b"iso")
    record = {"iso": str(path), "size": 3, "sha256": sha256_bytes(b"iso"), "volume_label": LABEL}
    receipt = cache / f"{'a' * 16}.json"
    receipt.write_text(json.dumps(record))
    assert lab.find_cached(cache, installer=installer) == {}
    receipt.write_text(json.dumps(record | {"files_sha256": lab.digest_files(installer)}))
    assert lab.find_cached(cache, installer=installer)["iso"] == str(path)

    (installer / "init").write_text("second")
    assert lab.find_cached(cache, installer=installer) == {}


def test_dry_run_reports_the_difference_from_a_lock(request_with_media: BuildRequest) -> None:
    environment = make_plan(request_with_media, discard).environment
    assert environment.media is not None
    assert environment.media.sha256 is not None
    assert environment.content is not None
    lock = BuildLock(
        profile="lab-stig",
        media=LockedFile(name="lab9", sha256=environment.media.sha256),
        content=environment.content.sha256,
        repositories=(),
    )
    content = environment.media.content
    if content is not None:
        lock = lock.model_copy(
            update={
                "repositories": tuple(
                    LockedFile(name=r.id, sha256=r.repomd_sha256) for r in content.repositories
                )
            }
        )
    locked = replace(request_with_media, lock=lock)
    changed = lock.model_copy(update={"content": "0" * 64})

    assert [x for x in make_plan(locked, discard).errors if x.area == "lock"] == []
    plan = make_plan(replace(request_with_media, lock=changed), discard)
    (problem,) = [x.error for x in plan.errors if x.area == "lock"]
    assert problem.exit_code == 6
    assert "content: expected sha256 000" in str(problem)
