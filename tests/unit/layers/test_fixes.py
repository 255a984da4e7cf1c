import io
import json
import tarfile

import pytest

from hardpan.builder.layers.ansible import PLAYBOOKS
from hardpan.builder.layers.fixes import AUDIT_FILE, SYSCTL_FILE, batch, read_outcomes, rules
from hardpan.builder.receipts import Remedy
from hardpan.errors import ToolError

P = "xccdf_org.ssgproject.content_rule_"
FILE = """\
echo "-a always,exit -F arch=b32 -F path=/etc/group -F perm=wa -F key=x" >> "$audit_rules_file"
echo "-a always,exit -F arch=b64 -F path=/etc/group -F perm=wa -F key=x" >> "$audit_rules_file"
"""
SYSCTL = """\
SYSCONFIG_FILE='/etc/sysctl.d/kernel_dmesg_restrict.conf'
    /sbin/sysctl -q -n -w kernel.dmesg_restrict="1"
"""
OURS = PLAYBOOKS / "roles/stig/files/ours"


def remedy(name: str, script: str = "true\n") -> Remedy:
    return Remedy(rule_id=P + name, severity="medium", script=script)


def inside(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: f.read() for m in tar if (f := tar.extractfile(m))}


def told(*rules: dict[str, object], late: object = ()) -> bytes:
    return json.dumps({"rules": rules, "late": late}).encode()


def test_waivers_and_rules_without_a_fix_are_settled_and_not_sent() -> None:
    asked = [remedy("a"), remedy("b"), remedy("nameless", " \n"), remedy("mount_option_tmp_nodev")]

    made = batch(asked, {P + "b": "because"})

    assert made.sent == (P + "a",)
    assert [(o.rule_id.removeprefix(P), o.outcome) for o in made.settled] == [
        ("b", "waived"),
        ("nameless", "no_fix"),
        ("mount_option_tmp_nodev", "no_fix"),
    ]
    assert made.settled[0].detail == "because"
    assert "/etc/fstab" in made.settled[2].detail


def test_what_shuts_doors_runs_last_and_the_rest_keeps_the_benchmarks_order() -> None:
    names = ["sudo_x", "z", "usbguard_y", "a"]

    made = batch([remedy(n) for n in names], {})

    assert [r.removeprefix(P) for r in made.sent] == [
        "z",
        "a",
        "sudo_x",
        "usbguard_y",
    ]


def test_the_archive_holds_each_script_in_order_and_the_program_that_runs_them_last() -> None:
    made = batch([remedy("a", "echo 1"), remedy("b", "echo 2")], {})

    files = inside(made.archive)
    assert json.loads(files["manifest.json"])["rules"] == [P + "a", P + "b"]
    assert files["fixes/000.sh"] == b"echo 1"
    assert files["fixes/001.sh"] == b"echo 2"
    assert list(files)[-1] == "mend.py"


def test_packages_are_asked_for_in_one_go() -> None:
    made = batch(
        [
            remedy("package_aide_installed", '    dnf install -y "aide"\n'),
            remedy("package_tuned_removed", 'dnf remove -y --noautoremove "tuned"\n'),
            remedy("aide_check_audit_tools", '    dnf install -y "aide-of-another-rule"\n'),
        ],
        {},
    )

    manifest = json.loads(inside(made.archive)["manifest.json"])
    assert manifest["install"] == ["aide"]
    assert manifest["remove"] == ["tuned"]


def test_fixes_of_one_template_become_a_file_each_kind() -> None:
    made = batch([remedy("audit_rules_x", FILE), remedy("sysctl_y", SYSCTL), remedy("z")], {})

    files = json.loads(inside(made.archive)["manifest.json"])["files"]
    assert made.sent == (P + "z",)
    assert made.written == {P + "audit_rules_x": AUDIT_FILE, P + "sysctl_y": SYSCTL_FILE}
    assert files[SYSCTL_FILE] == "kernel.dmesg_restrict = 1\n"
    assert files[AUDIT_FILE].count("\n") == 2


def test_our_script_takes_the_place_of_a_fix_that_is_unsafe() -> None:
    made = batch([remedy("fapolicy_default_deny", "the content's\n")], {})

    assert b"lets nothing run" in inside(made.archive)["fixes/000.sh"]


def test_every_script_of_ours_is_named_with_its_reason_and_every_reason_has_one() -> None:
    table = rules()

    assert {p.stem for p in OURS.glob("*.sh")} == set(table.ours)
    assert all(why.strip() for why in [*table.ours.values(), *table.never.values()])


def test_the_same_remedies_give_the_same_bytes() -> None:
    asked = [remedy("a"), remedy("audit_rules_x", FILE), remedy("sysctl_y", SYSCTL)]

    assert batch(asked, {}).archive == batch(asked, {}).archive


def test_outcomes_tell_applied_and_error() -> None:
    sent = batch([remedy("a"), remedy("b"), remedy("sysctl_y", SYSCTL)], {})
    data = told(
        {"rule": P + "a", "rc": 0, "said": "ok"}, {"rule": P + "b", "rc": 3, "said": "x" * 999}
    )

    got = read_outcomes(data, sent)

    assert {o.rule_id.removeprefix(P): o.outcome for o in got.outcomes} == {
        "a": "applied",
        "b": "error",
        "sysctl_y": "applied",
    }
    assert max(len(o.detail) for o in got.outcomes) == 600


def test_a_step_beside_the_fixes_that_failed_is_told() -> None:
    late = [{"name": "dnf install", "rc": 1, "said": "no such"}, {"name": "x", "rc": 0, "said": ""}]

    got = read_outcomes(told(late=late), batch([], {}))

    assert got.troubles == ("dnf install ended with 1: no such",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1]",
        b"{}",
        b"null",
        b'{"rules": [{"rule": "x"}], "late": []}',
        told({"rule": P + "a", "rc": "0", "said": ""}),
        told({"rule": P + "a", "rc": True, "said": ""}),
        told({"rule": P + "a", "rc": 0, "said": None}),
        told(late=5),
        b"[" * 100_000,
        b" " * (17 << 20),
    ],
)
def test_outcomes_that_cannot_be_read_are_an_error(data: bytes) -> None:
    with pytest.raises(ToolError, match="no outcomes that can be read"):
        read_outcomes(data, batch([remedy("a")], {}))


def test_a_rule_that_nothing_was_told_about_is_an_error() -> None:
    with pytest.raises(ToolError, match="told nothing about 1 rules"):
        read_outcomes(told(), batch([remedy("a")], {}))
