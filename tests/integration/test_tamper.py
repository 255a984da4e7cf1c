"""The cases of tests/tamper, as verify.sh and cosign judge them."""

from pathlib import Path

import pytest

from tests.tamper import verdicts
from tests.tamper.kit import TamperKit, create_kit
from tests.tamper.verdicts import Variant
from tests.tools.get_cosign import find_cosign

pytestmark = pytest.mark.integration

VARIANTS = [v for v in verdicts.variants() if v.script != "-"]
_OF_MANY = 3  # of a forgery that is many of a kind, the first ones; hardpan judges them all


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> TamperKit:
    return create_kit(tmp_path_factory.mktemp("kit"))


@pytest.mark.parametrize("v", VARIANTS, ids=[f"{v.case[:2]}: {v.name}" for v in VARIANTS])
def test_verify_sh_and_cosign_return_expected_verdicts(
    kit: TamperKit, v: Variant, tmp_path: Path
) -> None:
    program = find_cosign()
    if program is None:
        pytest.fail("cosign is missing: .venv/bin/python tests/tools/get_cosign.py")
    trusted, key = tmp_path / "verify.sh", tmp_path / "scan.pub"
    trusted.write_bytes(kit.valid_files["verify.sh"])
    key.write_text(kit.scan_signer.public.pem)
    forged = v.forge_all(kit)[:_OF_MANY]

    assert forged
    for n, evidence in enumerate(forged):
        folder = verdicts.unpack(evidence, tmp_path / f"{n}")
        assert folder is not None

        assert verdicts.verify_with_script(key, folder, trusted) == v.script
        assert (
            verdicts.verify_with_cosign(program, key, folder, evidence.file, tmp_path) == v.cosign
        )
