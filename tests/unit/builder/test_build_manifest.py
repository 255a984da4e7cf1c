"""What ``hardpan render`` says of the layers that install nothing from a vendor."""

from typing import cast, get_args

import pytest

from hardpan.builder import build_manifest
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.schema.audit import Audit, LogHost
from hardpan.profiles.schema.kernel_hardening import KernelHardening
from hardpan.profiles.schema.profile import LayerName
from hardpan.profiles.schema.tuning import Tuning


@pytest.mark.parametrize("layer", get_args(LayerName))
def test_every_layer_has_a_description(layer: LayerName) -> None:
    described = build_manifest.describe_layers(
        load_profile("lab-stig").model_copy(update={"layers": (layer,)})
    )

    assert [entry["layer"] for entry in described] == [layer]
    assert len(cast(str, described[0]["description"])) > 20


@pytest.mark.parametrize(
    ("layer", "section", "summary"),
    [
        ("kernel_hardening", None, ": lockdown=integrity, module.sig_enforce=1"),
        (
            "kernel_hardening",
            KernelHardening(lockdown="none", module_signatures="not_enforced"),
            ": no lock-down, unsigned modules",
        ),
        ("tuning", Tuning(purpose="training", manager="static"), ": hardpan-training, static"),
        ("audit", None, ": logs stay on the machine"),
        (
            "audit",
            Audit(log_host=LogHost.model_construct(host="logs.example")),
            ": logs go to logs.example over TLS",
        ),
    ],
)
def test_layer_description_summarizes_its_section(
    layer: str, section: object, summary: str
) -> None:
    described = build_manifest.describe_layers(
        load_profile("lab-stig").model_copy(update={"layers": (layer,), layer: section})
    )

    assert cast(str, described[0]["description"]).endswith(summary)
