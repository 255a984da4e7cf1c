from images.lab.dpkg import merge_usr, parse_dependencies, parse_package, parse_stanzas

STATUS = """\
Package: auditd
Status: install ok installed
Architecture: amd64
Version: 1:4.0.2-2+deb13u1
Pre-Depends: init-system-helpers (>= 1.54~)
Depends: libaudit1 (>= 1:4), mawk | gawk:any,
 libc6 (>= 2.38)
Provides: audit-daemon (= 4)
Conffiles:
 /etc/audit/auditd.conf 7bfa16d314ddb8b96a61a7f617b8cca0
 /etc/old.conf aaaa obsolete
Description: User space tools for security auditing
 More words.

Package: bash
Version: 5
"""


def test_parse_stanzas_keeps_continuation_lines() -> None:
    first, second = parse_stanzas(STATUS)

    assert first["Depends"].endswith("libc6 (>= 2.38)")
    assert second == {"Package": "bash", "Version": "5"}


def test_parse_dependencies_strips_versions_and_architectures() -> None:
    assert parse_dependencies("a (>= 1), b:any | c") == (("a",), ("b", "c"))
    assert parse_dependencies("") == ()


def test_parse_package_merges_usr_and_drops_obsolete_conffiles() -> None:
    result = parse_package(next(parse_stanzas(STATUS)), "/.\n/sbin/auditd\n/lib64/x\n/libx\n")

    assert result.files == ("/usr/sbin/auditd", "/usr/lib64/x", "/libx")
    assert result.conffiles == {"/etc/audit/auditd.conf"}
    assert result.depends[0] == ("init-system-helpers",)
    assert result.depends[2] == ("mawk", "gawk")
    assert result.provides == ("audit-daemon",)
    assert result.summary == "User space tools for security auditing"


def test_merge_usr_ignores_partial_folder_names() -> None:
    assert merge_usr("/bin/sh") == "/usr/bin/sh"
    assert merge_usr("/binary") == "/binary"
    assert merge_usr("/lib") == "/lib"
