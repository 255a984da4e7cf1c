"""A profile with the stack in it."""

import pytest

from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.ai_service import AiService
from hardpan.profiles.schema.profile import Profile


@pytest.fixture
def section() -> AiService:
    return AiService.model_validate(
        {
            "host_name": "ai.example",
            "users": [{"name": "ada"}],
            "egress": [
                {"address": "10.1.2.0/24", "port": 443, "reason": "The site's mirror."},
                {"address": "2001:db8::/64", "port": 443, "reason": 'Its "other" address; }'},
            ],
        }
    )


@pytest.fixture(scope="session")
def lab_profile() -> Profile:
    return load_profile("lab-stig")


@pytest.fixture
def profile(lab_profile: Profile, section: AiService) -> Profile:
    return lab_profile.model_copy(update={"ai_service": section})
