from images.lab.owners import Entry
from images.lab.plan import ElPackage, Version
from images.lab.spec import enabled, file_list, text, units


def entry(path: str, **more: object) -> Entry:
    facts: dict[str, object] = {"folder": False, "config": False, "ghost": False, **more}
    return Entry(path=path, **facts)  # type: ignore[arg-type]


def test_a_file_list_says_what_each_path_is() -> None:
    found = file_list(
        [
            entry("/etc/audit", folder=True),
            entry("/etc/audit/auditd.conf", config=True),
            entry("/boot/initramfs.img", ghost=True),
            entry("/usr/bin/ping", caps="cap_net_raw=ep"),
            entry("/usr/bin/chage", people="root,shadow"),
        ]
    )

    assert found.splitlines() == [
        "%dir /etc/audit",
        "%config(noreplace) /etc/audit/auditd.conf",
        "%ghost /boot/initramfs.img",
        "%caps(cap_net_raw=ep) /usr/bin/ping",
        "%attr(-,root,shadow) /usr/bin/chage",
    ]


def test_odd_names_reach_rpm_as_they_are() -> None:
    assert file_list([entry("/a b/[x]*%y")]) == '"/a b/\\[x\\]\\*%%y"\n'


def test_units_are_only_what_the_presets_switch_on() -> None:
    presets = enabled("# a comment\nenable auditd.service\ndisable *\n")
    have = [
        entry("/usr/lib/systemd/system/auditd.service"),
        entry("/usr/lib/systemd/system/other.service"),
        entry("/usr/lib/systemd/system/auditd.service.d/x.conf"),
    ]

    assert units(have, presets) == ("auditd.service",)


def test_the_spec_has_a_package_with_its_needs_and_scriptlet() -> None:
    audit = ElPackage(
        name="audit",
        version=Version(epoch=1, version="4.0.2", release="2.lab9"),
        noarch=False,
        summary="100% auditing",
        members=("auditd",),
        requires=("audit-libs",),
        provides=("/sbin/auditd", "auditd"),
        conffiles=frozenset(),
    )
    owned = {"audit": [entry("/usr/lib/systemd/system/auditd.service")]}
    lines = text({"audit": audit}, owned, frozenset({"auditd.service"}), ()).splitlines()

    assert "%package -n audit" in lines
    assert "Epoch: 1" in lines
    assert "Summary: 100%% auditing" in lines
    assert "Requires: audit-libs" in lines
    assert "Provides: /sbin/auditd" in lines
    assert "Provides: auditd = 1:4.0.2-2.lab9" in lines
    assert "systemctl --no-reload preset auditd.service || :" in lines


def test_no_script_of_rpmbuild_may_run_on_the_root() -> None:
    head = text({}, {}, frozenset(), ())

    assert "%global __spec_install_pre %{nil}" in head
    assert "%install" not in head
