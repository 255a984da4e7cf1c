from images.lab.file_ownership import OwnedPath
from images.lab.plan import ElPackage, RpmVersion
from images.lab.spec import find_enabled_units, parse_preset, render_file_list, render_spec


def make_path(path: str, **more: object) -> OwnedPath:
    facts: dict[str, object] = {"is_folder": False, "is_config": False, "is_ghost": False, **more}
    return OwnedPath(path=path, **facts)  # type: ignore[arg-type]


def test_file_list_contains_attributes_of_each_path() -> None:
    rendered = render_file_list(
        [
            make_path("/etc/audit", is_folder=True),
            make_path("/etc/audit/auditd.conf", is_config=True),
            make_path("/boot/initramfs.img", is_ghost=True),
            make_path("/usr/bin/ping", capabilities="cap_net_raw=ep"),
            make_path("/usr/bin/chage", owner="root,shadow"),
        ]
    )

    assert rendered.splitlines() == [
        "%dir /etc/audit",
        "%config(noreplace) /etc/audit/auditd.conf",
        "%ghost /boot/initramfs.img",
        "%caps(cap_net_raw=ep) /usr/bin/ping",
        "%attr(-,root,shadow) /usr/bin/chage",
    ]


def test_special_characters_in_paths_are_escaped() -> None:
    assert render_file_list([make_path("/a b/[x]*%y")]) == '"/a b/\\[x\\]\\*%%y"\n'


def test_enabled_units_follow_presets() -> None:
    presets = parse_preset("# a comment\nenable auditd.service\ndisable *\n")
    paths = [
        make_path("/usr/lib/systemd/system/auditd.service"),
        make_path("/usr/lib/systemd/system/other.service"),
        make_path("/usr/lib/systemd/system/auditd.service.d/x.conf"),
    ]

    assert find_enabled_units(paths, presets) == ("auditd.service",)


def test_spec_contains_package_requirements_and_scriptlet() -> None:
    audit = ElPackage(
        name="audit",
        version=RpmVersion(epoch=1, version="4.0.2", release="2.lab9"),
        noarch=False,
        summary="100% auditing",
        members=("auditd",),
        requires=("audit-libs",),
        provides=("/sbin/auditd", "auditd"),
        conffiles=frozenset(),
    )
    owned = {"audit": [make_path("/usr/lib/systemd/system/auditd.service")]}
    presets = frozenset({"auditd.service"})
    lines = render_spec({"audit": audit}, owned, presets, (), {"audit": "echo 5%\n"}).splitlines()

    assert "%package -n audit" in lines
    assert "Epoch: 1" in lines
    assert "Summary: 100%% auditing" in lines
    assert "Requires: audit-libs" in lines
    assert "Provides: /sbin/auditd" in lines
    assert "Provides: auditd = 1:4.0.2-2.lab9" in lines
    assert "systemctl --no-reload preset auditd.service || :" in lines
    assert lines[lines.index("%post -n audit") + 1] == "echo 5%%"


def test_spec_disables_rpmbuild_scripts() -> None:
    head = render_spec({}, {}, frozenset(), (), {})

    assert "%global __spec_install_pre %{nil}" in head
    assert "%install" not in head
