import io
import json
import tarfile
from pathlib import Path

import pytest

from hardpan.builder.ansible.paths import PLAYBOOKS
from hardpan.builder.artifacts import Fix
from hardpan.builder.remediation import batch
from hardpan.builder.remediation.batch import (
    AUDIT_FILE,
    SYSCTL_FILE,
    build_batch,
    load_rules,
    parse_outcomes,
)
from hardpan.core.errors import InputError, ToolError

RULE_PREFIX = "xccdf_org.ssgproject.content_rule_"
FILE = """\
echo "-a always,exit -F arch=b32 -F path=/etc/group -F perm=wa -F key=x" >> "$audit_rules_file"
echo "-a always,exit -F arch=b64 -F path=/etc/group -F perm=wa -F key=x" >> "$audit_rules_file"
"""
SYSCTL = """\
SYSCONFIG_FILE='/etc/sysctl.d/kernel_dmesg_restrict.conf'
    /sbin/sysctl -q -n -w kernel.dmesg_restrict="1"
"""
OVERRIDES = PLAYBOOKS / "roles/stig/files/overrides"


def make_fix(name: str, script: str = "true\n") -> Fix:
    return Fix(rule_id=RULE_PREFIX + name, severity="medium", script=script)


def read_members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: f.read() for m in tar if (f := tar.extractfile(m))}


def outcomes_json(*rules: dict[str, object], deferred: object = ()) -> bytes:
    return json.dumps({"rules": rules, "deferred": deferred}).encode()


def test_waived_and_unfixable_rules_are_resolved_without_script() -> None:
    fixes = [
        make_fix("a"),
        make_fix("b"),
        make_fix("nameless", " \n"),
        make_fix("mount_option_tmp_nodev"),
    ]

    fix_batch = build_batch(fixes, {RULE_PREFIX + "b": "because"})

    assert fix_batch.scripts == (RULE_PREFIX + "a",)
    assert [(o.rule_id.removeprefix(RULE_PREFIX), o.outcome) for o in fix_batch.resolved] == [
        ("b", "waived"),
        ("nameless", "no_fix"),
        ("mount_option_tmp_nodev", "no_fix"),
    ]
    assert fix_batch.resolved[0].detail == "because"
    assert "/etc/fstab" in fix_batch.resolved[2].detail


def test_restrictive_rules_run_last_in_benchmark_order() -> None:
    names = ["sudo_x", "z", "usbguard_y", "a"]

    fix_batch = build_batch([make_fix(n) for n in names], {})

    assert [r.removeprefix(RULE_PREFIX) for r in fix_batch.scripts] == [
        "z",
        "a",
        "sudo_x",
        "usbguard_y",
    ]


def test_archive_orders_scripts_and_ends_with_runner() -> None:
    fix_batch = build_batch([make_fix("a", "echo 1"), make_fix("b", "echo 2")], {})

    files = read_members(fix_batch.archive)
    assert json.loads(files["manifest.json"])["rules"] == [RULE_PREFIX + "a", RULE_PREFIX + "b"]
    assert files["fixes/000.sh"] == b"echo 1"
    assert files["fixes/001.sh"] == b"echo 2"
    assert list(files)[-1] == "remediate.py"


def test_package_changes_are_collected_for_a_transaction() -> None:
    fix_batch = build_batch(
        [
            make_fix("package_aide_installed", '    dnf install -y "aide"\n'),
            make_fix("package_tuned_removed", 'dnf remove -y --noautoremove "tuned"\n'),
            make_fix("aide_check_audit_tools", '    dnf install -y "aide-of-another-rule"\n'),
        ],
        {},
    )

    manifest = json.loads(read_members(fix_batch.archive)["manifest.json"])
    assert manifest["install"] == ["aide"]
    assert manifest["remove"] == ["tuned"]


def test_templated_fixes_are_consolidated_per_kind() -> None:
    fix_batch = build_batch(
        [make_fix("audit_rules_x", FILE), make_fix("sysctl_y", SYSCTL), make_fix("z")], {}
    )

    files = json.loads(read_members(fix_batch.archive)["manifest.json"])["files"]
    assert fix_batch.scripts == (RULE_PREFIX + "z",)
    assert fix_batch.consolidated == {
        RULE_PREFIX + "audit_rules_x": AUDIT_FILE,
        RULE_PREFIX + "sysctl_y": SYSCTL_FILE,
    }
    assert files[SYSCTL_FILE] == "kernel.dmesg_restrict = 1\n"
    assert files[AUDIT_FILE].count("\n") == 2


def test_override_script_replaces_content_fix() -> None:
    fix_batch = build_batch([make_fix("fapolicy_default_deny", "the content's\n")], {})

    assert b"allows nothing" in read_members(fix_batch.archive)["fixes/000.sh"]


def test_override_scripts_match_table_and_have_reasons() -> None:
    table = load_rules()

    assert {p.stem for p in OVERRIDES.glob("*.sh")} == set(table.overrides)
    assert all(reason.strip() for reason in [*table.overrides.values(), *table.excluded.values()])


def test_invalid_rules_file_reports_location_and_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rules.yml"
    path.write_text("stig_excluded_rules: {}\nstig_overrides: {a: 1}\nstig_last: []\n", "utf-8")
    monkeypatch.setattr(batch, "_RULES_FILE", path)

    with pytest.raises(InputError) as caught:
        load_rules()

    assert str(caught.value).splitlines() == [
        f"{path}:1:1: stig_run_last: is missing",
        f"{path}:2:21: stig_overrides.a: expected text (quote it), got 1",
        f"{path}:3:1: stig_last: unknown setting",
    ]


def test_batch_archive_is_reproducible() -> None:
    fixes = [make_fix("a"), make_fix("audit_rules_x", FILE), make_fix("sysctl_y", SYSCTL)]

    assert build_batch(fixes, {}).archive == build_batch(fixes, {}).archive


def test_outcomes_distinguish_applied_and_error() -> None:
    fix_batch = build_batch([make_fix("a"), make_fix("b"), make_fix("sysctl_y", SYSCTL)], {})
    data = outcomes_json(
        {"rule": RULE_PREFIX + "a", "exit_status": 0, "output": "ok"},
        {"rule": RULE_PREFIX + "b", "exit_status": 3, "output": "x" * 999},
    )

    result = parse_outcomes(data, fix_batch)

    assert {o.rule_id.removeprefix(RULE_PREFIX): o.outcome for o in result.outcomes} == {
        "a": "applied",
        "b": "error",
        "sysctl_y": "applied",
    }
    assert max(len(o.detail) for o in result.outcomes) == 600


def test_failed_deferred_step_is_a_warning() -> None:
    deferred = [
        {"name": "dnf install", "exit_status": 1, "output": "no such"},
        {"name": "x", "exit_status": 0, "output": ""},
    ]

    result = parse_outcomes(outcomes_json(deferred=deferred), build_batch([], {}))

    assert result.warnings == ("dnf install exited with 1: no such",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1]",
        b"{}",
        b"null",
        b'{"rules": [{"rule": "x"}], "deferred": []}',
        outcomes_json({"rule": RULE_PREFIX + "a", "exit_status": "0", "output": ""}),
        outcomes_json({"rule": RULE_PREFIX + "a", "exit_status": True, "output": ""}),
        outcomes_json({"rule": RULE_PREFIX + "a", "exit_status": 0, "output": None}),
        outcomes_json(deferred=5),
        b"[" * 100_000,
        b" " * (17 << 20),
    ],
)
def test_malformed_outcomes_raise_tool_error(data: bytes) -> None:
    with pytest.raises(ToolError, match="malformed outcomes"):
        parse_outcomes(data, build_batch([make_fix("a")], {}))


def test_missing_rule_outcome_raises_tool_error() -> None:
    with pytest.raises(ToolError, match="no outcome for 1 rules"):
        parse_outcomes(outcomes_json(), build_batch([make_fix("a")], {}))
