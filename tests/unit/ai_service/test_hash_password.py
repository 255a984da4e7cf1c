"""``hardpan hash-password``: a hash that a profile takes, and the password nowhere."""

import pytest
from click.testing import CliRunner

from hardpan.builder.ai_service.payload.accounts import verify_password
from hardpan.cli.hash_password import hash_password
from hardpan.core.errors import InputError
from hardpan.profiles.schema.ai_service import UserLogin


def test_hash_is_valid_in_profile_and_password_is_hidden() -> None:
    result = CliRunner().invoke(hash_password, input="correct horse 1\ncorrect horse 1\n")

    assert UserLogin(name="ada", password_hash=result.stdout.strip()).password_hash
    assert verify_password("correct horse 1", result.stdout.strip())
    assert "horse" not in result.output


def test_short_password_is_rejected_without_echo() -> None:
    result = CliRunner().invoke(hash_password, input="hunter2\nhunter2\n")

    assert isinstance(result.exception, InputError)
    assert str(result.exception) == "expected 12 characters or more, got 7"


def test_mismatched_passwords_prompt_again() -> None:
    result = CliRunner().invoke(hash_password, input="correct horse 1\ncorrect horse 2\n")

    assert result.exit_code == 1
    assert not result.stdout.startswith("$")


@pytest.mark.parametrize("typed", ["pässwörter!!", "with blanks in", "t\N{SNOWMAN}" * 8])
def test_password_may_contain_any_characters(typed: str) -> None:
    result = CliRunner().invoke(hash_password, input=f"{typed}\n{typed}\n")

    assert verify_password(typed, result.stdout.strip())
