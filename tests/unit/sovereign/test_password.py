"""``hardpan password``: a hash that a profile takes, and the password nowhere."""

import pytest
from click.testing import CliRunner

from hardpan.builder.commands.password import password
from hardpan.builder.layers.sovereign.accounts import matches
from hardpan.errors import InputError
from hardpan.profiles.sovereign import Login


def test_what_it_prints_a_profile_takes_and_the_password_is_not_shown() -> None:
    ran = CliRunner().invoke(password, input="correct horse 1\ncorrect horse 1\n")

    assert Login(name="ada", password_hash=ran.stdout.strip()).password_hash
    assert matches("correct horse 1", ran.stdout.strip())
    assert "horse" not in ran.output


def test_a_short_password_is_refused_without_being_told() -> None:
    ran = CliRunner().invoke(password, input="hunter2\nhunter2\n")

    assert isinstance(ran.exception, InputError)
    assert str(ran.exception) == "expected 12 characters or more, found 7"


def test_two_different_ones_are_asked_for_again() -> None:
    ran = CliRunner().invoke(password, input="correct horse 1\ncorrect horse 2\n")

    assert ran.exit_code == 1
    assert not ran.stdout.startswith("$")


@pytest.mark.parametrize("odd", ["pässwörter!!", "with blanks in", "t\N{SNOWMAN}" * 8])
def test_any_characters_will_do(odd: str) -> None:
    ran = CliRunner().invoke(password, input=f"{odd}\n{odd}\n")

    assert matches(odd, ran.stdout.strip())
