import pytest

from hardpan.builder.remediation.templated_fixes import (
    parse_audit_rules,
    parse_sysctl,
    render_audit_file,
)

SYSCALLS = """\
for ARCH in "${RULE_ARCHS[@]}"
do
	ACTION_ARCH_FILTERS="-a always,exit -F arch=$ARCH"
	OTHER_FILTERS=""
	AUID_FILTERS="-F auid>=1000 -F auid!=unset"
	SYSCALL="unlink rename"
	KEY="delete"
	SYSCALL_GROUPING="unlink rename rmdir"
	unset syscall_a
full_rule="$ACTION_ARCH_FILTERS${syscall_string}"
	unset syscall_a
done
"""
PROGRAM = """\
OTHER_FILTERS="-F path=/usr/bin/su -F perm=x"
AUID_FILTERS="-F auid>=1000 -F auid!=unset"
SYSCALL=""
KEY="privileged"
ACTION_ARCH_FILTERS="-a always,exit"
unset syscall_a
full_rule="$ACTION_ARCH_FILTERS${syscall_string}"
"""
FILE = """\
echo "-a always,exit -F arch=b32 -F path=/etc/group -F perm=wa -F key=x" >> "$audit_rules_file"
echo "-a always,exit -F arch=b64 -F path=/etc/group -F perm=wa -F key=x" >> "$audit_rules_file"
echo "-a always,exit -F arch=b32 -F path=/etc/group -F perm=wa -F key=x" >> "$audit_rules_file"
"""
SYSCTL = """\
SYSCONFIG_FILE='/etc/sysctl.d/kernel_dmesg_restrict.conf'
    /sbin/sysctl -q -n -w kernel.dmesg_restrict="1"
"""


def test_syscall_rule_is_parsed_for_both_architectures() -> None:
    assert parse_audit_rules(SYSCALLS) == tuple(
        f"-a always,exit -F arch={arch} -S unlink -S rename"
        " -F auid>=1000 -F auid!=unset -F key=delete"
        for arch in ("b32", "b64")
    )


def test_program_rule_is_parsed() -> None:
    (line,) = parse_audit_rules(PROGRAM)

    assert line == (
        "-a always,exit -F path=/usr/bin/su -F perm=x"
        " -F auid>=1000 -F auid!=unset -F key=privileged"
    )


def test_duplicate_file_rule_is_parsed_once() -> None:
    assert len(parse_audit_rules(FILE)) == 2


@pytest.mark.parametrize(
    "script",
    [
        "",
        "echo '-e 2' >> /etc/audit/audit.rules",
        SYSCALLS.replace("delete", "$KEY_OF_ELSEWHERE"),
        SYSCALLS.replace("unlink rename", "$(cat calls)"),
        PROGRAM.replace("/usr/bin/su", "/usr/bin/s u"),
        FILE.replace("/etc/group", "$GROUP_FILE"),
    ],
)
def test_unrecognized_fix_yields_no_audit_rules(script: str) -> None:
    assert parse_audit_rules(script) == ()


def test_syscalls_with_same_filters_share_a_rule() -> None:
    text = render_audit_file(
        [
            "-a always,exit -F arch=b64 -S chmod -F auid>=1000 -F key=perm_mod",
            "-a always,exit -F arch=b64 -S chown -F auid>=1000 -F key=perm_mod",
            "-a always,exit -F arch=b64 -S chown -F auid=0 -F key=perm_mod",
            "-a always,exit -F path=/usr/bin/su -F perm=x -F key=privileged",
        ]
    )

    assert text.splitlines() == [
        "-a always,exit -F arch=b64 -S chmod -S chown -F auid>=1000 -F key=perm_mod",
        "-a always,exit -F arch=b64 -S chown -F auid=0 -F key=perm_mod",
        "-a always,exit -F path=/usr/bin/su -F perm=x -F key=privileged",
    ]


def test_sysctl_fix_is_parsed_with_value() -> None:
    by_name = SYSCTL.replace('"1"', '"$sysctl_x_value"') + "sysctl_x_value='2'\n"

    assert parse_sysctl(SYSCTL) == ("kernel.dmesg_restrict", "1")
    assert parse_sysctl(by_name) == ("kernel.dmesg_restrict", "2")


@pytest.mark.parametrize(
    "script",
    [
        "",
        SYSCTL.replace("SYSCONFIG_FILE", "OTHER_FILE"),
        SYSCTL.replace('"1"', '"$unknown"'),
        SYSCTL.replace('"1"', '"`id`"'),
        SYSCTL + SYSCTL,
    ],
)
def test_unrecognized_fix_yields_no_sysctl(script: str) -> None:
    assert parse_sysctl(script) is None
