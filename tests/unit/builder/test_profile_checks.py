"""What prevents a build of a profile."""

import pytest

from hardpan.builder.profile_checks import collect_profile_errors
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.encryption import Encryption


@pytest.mark.parametrize(
    ("settings", "builds_image", "is_refused"),
    [
        ({"mode": "none", "reason": "A test."}, True, False),
        ({"mode": "luks2"}, True, True),
        ({"mode": "luks2"}, False, False),
        ({"mode": "luks2", "unlock": "tpm2"}, True, False),
    ],
)
def test_image_with_a_shared_disk_key_is_refused(
    settings: dict[str, str], builds_image: bool, is_refused: bool
) -> None:
    profile = load_profile("rocky9-stig")
    encryption = Encryption.model_validate(settings)
    storage = profile.storage.model_copy(update={"encryption": encryption})

    errors = collect_profile_errors(
        profile.model_copy(update={"storage": storage}), builds_image=builds_image
    ).collected

    assert [x.area for x in errors] == (["encryption"] if is_refused else [])
    if is_refused:
        assert "all machines from one image would share the key of the disk" in str(errors[0].error)
        assert "--format iso" in errors[0].error.hint
