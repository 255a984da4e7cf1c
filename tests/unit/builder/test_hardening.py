"""Which layers run in a guest, and what the stored disks hold."""

from dataclasses import replace
from pathlib import Path

import pytest

from hardpan.builder import pipeline
from hardpan.builder.build_plan import BuildPlan
from hardpan.builder.vm.egress_proxy import Endpoint
from hardpan.builder.vm.probe import Acceleration
from hardpan.core.errors import ResourceError, TrustError
from hardpan.core.events import Event, StageFinished
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.profile import Profile
from tests.unit.builder import build_stand_ins
from tests.unit.builder.build_stand_ins import CONTENT, StandInGuest, harden, make_base, make_plan

NVIDIA = (Endpoint("https", "developer.download.nvidia.com", 443),)
LAYERS = ("ml_cpu", "kernel_hardening", "stig")
PROFILE = load_profile("lab-stig")
WAIVERS = len(PROFILE.stig.waivers)
IMAGE_LINES = [
    "base",
    "layer ml_cpu 0",
    "layer kernel_hardening 0",
    f"layer stig {WAIVERS}",
    "generalize no key",
]


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> StandInGuest:
    return build_stand_ins.install(monkeypatch)


def without_first_waiver(profile: Profile) -> Profile:
    stig = profile.stig.model_copy(update={"waivers": profile.stig.waivers[1:]})
    return profile.model_copy(update={"stig": stig})


def run_counts(guest: StandInGuest) -> list[str]:
    """Return what was done, without the steps around it, and forget it."""
    calls = [c for c in guest.calls if c.split()[0] in ("boot", "assess", "layer", "generalize")]
    guest.calls.clear()
    return calls


def image_lines(plan: BuildPlan) -> list[str]:
    return (plan.output_folder / f"{plan.profile.name}.qcow2").read_text().splitlines()


def test_guest_with_kvm_keeps_random_addresses(tmp_path: Path, guest: StandInGuest) -> None:
    accelerator = Acceleration(kind="kvm", reason="")
    plan = replace(make_plan(tmp_path, PROFILE, LAYERS), choose_acceleration=lambda: accelerator)

    harden(plan, make_base(tmp_path), guest)

    assert guest.calls[:3] == ["boot", "assess", "layer ml_cpu 0"]


def test_each_layer_runs_in_the_same_guest_on_a_new_overlay(
    tmp_path: Path, guest: StandInGuest
) -> None:
    plan = make_plan(tmp_path, PROFILE, LAYERS)

    image = harden(plan, make_base(tmp_path), guest)

    assert guest.calls == [
        *("boot", "assess", "randomize_va_space"),
        *("layer ml_cpu 0", "settle", "switch"),
        *("layer kernel_hardening 0", "settle", "switch"),
        *(f"layer stig {WAIVERS}", "settle", "switch"),
        *("generalize no key", "end", "power off", "check"),
    ]
    assert image_lines(plan) == IMAGE_LINES
    assert [layer.layer for layer in image.layers] == list(LAYERS)
    assert image.baseline_counts == {"fail": 3}
    assert image.packages == ("bash-0:5.2-1.x86_64",)
    assert image.disk.path.stat().st_mode & 0o777 == 0o600
    stored = sorted(p.stat().st_mode & 0o777 for p in (tmp_path / "cache/layers").glob("*/*.qcow2"))
    assert stored == [0o600] * 4


def test_nothing_runs_if_nothing_changed(tmp_path: Path, guest: StandInGuest) -> None:
    events: list[Event] = []
    base = make_base(tmp_path)
    first = harden(make_plan(tmp_path, PROFILE, LAYERS), base, guest)
    guest.calls.clear()

    second = harden(make_plan(tmp_path, PROFILE, LAYERS, emit=events.append), base, guest)

    assert guest.calls == []
    assert [e.stage for e in events if isinstance(e, StageFinished) and e.reused] == [
        *("assess", "layer-ml_cpu", "layer-kernel_hardening", "layer-stig", "sysprep", "image")
    ]
    assert (second.disk.sha256, second.layers) == (first.disk.sha256, first.layers)
    assert (second.started, second.finished) == (first.started, first.finished)


def test_changed_last_layer_runs_alone(tmp_path: Path, guest: StandInGuest) -> None:
    base = make_base(tmp_path)
    harden(make_plan(tmp_path, PROFILE, LAYERS), base, guest)
    run_counts(guest)
    plan = make_plan(tmp_path, without_first_waiver(PROFILE), LAYERS)

    image = harden(plan, base, guest)

    assert run_counts(guest) == ["boot", f"layer stig {WAIVERS - 1}", "generalize no key"]
    assert image_lines(plan) == [*IMAGE_LINES[:3], f"layer stig {WAIVERS - 1}", IMAGE_LINES[4]]
    assert [layer.layer for layer in image.layers] == list(LAYERS)


def test_both_variants_of_a_layer_stay_in_the_cache(tmp_path: Path, guest: StandInGuest) -> None:
    base = make_base(tmp_path)
    profiles = (PROFILE, without_first_waiver(PROFILE), PROFILE)
    for profile in profiles[:2]:
        harden(make_plan(tmp_path, profile, LAYERS), base, guest)
    run_counts(guest)

    harden(make_plan(tmp_path, profiles[2], LAYERS), base, guest)

    assert run_counts(guest) == []


def test_changed_base_repeats_every_layer(tmp_path: Path, guest: StandInGuest) -> None:
    plan = make_plan(tmp_path, PROFILE, LAYERS)
    harden(plan, make_base(tmp_path), guest)
    run_counts(guest)

    harden(plan, make_base(tmp_path, "other"), guest)

    assert len(run_counts(guest)) == 6
    assert image_lines(plan) == ["other", *IMAGE_LINES[1:]]


def test_layer_whose_stored_disk_is_damaged_runs_again(tmp_path: Path, guest: StandInGuest) -> None:
    """The layers after it run again, too: their overlays belong to its old bytes."""
    plan, base = make_plan(tmp_path, PROFILE, LAYERS), make_base(tmp_path)
    harden(plan, base, guest)
    run_counts(guest)
    (disk,) = [
        record.with_name("disk.qcow2")
        for record in (tmp_path / "cache/layers").glob("*/layer-kernel_hardening.stage.json")
    ]
    disk.write_text(disk.read_text().replace("layer", "other"))

    harden(plan, base, guest)

    assert run_counts(guest) == ["boot", *IMAGE_LINES[2:]]
    assert image_lines(plan) == IMAGE_LINES


def test_failed_layer_keeps_the_layers_before_it(tmp_path: Path, guest: StandInGuest) -> None:
    plan, base = make_plan(tmp_path, PROFILE, LAYERS), make_base(tmp_path)
    guest.failing_layer = "stig"
    with pytest.raises(RuntimeError, match="stig"):
        harden(plan, base, guest)
    assert sorted(p.name for p in plan.output_folder.iterdir()) == []
    assert [p.name for p in (tmp_path / "cache/layers").iterdir() if p.name.startswith(".")] == []
    run_counts(guest)
    guest.failing_layer = ""

    harden(plan, base, guest)

    assert run_counts(guest) == ["boot", f"layer stig {WAIVERS}", "generalize no key"]
    assert image_lines(plan) == IMAGE_LINES


def test_other_output_folder_needs_no_guest(tmp_path: Path, guest: StandInGuest) -> None:
    base = make_base(tmp_path)
    harden(make_plan(tmp_path, PROFILE, LAYERS), base, guest)
    (tmp_path / "out").rename(tmp_path / "old")
    run_counts(guest)
    plan = make_plan(tmp_path, PROFILE, LAYERS)

    harden(plan, base, guest)

    assert run_counts(guest) == []
    assert image_lines(plan) == IMAGE_LINES


def test_lost_assessment_repeats_every_layer(tmp_path: Path, guest: StandInGuest) -> None:
    """The base must be scanned again, and a guest boots from one disk only."""
    plan, base = make_plan(tmp_path, PROFILE, LAYERS), make_base(tmp_path)
    harden(plan, base, guest)
    run_counts(guest)
    (record,) = (tmp_path / "cache/assessments").glob("*/*.json")
    record.unlink()

    harden(plan, base, guest)

    assert run_counts(guest)[:3] == ["boot", "assess", "layer ml_cpu 0"]
    assert image_lines(plan) == IMAGE_LINES


def test_moved_cache_is_reused(tmp_path: Path, guest: StandInGuest) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    harden(make_plan(first, PROFILE, LAYERS), make_base(first), guest)
    run_counts(guest)
    first.rename(second)

    harden(make_plan(second, PROFILE, LAYERS), make_base(second), guest)

    assert run_counts(guest) == []


def test_second_build_of_a_base_names_the_first(tmp_path: Path, guest: StandInGuest) -> None:
    base = make_base(tmp_path)
    first = make_plan(tmp_path, PROFILE, LAYERS, command="hardpan build first")
    second = make_plan(tmp_path, PROFILE, LAYERS, may_wait=False)

    with (
        first.lock(base.path.parent, stage="harden"),
        pytest.raises(ResourceError, match=r"hardpan build first, since .* holds its lock"),
    ):
        harden(second, base, guest)

    assert guest.calls == []


def test_locked_build_writes_no_image_from_other_packages(
    tmp_path: Path, guest: StandInGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, plan = make_base(tmp_path), make_plan(tmp_path, PROFILE, LAYERS)
    lock = pipeline.lock_build(plan, harden(plan, base, guest), CONTENT)
    locked_plan = make_plan(tmp_path, PROFILE, LAYERS, required_lock=lock)
    harden(locked_plan, base, guest)
    (image,) = plan.output_folder.glob("*.qcow2")
    image.unlink()
    headers = {"bash-0:5.3-1.x86_64": "f" * 64}
    monkeypatch.setattr(build_stand_ins.hardening, "_read_package_headers", lambda _shell: headers)

    with pytest.raises(TrustError, match=r"expected bash-0:5\.2-1\.x86_64, got bash-0:5\.3-1"):
        harden(locked_plan, make_base(tmp_path, "newer"), guest)

    assert list(plan.output_folder.glob("*.qcow2")) == []


@pytest.mark.parametrize(("layers", "endpoints"), [(("cuda",), NVIDIA), (("stig",), ())])
def test_guest_reaches_only_its_layers_repositories(
    tmp_path: Path, guest: StandInGuest, layers: tuple[str, ...], endpoints: tuple[Endpoint, ...]
) -> None:
    plan = make_plan(tmp_path, load_profile("rocky9-stig-nvidia"), layers)

    harden(plan, make_base(tmp_path), guest)

    assert [spec.allowed_endpoints for spec in guest.specs] == [endpoints]
    # Neither the installer nor the scan has a way out.
    assert plan.vm_spec(tmp_path).allowed_endpoints == ()


@pytest.mark.parametrize(
    ("build_key", "profile_keys", "removed"),
    [
        ("keep", (), "no key"),
        ("remove", (), "steward"),
        ("remove", ("ssh-rsa AAAAB3Nz ada@example",), "no key"),
        ("remove", ("ssh-rsa AAAAother ada@example",), "steward"),
    ],
)
def test_operators_key_is_removed_unless_the_profile_has_it(
    tmp_path: Path,
    guest: StandInGuest,
    build_key: str,
    profile_keys: tuple[str, ...],
    removed: str,
) -> None:
    profile = load_profile("rocky9-stig")
    (user,) = profile.users
    users = (user.model_copy(update={"ssh_keys": profile_keys}),)
    plan = make_plan(tmp_path, profile, ("stig",), build_key=build_key, users=users)

    harden(plan, make_base(tmp_path), guest)

    assert image_lines(plan)[-1] == f"generalize {removed}"
