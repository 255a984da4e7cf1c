import pytest

from hardpan.scanners.fips import foreign
from hardpan.scanners.fips.model import Foreign, Said
from tests.unit.fips import told


@pytest.mark.parametrize(
    ("line", "library"),
    [
        ("file /opt/x/libcrypto.so.3", "OpenSSL"),
        ("file /opt/x/cryptography.libs/libssl-9f8c5f.so.1.1", "OpenSSL"),
        ("file /opt/x/libcryptominer.so", None),
        ("file /usr/local/lib/libsodium.so.23", "libsodium"),
        ("file /opt/x/_rust.abi3.so", "OpenSSL in a wheel of cryptography"),
        ("file /opt/app/bcprov-jdk18on-1.78.jar", "Bouncy Castle"),
        ("file /opt/jdk/conf/security/java.security", "a Java runtime"),
        ("go /usr/local/bin/tool", "Go's own"),
        ("file relative/libcrypto.so.3", None),
        ("other /opt/libcrypto.so.3", None),
        ("file /opt/readme.txt", None),
    ],
)
def test_a_file_is_known_by_its_name(line: str, library: str | None) -> None:
    found = foreign.files(told.facts(foreign=f"{line}\nend\n"))

    assert [f.library for f in found] == ([] if library is None else [library])


@pytest.mark.parametrize(
    ("answer", "complete"),
    [
        (None, "unknown"),
        (Said(rc=126, text=""), "unknown"),
        ("end\n", "yes"),
        ("file /opt/libcrypto.so.3\nend\n", "yes"),
        ("file /opt/libcrypto.so.3\n", "no"),
        (Said(rc=124, text="file /opt/libcrypto.so.3\n"), "no"),
        ("".join(f"file /opt/{i}/libcrypto.so.3\n" for i in range(51)) + "end", "no"),
    ],
)
def test_a_search_that_was_cut_short_is_not_called_whole(
    answer: str | Said | None, complete: str
) -> None:
    assert foreign.complete(told.facts(foreign=answer)) == complete


def test_a_hostile_path_is_shown_as_plain_text_and_short() -> None:
    text = f"file /opt/\x1b[2J\u202e{'a' * 999}/libcrypto.so.3\nend"

    (found,) = foreign.files(told.facts(foreign=text))
    assert found == Foreign(path=f"/opt/?[2J?{'a' * 190}", library="OpenSSL")
    assert len(found.path) == 200
