"""The cases of tests/tamper, as verify.sh and cosign judge them."""

from pathlib import Path

import pytest

from tests.tamper import verdicts
from tests.tamper.kit import Workshop
from tests.tamper.kit import workshop as make
from tests.tamper.verdicts import Variant
from tests.tools.get_cosign import find_cosign

pytestmark = pytest.mark.integration

VARIANTS = [v for v in verdicts.variants() if v.script != "-"]
_OF_MANY = 3  # of a forgery that is many of a kind, the first ones; hardpan judges them all


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return make(tmp_path_factory.mktemp("workshop"))


@pytest.mark.parametrize("v", VARIANTS, ids=[f"{v.case[:2]}: {v.name}" for v in VARIANTS])
def test_verify_sh_and_cosign_return_expected_verdicts(
    workshop: Workshop, v: Variant, tmp_path: Path
) -> None:
    program = find_cosign()
    if program is None:
        pytest.fail("cosign is missing: .venv/bin/python tests/tools/get_cosign.py")
    trusted, key = tmp_path / "verify.sh", tmp_path / "scan.pub"
    trusted.write_bytes(workshop.good["verify.sh"])
    key.write_text(workshop.scan.public.pem)
    forged = v.forge_all(workshop)[:_OF_MANY]

    assert forged
    for n, evidence in enumerate(forged):
        folder = verdicts.unpack(evidence, tmp_path / f"{n}")
        assert folder is not None

        assert verdicts.verify_with_script(key, folder, trusted) == v.script
        assert (
            verdicts.verify_with_cosign(program, key, folder, evidence.file, tmp_path) == v.cosign
        )
