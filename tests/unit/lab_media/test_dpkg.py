from images.lab.dpkg import alternatives, merged, package, stanzas

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


def test_stanzas_keep_continuation_lines() -> None:
    first, second = stanzas(STATUS)

    assert first["Depends"].endswith("libc6 (>= 2.38)")
    assert second == {"Package": "bash", "Version": "5"}


def test_alternatives_are_names_without_versions_and_architectures() -> None:
    assert alternatives("a (>= 1), b:any | c") == (("a",), ("b", "c"))
    assert alternatives("") == ()


def test_a_package_is_read_with_usr_merged_and_obsolete_conffiles_forgotten() -> None:
    found = package(next(stanzas(STATUS)), "/.\n/sbin/auditd\n/lib64/x\n/libx\n")

    assert found.files == ("/usr/sbin/auditd", "/usr/lib64/x", "/libx")
    assert found.conffiles == {"/etc/audit/auditd.conf"}
    assert found.depends[0] == ("init-system-helpers",)
    assert found.depends[2] == ("mawk", "gawk")
    assert found.provides == ("audit-daemon",)
    assert found.summary == "User space tools for security auditing"


def test_only_whole_folder_names_are_merged() -> None:
    assert merged("/bin/sh") == "/usr/bin/sh"
    assert merged("/binary") == "/binary"
    assert merged("/lib") == "/lib"
