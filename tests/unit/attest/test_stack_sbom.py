"""Stacks in the bill of materials and in the receipts that are read back."""

import json
from dataclasses import asdict

from hardpan.builder.artifacts import StackFinding, StackResult, WheelRecord
from hardpan.builder.attest.sbom import build_sbom
from hardpan.core.files import Sha256

DIGEST = Sha256("ab" * 32)
STACK = "hardpan-ai-serving-0.3.36-1.h1234.x86_64"


def stack_result(name: str = "serving") -> StackResult:
    return StackResult(
        name=name,
        rpm=f"hardpan-ai-{name}.x86_64.rpm",
        rpm_sha256="1" * 64,
        header_sha256="2" * 64,
        lock_sha256="3" * 64,
        python="3.13",
        has_bytecode=True,
        wheels=(
            WheelRecord(
                name="cryptography",
                version="50.0.2+x",
                file="cryptography-50.0.2+x-cp311-abi3-manylinux_2_34_x86_64.whl",
                sha256="4" * 64,
                licence="Apache-2.0 OR BSD-3-Clause",
                source_sha256="5" * 64,
                bundled_crypto=("OpenSSL 4.0.3", "ring 0.17"),
            ),
        ),
        findings=(
            StackFinding(
                kind="bundled_crypto", severity="high", wheel="c", location="", line=0, message="x"
            ),
        ),
    )


def test_wheels_are_components_of_their_stack_package() -> None:
    sbom = json.loads(
        build_sbom(
            "x.qcow2", DIGEST, (STACK, "bash-5-1.x86_64"), distro="lab9", stacks=[stack_result()]
        )
    )

    wheel = next(c for c in sbom["components"] if c["name"] == "cryptography")
    rpm = next(c for c in sbom["components"] if c["name"] == "hardpan-ai-serving")
    assert wheel["purl"] == "pkg:pypi/cryptography@50.0.2%2Bx"
    assert wheel["hashes"] == [{"alg": "SHA-256", "content": "4" * 64}]
    assert wheel["licenses"] == [{"license": {"name": "Apache-2.0 OR BSD-3-Clause"}}]
    crypto = [p["value"] for p in wheel["properties"] if p["name"] == "hardpan:bundled-crypto"]
    assert crypto == ["OpenSSL 4.0.3", "ring 0.17"]
    dependencies = {d["ref"]: d["dependsOn"] for d in sbom["dependencies"]}
    assert dependencies[rpm["bom-ref"]] == [wheel["bom-ref"]]
    assert len(dependencies["image"]) == 2


def test_wheel_in_two_stacks_is_two_components() -> None:
    sbom = json.loads(
        build_sbom("x", DIGEST, (), distro="lab9", stacks=[stack_result(), stack_result("vllm")])
    )

    refs = [c["bom-ref"] for c in sbom["components"]]
    assert len(refs) == len(set(refs)) == 2


def test_stack_result_round_trips_through_json() -> None:
    data = json.loads(json.dumps(asdict(stack_result())))

    assert StackResult.from_json(data) == stack_result()
