import pytest

from hardpan.scanners.fips import non_system_crypto
from hardpan.scanners.fips.model import CommandAnswer, NonSystemCrypto
from tests.unit.fips import samples


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
def test_library_is_identified_by_file_name(line: str, library: str | None) -> None:
    files = non_system_crypto.list_files(samples.make_answers(foreign=f"{line}\nend\n"))

    assert [f.library for f in files] == ([] if library is None else [library])


@pytest.mark.parametrize(
    ("answer", "complete"),
    [
        (None, "unknown"),
        (CommandAnswer(exit_status=126, text=""), "unknown"),
        ("end\n", "yes"),
        ("file /opt/libcrypto.so.3\nend\n", "yes"),
        ("file /opt/libcrypto.so.3\n", "no"),
        (CommandAnswer(exit_status=124, text="file /opt/libcrypto.so.3\n"), "no"),
        ("".join(f"file /opt/{i}/libcrypto.so.3\n" for i in range(51)) + "end", "no"),
    ],
)
def test_truncated_search_is_not_complete(
    answer: str | CommandAnswer | None, complete: str
) -> None:
    assert non_system_crypto.assess_completeness(samples.make_answers(foreign=answer)) == complete


def test_hostile_path_is_sanitized_and_truncated() -> None:
    text = f"file /opt/\x1b[2J\u202e{'a' * 999}/libcrypto.so.3\nend"

    (entry,) = non_system_crypto.list_files(samples.make_answers(foreign=text))
    assert entry == NonSystemCrypto(path=f"/opt/?[2J?{'a' * 190}", library="OpenSSL")
    assert len(entry.path) == 200
