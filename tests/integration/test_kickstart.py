"""The real ksvalidator and the real shell, in addition to hardpan's own linter."""

import tempfile
from pathlib import Path

import pytest

from hardpan.builder import bash_syntax, ksvalidator
from hardpan.builder.offline.packages import with_offline_packages
from hardpan.core.process import run
from hardpan.kickstart import KickstartError, lint_kickstart, render_kickstart
from hardpan.kickstart.syntax import parse_kickstart
from hardpan.profiles.loader import shipped
from hardpan.profiles.loader.profile_file import load_profile

pytestmark = pytest.mark.integration

GOLDEN = Path(__file__).parents[1] / "golden" / "kickstart"
KEY = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwN"
    "Dg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= x"
)


def is_accepted(path: Path, release: str) -> bool:
    try:
        assert ksvalidator.validate(path.read_text("utf-8"), release)
    except KickstartError:
        return False
    return True


def test_ksvalidator_leaves_no_copy_of_the_kickstart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kickstart can hold a passphrase."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)

    assert ksvalidator.validate("text\nreboot\n", "rocky9")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", shipped.shipped_profiles())
def test_ksvalidator_accepts_every_shipped_kickstart(name: str) -> None:
    assert is_accepted(GOLDEN / f"{name}.ks", load_profile(name).release)


@pytest.mark.parametrize(
    ("name", "release"), [("rocky9-tpm2", "rocky9"), ("rocky10-tang", "rocky10")]
)
def test_ksvalidator_and_shell_accept_encryption(name: str, release: str) -> None:
    path = GOLDEN.with_name("kickstart-encrypted") / f"{name}.ks"

    assert is_accepted(path, release)
    assert (
        lint_kickstart(path.read_text("utf-8"), release, shell_check=bash_syntax.syntax_error) == ()
    )


@pytest.mark.parametrize("name", ["rocky9-stig", "rocky10-stig", "lab-stig"])
def test_ksvalidator_and_shell_accept_layers_on_the_media(name: str, tmp_path: Path) -> None:
    profile = load_profile(name)
    text = render_kickstart(with_offline_packages(profile), KEY, offline=True)
    (tmp_path / "ks.cfg").write_text(text, "utf-8")

    assert "hardpan-layers.service" in text
    assert is_accepted(tmp_path / "ks.cfg", profile.release)
    assert lint_kickstart(text, profile.release, shell_check=bash_syntax.syntax_error) == ()


@pytest.mark.parametrize("name", shipped.shipped_profiles())
def test_every_script_is_valid_shell(name: str) -> None:
    text = (GOLDEN / f"{name}.ks").read_text("utf-8")

    assert len(parse_kickstart(text).scripts()) >= 8
    assert (
        lint_kickstart(text, load_profile(name).release, shell_check=bash_syntax.syntax_error) == ()
    )


KDUMP = "%addon com_redhat_kdump --disable"
PASSED_BY_KSVALIDATOR = [
    ("logvol / --vgname=vg0", "logvol / --vgname=nope", "which no volgroup defines"),
    ("--name=tmp --fstype=xfs", "--name=tmp --fstype=nosuchfs", "unknown file system"),
    ('"nodev"', '"nodev,bogus"', "unknown mount option 'bogus'"),
    ("poweroff\n", "poweroff\nrepo --name=updates\n", "repo --name=updates is reserved"),
    (KDUMP, f"{KDUMP}\n%end\n%addon org_nobody_x", "unknown %addon 'org_nobody_x'"),
    (KDUMP, f"{KDUMP}\n%end\n%addon com_redhat_oscap", "installer has no com_redhat_oscap"),
    ("set -eu\nstep=", "set -eu\nif then fi\nstep=", "is not valid shell: bash: line"),
]


@pytest.mark.parametrize(("was", "now", "problem"), PASSED_BY_KSVALIDATOR)
def test_linter_reports_problems_that_ksvalidator_accepts(
    tmp_path: Path, was: str, now: str, problem: str
) -> None:
    good = (GOLDEN / "rocky10-stig.ks").read_text("utf-8")
    assert was in good
    path = tmp_path / "ks.cfg"
    path.write_text(good.replace(was, now), "utf-8")

    problems = lint_kickstart(
        path.read_text("utf-8"), "rocky10", shell_check=bash_syntax.syntax_error
    )

    assert is_accepted(path, "rocky10"), "ksvalidator has learnt this: take the row out"
    assert any(problem in str(p) for p in problems), problems


def test_linter_reports_duplicate_volume_name() -> None:
    """pykickstart 3.74 let it pass, 3.78 does not; the machine may have either."""
    good = (GOLDEN / "rocky10-stig.ks").read_text("utf-8")

    problems = lint_kickstart(good.replace("--name=tmp ", "--name=root "), "rocky10")

    assert any("a second logical volume 'root'" in str(p) for p in problems), problems


@pytest.mark.parametrize("removed", ["autostep", "auth --enableshadow", "nvdimm use"])
def test_removed_el10_commands_are_rejected_by_both(tmp_path: Path, removed: str) -> None:
    good = (GOLDEN / "rocky10-stig.ks").read_text("utf-8")
    path = tmp_path / "ks.cfg"
    path.write_text(good.replace("zerombr", f"zerombr\n{removed}"), "utf-8")

    assert not is_accepted(path, "rocky10")
    (problem,) = lint_kickstart(path.read_text("utf-8"), "rocky10")
    assert removed.split()[0] in problem.text


def test_hostkey_unit_prints_each_key_only(tmp_path: Path) -> None:
    """Runs the unit's own command, with systemd's quoting undone, over two keys."""
    text = (GOLDEN / "lab-stig.ks").read_text("utf-8")
    (line,) = [x for x in text.splitlines() if x.startswith("ExecStart=/bin/sh -c ")]
    script = line.removeprefix("ExecStart=/bin/sh -c '").removesuffix("'").replace("$$", "$")
    for kind in ("ecdsa", "rsa"):
        body = f"{kind}-type {kind}BASE64= root@host\n"
        (tmp_path / f"ssh_host_{kind}_key.pub").write_text(body, "utf-8")
    script = script.replace("/etc/ssh/", f"{tmp_path}/").replace("sleep 2", ":")
    assert script.count("> /dev/ttyS0") == 1
    script = script.replace("> /dev/ttyS0", "")

    lines = run(["sh", "-c", script], timeout_s=20).stdout.split("\n")

    assert set(lines) == {
        "",
        "HARDPAN-HOSTKEY: ecdsa-type ecdsaBASE64=",
        "HARDPAN-HOSTKEY: rsa-type rsaBASE64=",
    }
