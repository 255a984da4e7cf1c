"""A profile with the stack in it."""

import pytest

from hardpan.profiles.load import load
from hardpan.profiles.model import Profile
from hardpan.profiles.sovereign import Sovereign


@pytest.fixture
def section() -> Sovereign:
    return Sovereign.model_validate(
        {
            "host_name": "ai.example",
            "users": [{"name": "ada"}],
            "egress": [
                {"address": "10.1.2.0/24", "port": 443, "reason": "The site's mirror."},
                {"address": "2001:db8::/64", "port": 443, "reason": 'Its "other" address; }'},
            ],
        }
    )


@pytest.fixture
def profile(section: Sovereign) -> Profile:
    return load("lab-stig").model_copy(update={"sovereign": section})
