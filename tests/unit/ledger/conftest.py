import pytest

from hardpan.core import clock
from tests.unit.evidence.evidence_fixture import NOW, EvidenceFixture
from tests.unit.evidence.evidence_fixture import create_fixture as make_evidence


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> EvidenceFixture:
    return make_evidence(tmp_path_factory.mktemp("lab"))


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
