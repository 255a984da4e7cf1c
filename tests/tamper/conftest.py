"""Attacks on evidence start no process and open no socket: trying to is an error."""

import pytest

from tests.isolation import (
    empty_ssh_config,
    forbid_processes_and_sockets,
    home_folder,
    skip_fsync,
    temporary_xdg_folders,
)
from tests.unit.evidence.evidence_fixture import EvidenceFixture, create_fixture

__all__ = [
    "empty_ssh_config",
    "forbid_processes_and_sockets",
    "home_folder",
    "skip_fsync",
    "temporary_xdg_folders",
]


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> EvidenceFixture:
    return create_fixture(tmp_path_factory.mktemp("lab"))
