import pytest

from hardpan.scanners.content.products import debian_package, find_products, read_os_release


@pytest.mark.parametrize(
    ("fields", "products"),
    [
        ({"ID": "rhel", "VERSION_ID": "9.4"}, ("rhel9",)),
        ({"ID": "rocky", "VERSION_ID": "9.4"}, ("rhel9", "rl9")),
        ({"ID": "rocky", "VERSION_ID": "10.0"}, ("rhel10", "rl10")),
        ({"ID": "almalinux", "VERSION_ID": "8.10"}, ("rhel8", "almalinux8")),
        ({"ID": "centos", "VERSION_ID": "9"}, ("rhel9", "cs9", "centos9")),
        ({"ID": "hardpan-lab", "VERSION_ID": "9.0"}, ("rhel9",)),
        ({"ID": "ol", "VERSION_ID": "9.3", "ID_LIKE": "fedora"}, ("ol9",)),
        ({"ID": "fedora", "VERSION_ID": "42"}, ("fedora",)),
        ({"ID": "debian", "VERSION_ID": "12"}, ("debian12",)),
        ({"ID": "debian", "VERSION_CODENAME": "trixie"}, ("debian13",)),
        ({"ID": "debian", "VERSION_CODENAME": "forky"}, ()),
        ({"ID": "ubuntu", "VERSION_ID": "24.04", "ID_LIKE": "debian"}, ("ubuntu2404",)),
        ({"ID": "sles", "VERSION_ID": "15.6", "ID_LIKE": "suse"}, ("sle15",)),
        ({"ID": "SLE-Micro", "VERSION_ID": "5.5"}, ("slmicro5",)),
        ({"ID": "opensuse-leap", "VERSION_ID": "15.6", "ID_LIKE": "suse"}, ("opensuse",)),
        ({"ID": "amzn", "VERSION_ID": "2023", "ID_LIKE": "fedora"}, ("al2023",)),
        ({"ID": "openEuler", "VERSION_ID": "22.03"}, ("openeuler2203",)),
        ({"ID": "cloudlinux", "VERSION_ID": "9.5", "ID_LIKE": "rhel fedora centos"}, ("rhel9",)),
        (
            {"ID": "linuxmint", "ID_LIKE": "ubuntu debian", "UBUNTU_CODENAME": "noble"},
            ("ubuntu2404",),
        ),
        ({"ID": "raspbian", "ID_LIKE": "debian", "VERSION_CODENAME": "bookworm"}, ("debian12",)),
        ({"ID": "arch"}, ()),
        ({}, ()),
    ],
)
def test_products_of_a_system_follow_its_os_release(
    fields: dict[str, str], products: tuple[str, ...]
) -> None:
    assert find_products(read_os_release(fields)) == products


@pytest.mark.parametrize(
    ("product", "package"),
    [
        ("debian12", "ssg-debian"),
        ("ubuntu2404", "ssg-debderived"),
        ("rhel9", "ssg-nondebian"),
    ],
)
def test_debian_package_of_a_product(product: str, package: str) -> None:
    assert debian_package(product) == package
