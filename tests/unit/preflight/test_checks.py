"""All problems that prevent a build are reported together, before it starts."""

from dataclasses import replace
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder import host_tools
from hardpan.builder.media import sources
from hardpan.builder.media.expected_digest import DigestOptions
from hardpan.builder.media.inspect import IsoFacts
from hardpan.builder.vm import firmware
from hardpan.core.errors import AggregateError, InputError, ResourceError, ToolError
from hardpan.core.events import discard
from hardpan.core.files import sha256_bytes
from hardpan.preflight import checks
from hardpan.preflight.plan import RunPlan, make_plan
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import PROFILES_DIR, shipped_profiles
from hardpan.scanners.content import store
from hardpan.scanners.deviations.tailoring_file import load_tailoring
from hardpan.scanners.model.scan import ContentOrigin
from hardpan.workflow import build_and_attest
from hardpan.workflow.key_set import create_keys
from hardpan.workflow.request import BuildRequest
from tests.unit import fake_host
from tests.unit.evidence.evidence_fixture import KEYS_CREATED_AT

ISO = b"an install ISO"
LABEL = {"rocky9": "Rocky-9-8-x86_64-dvd", "rocky10": "Rocky-10-2-x86_64-dvd"}


@pytest.fixture(autouse=True)
def _fake_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_host.install(monkeypatch)


def make_request(workdir: Path, profile: str, **changes: object) -> BuildRequest:
    request = BuildRequest(
        profile=load_profile(profile), output_folder=workdir / "out", cache_folder=workdir / "cache"
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def plan_for(
    workdir: Path, profile: str, *, builds_image: bool = True, **changes: object
) -> RunPlan:
    return make_plan(
        make_request(workdir, profile, **changes),
        discard,
        builds_image=builds_image,
        check_media_digest=True,
    )


def create_fake_iso(workdir: Path, monkeypatch: pytest.MonkeyPatch, release: str) -> Path:
    """A file that is taken for the distributor's ISO."""
    facts = IsoFacts(
        volume_id=LABEL[release],
        boot_records=("BIOS", "UEFI"),
        system_area="",
        efi_path="",
        efi_offset=0,
        efi_size=0,
    )
    monkeypatch.setattr(sources, "inspect_iso", lambda _path: facts)
    path = workdir / f"{release}.iso"
    path.write_bytes(ISO)
    return path


BLOCKING_AREAS = {
    "lab-ai": [],
    "lab-stig": [],
    "lab-strict": [],
    "lab10-stig": [],
    "rocky9-ai": ["licences", "stacks", "stacks", "media"],
    "rocky9-stig": ["media"],
    "rocky9-stig-amd": [*["layers"] * 2, "stacks", "stacks", "media"],
    "rocky9-stig-cpu": ["media"],
    "rocky9-stig-nvidia": ["licences", "stacks", "stacks", "media"],
    "rocky10-ai": ["licences", "stacks", "stacks", "media"],
    "rocky10-stig": ["media"],
    "rocky10-stig-amd": [*["layers"] * 2, "stacks", "stacks", "media"],
    "rocky10-stig-cpu": ["media"],
    "rocky10-stig-nvidia": ["licences", "stacks", "stacks", "media"],
}
"""Shipped profile -> what a fresh machine lacks for it, in order."""


def test_blocking_areas_cover_every_shipped_profile() -> None:
    assert set(BLOCKING_AREAS) == set(shipped_profiles())


@pytest.mark.parametrize("name", BLOCKING_AREAS)
def test_shipped_profiles_report_all_blockers_with_hints(tmp_path: Path, name: str) -> None:
    run_plan = plan_for(tmp_path, name)

    assert [p.area for p in run_plan.errors] == BLOCKING_AREAS[name]
    assert all(p.error.hint for p in run_plan.errors)
    assert int(run_plan.exit_code) == (3 if BLOCKING_AREAS[name] else 0)


@pytest.mark.parametrize("name", BLOCKING_AREAS)
def test_plan_writes_nothing(tmp_path: Path, name: str) -> None:
    plan_for(tmp_path, name)

    assert list(tmp_path.iterdir()) == []


def test_rocky_10_can_start_with_iso(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_plan = plan_for(
        tmp_path, "rocky10-stig", media=create_fake_iso(tmp_path, monkeypatch, "rocky10")
    )

    assert run_plan.errors == ()
    assert "only an ISO whose digest hardpan knows is verified" in run_plan.unchecked[0]


@pytest.mark.parametrize(
    ("digest", "code"), [(sha256_bytes(ISO), 0), ("0" * 64, 6)], ids=["right", "wrong"]
)
def test_media_digest_is_checked_against_the_iso(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digest: str, code: int
) -> None:
    path = create_fake_iso(tmp_path, monkeypatch, "rocky10")
    run_plan = plan_for(
        tmp_path, "rocky10-stig", media=path, media_digest=DigestOptions(sha256=digest)
    )

    assert int(run_plan.exit_code) == code
    assert [str(p.error) for p in run_plan.errors] == [
        f"{path}: expected sha256 {digest}, got {sha256_bytes(ISO)}"
    ] * bool(code)


def test_digest_mismatch_is_reported_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = create_fake_iso(tmp_path, monkeypatch, "rocky10")
    run_plan = plan_for(
        tmp_path, "rocky10-stig-nvidia", media=path, media_digest=DigestOptions(sha256="0" * 64)
    )

    assert [p.area for p in run_plan.errors] == ["licences", "stacks", "stacks", "media"]
    assert int(run_plan.exit_code) == 3


INVALID_OPTIONS = [
    ({"ssh_key_file": "nope"}, "ssh key", "nope: no such SSH private key", 3),
    ({"keys_folder": "nope"}, "signing keys", "nope: no such folder of keys", 3),
    ({"media": "nope"}, "media", "nope: no such ISO", 3),
    ({"content": "nope"}, "content", "nope: cannot be read", 3),
    ({"content": "a file"}, "content", "a file: not XML", 3),
    ({"luks_passphrase_file": "nope"}, "kickstart", "nope: cannot be read: No such file", 3),
    ({"luks_passphrase_file": "a file"}, "kickstart", "the profile has 'encryption: mode", 3),
    ({"output_folder": "a file"}, "folders", "a file: expected a folder, got the file", 3),
    ({"cache_folder": "a file/below"}, "folders", "below: expected a folder, got the file", 3),
    ({"timestamp_url": "ftp://x"}, "timestamp", "ftp://x: expected the http:// or https://", 3),
]


@pytest.mark.parametrize(("options", "area", "message", "code"), INVALID_OPTIONS)
def test_unusable_option_values_are_reported(
    tmp_path: Path, options: dict[str, str], area: str, message: str, code: int
) -> None:
    (tmp_path / "a file").write_text("nothing much", "utf-8")
    (tmp_path / "a file").chmod(0o600)
    ((name, value),) = options.items()
    option_value = value if name == "timestamp_url" else tmp_path / value

    run_plan = plan_for(tmp_path, "lab-stig", **{name: option_value})

    reported = [(p.area, str(p.error)) for p in run_plan.errors]
    assert [reported_area for reported_area, text in reported if message in text] == [area], (
        reported
    )
    assert run_plan.errors[0].error.hint
    assert int(run_plan.exit_code) == code


def test_unwritable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.os, "access", lambda *_: False)

    assert "writable folder" in str(plan_for(tmp_path, "lab-stig").errors[0].error)


def test_keys_option_reads_keys_without_copying(tmp_path: Path) -> None:
    create_keys(tmp_path / "k", now=KEYS_CREATED_AT)

    run_plan = plan_for(tmp_path, "lab-stig", keys_folder=tmp_path / "k")

    assert run_plan.errors == ()
    assert run_plan.environment.keyring is not None
    assert not (tmp_path / "out").exists()


def test_missing_programs_are_reported_with_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_tools, "find_program", lambda _program: None)

    run_plan = plan_for(tmp_path, "lab-ai")

    hints_by_program = {
        str(p.error).split()[0]: p.error.hint for p in run_plan.errors if p.area == "tools"
    }
    assert {"xorriso", "qemu-img", "ansible-playbook", "rpmsign", "cmake"} <= set(hints_by_program)
    assert hints_by_program["xorriso"] == "apt install xorriso | dnf install xorriso"
    assert int(run_plan.exit_code) == 4


def test_iso_only_build_skips_layers_content_and_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "validate_roles", lambda _profile: pytest.fail("looked at layers"))
    monkeypatch.setattr(
        host_tools,
        "find_program",
        lambda program: None if program == "ansible-playbook" else Path("x"),
    )
    path = create_fake_iso(tmp_path, monkeypatch, "rocky10")

    run_plan = plan_for(
        tmp_path, "rocky10-stig-cpu", builds_image=False, media=path, keys_folder=tmp_path / "nope"
    )

    assert run_plan.errors == ()
    assert [s.name for s in run_plan.stages] == ["media", "iso"]
    assert run_plan.layers == ()


MACHINE_PROBLEMS = [
    (
        checks,
        "detect_acceleration",
        ToolError(["qemu"], "is not installed"),
        "qemu is not installed",
    ),
    (
        firmware,
        "require_firmware",
        ToolError(["ovmf"], "is not installed"),
        "ovmf is not installed",
    ),
    (checks, "_require_memory", ResourceError("needs 4096 MiB"), "needs 4096 MiB"),
    (checks, "validate_roles", InputError("layer stig: stig_user: missing"), "stig_user: missing"),
    (checks, "require_free_space", ResourceError("stage harden needs 8192 MiB"), "needs 8192 MiB"),
]


@pytest.mark.parametrize(("module", "name", "error", "message"), MACHINE_PROBLEMS)
def test_machine_and_layer_problems_are_reported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    name: str,
    error: Exception,
    message: str,
) -> None:
    def raise_error(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, name, raise_error)
    path = create_fake_iso(tmp_path, monkeypatch, "rocky10")

    run_plan = plan_for(tmp_path, "rocky10-stig", media=path)

    assert message in str(run_plan.errors[0].error)
    assert run_plan.errors[0].error.hint


def test_missing_content_is_reported_with_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "none"
    monkeypatch.setattr(store, "updated_folder", lambda: folder)

    (problem,) = plan_for(tmp_path, "lab-stig", content=ContentOrigin.UPDATED).errors

    assert str(problem.error) == f"{folder}: expected SCAP content for rhel9, got none"
    assert "hardpan content update" in problem.error.hint
    assert int(problem.error.exit_code) == 3


def test_waiver_for_a_rule_that_the_content_lacks_prevents_a_build(tmp_path: Path) -> None:
    profile = tmp_path / "own.yaml"
    text = (PROFILES_DIR / "lab-stig.yaml").read_text()
    profile.write_text(text.replace("rule: encrypt_partitions", "rule: encrypt_partitionz"))

    errors = plan_for(tmp_path, str(profile)).errors

    (problem,) = (error for error in errors if error.area == "content")
    assert "encrypt_partitionz: expected a rule of" in str(problem.error)
    assert "did you mean encrypt_partitions?" in str(problem.error)
    assert int(problem.error.exit_code) == 3


def test_tailoring_that_does_not_fit_the_profile_prevents_a_run(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("title: Site\nunselect:\n  encrypt_partitionz: Another layer encrypts.\n")

    errors = plan_for(tmp_path, "lab-stig", tailoring=load_tailoring(file)).errors

    (problem,) = (error for error in errors if error.area == "content")
    assert f"{file}:3:23: unselect.encrypt_partitionz: " in str(problem.error)
    assert int(problem.error.exit_code) == 3
    file.write_text("title: Site\nunselect:\n  package_aide_installed: Another tool does it.\n")
    errors = plan_for(tmp_path, "lab-stig", tailoring=load_tailoring(file)).errors
    assert [error for error in errors if error.area == "content"] == []


def test_build_reports_the_plan_errors_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build_and_attest, "build_image", lambda *_: pytest.fail("a stage ran"))
    run_plan = plan_for(tmp_path, "rocky9-stig-nvidia")
    folder_options = ["-o", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]

    code = cli.run(["build", "rocky9-stig-nvidia", *folder_options])

    stderr = capsys.readouterr().err
    assert code == int(run_plan.exit_code) == 3
    assert [line for line in stderr.splitlines() if line.startswith("error: ")] == [
        f"error: {p.error}" for p in run_plan.errors
    ]
    with pytest.raises(AggregateError):
        run_plan.require_startable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["abc", "A" * 64, "0" * 63 + "\u0663"])
def test_malformed_digest_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    code = cli.run(["build", "lab-stig", "-o", str(tmp_path / "out"), "--media-sha256", text])

    assert code == 2
    assert "expected 64 digits 0-9 a-f" in capsys.readouterr().err
