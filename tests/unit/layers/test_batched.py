import pytest

from hardpan.builder.layers.batched import audit_file, audit_lines, sysctl_setting

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


def test_a_rule_about_system_calls_is_read_for_both_architectures() -> None:
    assert audit_lines(SYSCALLS) == tuple(
        f"-a always,exit -F arch={arch} -S unlink -S rename"
        " -F auid>=1000 -F auid!=unset -F key=delete"
        for arch in ("b32", "b64")
    )


def test_a_rule_about_a_program_is_read() -> None:
    (line,) = audit_lines(PROGRAM)

    assert line == (
        "-a always,exit -F path=/usr/bin/su -F perm=x"
        " -F auid>=1000 -F auid!=unset -F key=privileged"
    )


def test_a_rule_about_a_file_is_read_once() -> None:
    assert len(audit_lines(FILE)) == 2


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
def test_a_fix_of_another_form_is_left_as_it_is(script: str) -> None:
    assert audit_lines(script) == ()


def test_calls_that_are_watched_in_the_same_way_share_a_line() -> None:
    text = audit_file(
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


def test_a_kernel_setting_is_read_with_its_value() -> None:
    by_name = SYSCTL.replace('"1"', '"$sysctl_x_value"') + "sysctl_x_value='2'\n"

    assert sysctl_setting(SYSCTL) == ("kernel.dmesg_restrict", "1")
    assert sysctl_setting(by_name) == ("kernel.dmesg_restrict", "2")


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
def test_another_fix_is_no_kernel_setting(script: str) -> None:
    assert sysctl_setting(script) is None
