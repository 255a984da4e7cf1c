"""The plan of a scan: what a hardpan profile asks for, or an XCCDF profile alone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hardpan.core.errors import InputError
from hardpan.core.yaml_source import YamlNode
from hardpan.profiles.loader.profile_file import load_located_profile
from hardpan.profiles.loader.shipped import find_shipped_profile
from hardpan.profiles.loader.waiver_file import locate_profile_waivers
from hardpan.profiles.schema.profile import Profile, SmokeSettings
from hardpan.profiles.schema.rule_names import shorten_id
from hardpan.profiles.schema.waivers import LocatedWaiver
from hardpan.scanners.collect.base import (
    CollectTask,
    ExpectedState,
    InferenceServer,
    WorkloadSettings,
)
from hardpan.scanners.collect.check_registry import load_registry
from hardpan.scanners.collect.task import (
    build_expected_state,
    build_workload_settings,
    find_inference_server,
)
from hardpan.scanners.content.store import Product

AI_LAYERS = frozenset({"ml_frameworks", "ai_service"})
"""Layers that the compatibility checks are about."""

_XCCDF_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What a scan needs from a profile."""

    name: str = ""
    """Name of the hardpan profile; empty: reports use the short name of the XCCDF profile."""

    xccdf_profile: str = ""
    """``stig`` or a full id; empty: the default profile of the content."""

    product: Product | None = None
    """Product of the data stream; None: chosen by the os-release of the host."""

    waivers: tuple[LocatedWaiver, ...] = ()
    """Of the profile and the waiver file."""

    expected: ExpectedState | None = None
    """Required state of the running system; None without a hardpan profile."""

    workload: WorkloadSettings | None = None
    """Sizes of the AI workload test; None: it does not run."""

    server: InferenceServer | None = None
    """Inference server for the chat test; None if the profile has none."""

    has_ai_workload: bool = False
    """True if layers of the profile run AI workloads: the compatibility checks are run."""

    def display_name(self, xccdf_profile_id: str) -> str:
        """Return the name of the profile in reports and file names.

        ``xccdf_profile_id`` is the full id of the evaluated XCCDF profile.
        """
        return self.name or shorten_id(xccdf_profile_id)

    def build_task(
        self, distro: str = "linux", required_checks: frozenset[str] = frozenset()
    ) -> CollectTask:
        """Return the task of the collectors, without content, for a host of ``distro``."""
        return CollectTask(
            distro=distro,
            expected=self.expected,
            required_checks=required_checks,
            workload=self.workload,
            server=self.server,
        )

    def list_required_checks(
        self, rule_ids: Iterable[str], requested: Iterable[str]
    ) -> frozenset[str]:
        """Return the ids of hardpan's checks that count on the host.

        ``rule_ids`` are the selected rules, ``requested`` the names given with ``--require``. A
        hardpan profile says itself what it asks for, so the rules count only without one.
        """
        if self.expected is None:
            return load_registry().list_required((), rule_ids, requested)
        fips_argument = ("fips=1",) if self.expected.fips else ()
        arguments = (*self.expected.kernel_arguments, *fips_argument)
        return load_registry().list_required(arguments, (), requested)


def plan_profile(profile: Profile, tree: YamlNode | None = None) -> ScanPlan:
    """Return the plan of a scan with a hardpan profile.

    ``tree`` has the locations of its settings.
    """
    return ScanPlan(
        name=profile.name,
        xccdf_profile=profile.stig.profile_id,
        product=profile.stig.content,
        waivers=locate_profile_waivers(profile, tree),
        expected=build_expected_state(profile),
        workload=build_workload_settings(profile.smoke, python=profile.ai_python),
        server=find_inference_server(profile),
        has_ai_workload=bool(AI_LAYERS & set(profile.layers)),
    )


def plan_xccdf_profile(xccdf_profile: str = "") -> ScanPlan:
    """Return the plan of a scan with an XCCDF profile alone, by default that of the content."""
    return ScanPlan(xccdf_profile=xccdf_profile, workload=build_workload_settings(SmokeSettings()))


def load_plan(name: str | None) -> ScanPlan:
    """Return the plan for a shipped or own hardpan profile, or for an XCCDF profile.

    A name with a folder or ending in ``.yaml`` is a file; every other name that no shipped profile
    has is an XCCDF profile, whose existence only the content shows.

    Raises:
        InputError: the profile is invalid, or the name is neither a file nor an XCCDF id.
    """
    if name is None:
        return plan_xccdf_profile()
    is_file_name = "/" in name or name.endswith((".yaml", ".yml")) or Path(name).is_file()
    if is_file_name or find_shipped_profile(name) is not None:
        loaded = load_located_profile(name)
        return plan_profile(loaded.profile, loaded.tree)
    if not _XCCDF_NAME.fullmatch(name):
        raise InputError(
            f"--profile: expected a hardpan profile or an XCCDF profile, got {name[:80]!a}",
            hint="'hardpan profiles' lists the first, 'hardpan content list' the second",
        )
    return plan_xccdf_profile(name)
