"""What ``hardpan render`` says of the layers that install nothing from a vendor."""

from typing import cast, get_args

import pytest

from hardpan.builder import inputs
from hardpan.profiles.audit import Audit, LogHost
from hardpan.profiles.kernel_hardening import KernelHardening
from hardpan.profiles.load import load
from hardpan.profiles.model import Layer
from hardpan.profiles.tuning import Tuning


@pytest.mark.parametrize("layer", get_args(Layer))
def test_every_layer_says_what_it_does(layer: Layer) -> None:
    told = inputs.layers(load("lab-stig").model_copy(update={"layers": (layer,)}))

    assert [x["layer"] for x in told] == [layer]
    assert len(cast(str, told[0]["does"])) > 20


@pytest.mark.parametrize(
    ("layer", "section", "said"),
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
def test_a_section_of_the_host_is_told_in_short(layer: str, section: object, said: str) -> None:
    told = inputs.layers(load("lab-stig").model_copy(update={"layers": (layer,), layer: section}))

    assert cast(str, told[0]["does"]).endswith(said)
