import pytest

from tests.unit.evidence.forge import Lab
from tests.unit.evidence.forge import lab as make


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make(tmp_path_factory.mktemp("lab"))
