"""What stands in the way of a build is told before it starts, all of it at once."""

from dataclasses import replace
from pathlib import Path

import pytest

from hardpan import cli
from hardpan.builder import tools
from hardpan.builder.machine import firmware
from hardpan.builder.media import sources
from hardpan.builder.media.inspect import Facts
from hardpan.errors import InputError, ResourceError, SeveralError, ToolError
from hardpan.events import silent
from hardpan.files import sha256_bytes
from hardpan.profiles.catalog import shipped
from hardpan.profiles.load import load
from hardpan.prove import before, job
from hardpan.prove.asked import Asked
from hardpan.prove.examine import Plan, examine
from hardpan.scanners.commands.keys import new_keys
from hardpan.scanners.content import store
from hardpan.scanners.model import ContentOrigin
from tests.unit import bare_machine
from tests.unit.evidence.forge import KEYS_MADE

ISO = b"an install ISO"
LABEL = {"rocky9": "Rocky-9-8-x86_64-dvd", "rocky10": "Rocky-10-2-x86_64-dvd"}


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    bare_machine.put(monkeypatch)


def asked(room: Path, profile: str, **more: object) -> Asked:
    made = Asked(profile=load(profile), out=room / "out", cache=room / "cache")
    return replace(made, **more)  # type: ignore[arg-type]


def plan(room: Path, profile: str, *, image: bool = True, **more: object) -> Plan:
    return examine(asked(room, profile, **more), silent, image=image, digest=True)


def iso(room: Path, monkeypatch: pytest.MonkeyPatch, release: str) -> Path:
    """A file that is taken for the distributor's ISO."""
    known = Facts(
        volume_id=LABEL[release],
        boot_records=("BIOS", "UEFI"),
        system_area="",
        efi_path="",
        efi_offset=0,
        efi_size=0,
    )
    monkeypatch.setattr(sources, "facts", lambda _path: known)
    path = room / f"{release}.iso"
    path.write_bytes(ISO)
    return path


IN_THE_WAY = {
    "lab-ai": [],
    "lab-stig": [],
    "rocky9-stig": ["media"],
    "rocky9-stig-amd": [*["layers"] * 4, "stacks", "stacks", "media"],
    "rocky9-stig-cpu": ["stacks", "media"],
    "rocky9-stig-nvidia": ["licences", *["layers"] * 2, "stacks", "stacks", "media"],
    "rocky10-stig": ["media"],
    "rocky10-stig-amd": [*["layers"] * 4, "stacks", "stacks", "media"],
    "rocky10-stig-cpu": ["stacks", "media"],
    "rocky10-stig-nvidia": ["licences", *["layers"] * 2, "stacks", "stacks", "media"],
}
"""Shipped profile -> what a fresh machine lacks for it, in order."""


def test_the_table_has_every_shipped_profile() -> None:
    assert set(IN_THE_WAY) == set(shipped())


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_of_every_shipped_profile_all_that_is_in_the_way_is_told_with_a_next_step(
    tmp_path: Path, name: str
) -> None:
    found = plan(tmp_path, name)

    assert [p.area for p in found.problems] == IN_THE_WAY[name]
    assert all(p.error.hint for p in found.problems)
    assert int(found.exit_code) == (3 if IN_THE_WAY[name] else 0)


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_looking_writes_nothing(tmp_path: Path, name: str) -> None:
    plan(tmp_path, name)

    assert list(tmp_path.iterdir()) == []


def test_with_the_iso_at_hand_rocky_10_could_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = plan(tmp_path, "rocky10-stig", media=iso(tmp_path, monkeypatch, "rocky10"))

    assert found.problems == ()
    assert "nothing vouches for it" in found.unseen[0]


@pytest.mark.parametrize(
    ("digest", "code"), [(sha256_bytes(ISO), 0), ("0" * 64, 6)], ids=["right", "wrong"]
)
def test_a_digest_that_was_given_is_held_against_the_iso(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digest: str, code: int
) -> None:
    path = iso(tmp_path, monkeypatch, "rocky10")
    found = plan(tmp_path, "rocky10-stig", media=path, media_sha256=digest)

    assert int(found.exit_code) == code
    assert [str(p.error) for p in found.problems] == [
        f"{path}: expected sha256 {digest}, found {sha256_bytes(ISO)}"
    ] * bool(code)


def test_a_wrong_digest_comes_last_as_in_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = iso(tmp_path, monkeypatch, "rocky10")
    found = plan(tmp_path, "rocky10-stig-cpu", media=path, media_sha256="0" * 64)

    assert [p.area for p in found.problems] == ["stacks", "media"]
    assert int(found.exit_code) == 3


BAD = [
    ({"ssh_key": "nope"}, "ssh key", "nope: no such SSH private key", 3),
    ({"keys": "nope"}, "signing keys", "nope: no such folder of keys", 3),
    ({"media": "nope"}, "media", "nope: no such ISO", 3),
    ({"content": "nope"}, "content", "nope: cannot be read", 3),
    ({"content": "a file"}, "content", "a file: not XML", 3),
    ({"luks_passphrase_file": "nope"}, "kickstart", "nope: cannot be read: No such file", 3),
    ({"luks_passphrase_file": "a file"}, "kickstart", "the profile has 'encryption: mode", 3),
    ({"out": "a file"}, "folders", "a file: expected a folder, found the file", 3),
    ({"cache": "a file/below"}, "folders", "below: expected a folder, found the file", 3),
    ({"timestamp": "ftp://x"}, "timestamp", "ftp://x: expected the http:// or https://", 3),
]


@pytest.mark.parametrize(("given", "area", "says", "code"), BAD)
def test_what_a_person_gave_and_cannot_be_used_is_told(
    tmp_path: Path, given: dict[str, str], area: str, says: str, code: int
) -> None:
    (tmp_path / "a file").write_text("nothing much", "utf-8")
    (tmp_path / "a file").chmod(0o600)
    ((name, value),) = given.items()
    more = value if name == "timestamp" else tmp_path / value

    found = plan(tmp_path, "lab-stig", **{name: more})

    told = [(p.area, str(p.error)) for p in found.problems]
    assert [a for a, text in told if says in text] == [area], told
    assert found.problems[0].error.hint
    assert int(found.exit_code) == code


def test_a_folder_that_cannot_be_written_to_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(before.os, "access", lambda *_: False)

    assert "can be written to" in str(plan(tmp_path, "lab-stig").problems[0].error)


def test_keys_of_a_person_are_read_and_nothing_is_copied(tmp_path: Path) -> None:
    new_keys(tmp_path / "k", now=KEYS_MADE)

    found = plan(tmp_path, "lab-stig", keys=tmp_path / "k")

    assert found.problems == ()
    assert found.seen.ring is not None
    assert not (tmp_path / "out").exists()


def test_every_program_that_is_missing_is_told_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "path_of", lambda _program: None)

    found = plan(tmp_path, "lab-ai")

    told = {str(p.error).split()[0]: p.error.hint for p in found.problems if p.area == "tools"}
    assert {"xorriso", "qemu-img", "ansible-playbook", "rpmsign", "cmake"} <= set(told)
    assert told["xorriso"] == "apt install xorriso | dnf install xorriso"
    assert int(found.exit_code) == 4


def test_an_iso_alone_needs_no_layers_no_content_and_no_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(before, "rehearse", lambda _profile: pytest.fail("looked at layers"))
    monkeypatch.setattr(
        tools, "path_of", lambda program: None if program == "ansible-playbook" else Path("x")
    )
    path = iso(tmp_path, monkeypatch, "rocky10")

    found = plan(tmp_path, "rocky10-stig-cpu", image=False, media=path, keys=tmp_path / "nope")

    assert found.problems == ()
    assert [s.name for s in found.stages] == ["media", "iso"]
    assert found.layers == ()


MACHINE = [
    (before, "acceleration", ToolError(["qemu"], "is not installed"), "qemu is not installed"),
    (firmware, "need", ToolError(["ovmf"], "is not installed"), "ovmf is not installed"),
    (before, "_memory", ResourceError("needs 4096 MiB"), "needs 4096 MiB"),
    (before, "rehearse", InputError("layer stig: stig_user: missing"), "stig_user: missing"),
    (before, "need_free", ResourceError("stage harden needs 8192 MiB"), "needs 8192 MiB"),
]


@pytest.mark.parametrize(("where", "name", "error", "says"), MACHINE)
def test_what_the_machine_or_the_layers_lack_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    name: str,
    error: Exception,
    says: str,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(where, name, refuse)
    path = iso(tmp_path, monkeypatch, "rocky10")

    found = plan(tmp_path, "rocky10-stig", media=path)

    assert says in str(found.problems[0].error)
    assert found.problems[0].error.hint


def test_content_that_is_not_there_is_reported_with_a_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "none"
    monkeypatch.setattr(store, "updated_folder", lambda: folder)

    (problem,) = plan(tmp_path, "lab-stig", content=ContentOrigin.UPDATED).problems

    assert str(problem.error) == f"{folder}: expected SCAP content for rhel9, found none"
    assert "hardpan content update" in problem.error.hint
    assert int(problem.error.exit_code) == 3


def test_a_build_tells_the_same_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job, "build", lambda *_: pytest.fail("a stage ran"))
    same = plan(tmp_path, "rocky9-stig-nvidia")
    to = ["-o", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]

    code = cli.run(["build", "rocky9-stig-nvidia", *to])

    said = capsys.readouterr().err
    assert code == int(same.exit_code) == 3
    assert [x for x in said.splitlines() if x.startswith("error: ")] == [
        f"error: {p.error}" for p in same.problems
    ]
    with pytest.raises(SeveralError):
        same.check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["abc", "A" * 64, "0" * 63 + "\u0663"])
def test_what_is_no_digest_is_a_wrong_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    code = cli.run(["build", "lab-stig", "-o", str(tmp_path / "out"), "--media-sha256", text])

    assert code == 2
    assert "expected 64 digits 0-9 a-f" in capsys.readouterr().err
