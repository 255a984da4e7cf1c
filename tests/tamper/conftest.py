"""Attacks on evidence start no process and open no socket: trying to is an error."""

import pytest

from tests.isolation import isolate
from tests.unit.evidence.evidence_fixture import EvidenceFixture, create_fixture

__all__ = ["isolate"]


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> EvidenceFixture:
    return create_fixture(tmp_path_factory.mktemp("lab"))
