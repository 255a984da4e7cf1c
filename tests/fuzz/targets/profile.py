"""Damaged profiles: one that is taken is complete, and has one digest."""

from pathlib import Path

from hypothesis import strategies as st

from hardpan.core.errors import InputError
from hardpan.profiles.loader.profile_file import load_profile, profile_digest
from hardpan.profiles.schema.profile import Profile
from tests.fuzz.target import FuzzTarget, mutate_samples
from tests.fuzz.targets.policy import YAML_PIECES, replace_values
from tests.unit.profiles.conftest import GOOD

_PIECES = (
    *YAML_PIECES,
    b"extends: lab-stig\n",
    b"extends: ./fuzz.yaml\n",
    b"20 GiB",
    b"$6$",
    b"../",
)


def target(folder: Path) -> FuzzTarget:
    """Profiles that are read, merged with what they extend, and validated."""
    path = folder / "fuzz.yaml"
    short = "extends: rocky9-stig-cpu\nname: short\ntitle: A short profile\nfips: true\n"

    def check(data: bytes) -> str:
        path.write_bytes(data)
        try:
            profile = load_profile(path)
        except InputError as e:
            if ".yaml:" not in str(e).splitlines()[0]:
                raise AssertionError(f"a problem without its place: {e}") from e
            raise
        assert profile_digest(profile) == profile_digest(load_profile(path))
        assert set(Profile.model_fields) == set(profile.model_dump())
        return "taken"

    return FuzzTarget(
        name="profile",
        inputs=st.one_of(
            mutate_samples([GOOD.encode(), short.encode()], _PIECES), replace_values(GOOD.encode())
        ),
        check=check,
    )
