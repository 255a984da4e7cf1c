import pytest

from hardpan.core.nevra import Nevra, parse_nevra


@pytest.mark.parametrize(
    ("text", "expected", "evr"),
    [
        (
            "bash-0:5.2.26-4.el9.x86_64",
            Nevra(name="bash", epoch="0", version="5.2.26", release="4.el9", arch="x86_64"),
            "0:5.2.26-4.el9",
        ),
        (
            "python3-dnf-plugin-4.3-1.el9.noarch",
            Nevra(
                name="python3-dnf-plugin", epoch=None, version="4.3", release="1.el9", arch="noarch"
            ),
            "4.3-1.el9",
        ),
    ],
)
def test_nevra_is_split_into_its_parts(text: str, expected: Nevra, evr: str) -> None:
    nevra = parse_nevra(text)

    assert nevra == expected
    assert nevra.evr == evr


@pytest.mark.parametrize(
    "text", ["", "bash", "bash-5.2", "gpg-pubkey-1234-5678", "a b-1-2.x86_64", "bash-1-2.x86_64\n"]
)
def test_other_text_is_no_nevra(text: str) -> None:
    assert parse_nevra(text) is None
