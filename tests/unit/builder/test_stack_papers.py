"""Stacks in the bill of materials and in the receipts that are read back."""

import json
from dataclasses import asdict

from hardpan.builder.receipts import StackReceipt, WheelFinding, WheelReceipt
from hardpan.builder.sbom import cyclonedx
from hardpan.files import Sha256

DIGEST = Sha256("ab" * 32)
STACK = "hardpan-ai-serving-0.3.36-1.h1234.x86_64"


def receipt(name: str = "serving") -> StackReceipt:
    return StackReceipt(
        name=name,
        rpm=f"hardpan-ai-{name}.x86_64.rpm",
        rpm_sha256="1" * 64,
        header_sha256="2" * 64,
        lock_sha256="3" * 64,
        python="3.13",
        bytecode=True,
        wheels=(
            WheelReceipt(
                name="cryptography",
                version="50.0.2+x",
                file="cryptography-50.0.2+x-cp311-abi3-manylinux_2_34_x86_64.whl",
                sha256="4" * 64,
                licence="Apache-2.0 OR BSD-3-Clause",
                source_sha256="5" * 64,
                crypto=("OpenSSL 4.0.3", "ring 0.17"),
            ),
        ),
        findings=(
            WheelFinding(
                kind="bundled_crypto", severity="high", wheel="c", where="", line=0, what="x"
            ),
        ),
    )


def test_a_stacks_wheels_are_components_of_its_package() -> None:
    made = json.loads(
        cyclonedx("x.qcow2", DIGEST, (STACK, "bash-5-1.x86_64"), distro="lab9", stacks=[receipt()])
    )

    wheel = next(c for c in made["components"] if c["name"] == "cryptography")
    rpm = next(c for c in made["components"] if c["name"] == "hardpan-ai-serving")
    assert wheel["purl"] == "pkg:pypi/cryptography@50.0.2%2Bx"
    assert wheel["hashes"] == [{"alg": "SHA-256", "content": "4" * 64}]
    assert wheel["licenses"] == [{"license": {"name": "Apache-2.0 OR BSD-3-Clause"}}]
    crypto = [p["value"] for p in wheel["properties"] if p["name"] == "hardpan:bundled-crypto"]
    assert crypto == ["OpenSSL 4.0.3", "ring 0.17"]
    needed = {d["ref"]: d["dependsOn"] for d in made["dependencies"]}
    assert needed[rpm["bom-ref"]] == [wheel["bom-ref"]]
    assert len(needed["image"]) == 2


def test_the_same_wheel_in_two_stacks_is_two_components() -> None:
    made = json.loads(
        cyclonedx("x", DIGEST, (), distro="lab9", stacks=[receipt(), receipt("vllm")])
    )

    refs = [c["bom-ref"] for c in made["components"]]
    assert len(refs) == len(set(refs)) == 2


def test_a_receipt_is_read_back_as_it_was() -> None:
    told = json.loads(json.dumps(asdict(receipt())))

    assert StackReceipt.of(told) == receipt()
