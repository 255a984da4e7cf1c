"""The installed wheel, in environments that contain no other file of the checkout."""

import json
import re
import sys
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from hardpan.builder.layers import inputs, registry
from hardpan.cli import COMMANDS
from hardpan.core.process import run
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.profiles.loader.shipped import shipped_profiles
from hardpan.scanners.collect import hostfacts
from hardpan.scanners.model.scan import Verdict
from hardpan.scanners.report.registry import FORMATS
from tests.integration import rocky_dvd
from tests.integration.distribution import (
    LINKED_FOLDERS,
    REPO,
    VERSION,
    Distribution,
    dependency_closure,
    download_dependencies,
)
from tests.integration.environments import (
    InstalledEnvironment,
    create_empty_environment,
    create_environment,
    install,
)
from tests.unit.evidence import samples
from tests.unit.evidence.evidence_fixture import EvidenceFixture, create_fixture
from tests.unit.openscap.samples import ARF

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def packages(built: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels that hardpan needs."""
    folder = tmp_path_factory.mktemp("packages")
    download_dependencies(built, folder)
    return folder


@pytest.fixture(scope="module")
def plain(
    built: Distribution, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> InstalledEnvironment:
    """hardpan without extras."""
    return create_environment(tmp_path_factory.mktemp("plain"), built, packages)


@pytest.fixture(scope="module")
def full(
    built: Distribution, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> InstalledEnvironment:
    """hardpan with every extra."""
    return create_environment(tmp_path_factory.mktemp("whole"), built, packages, "[all]")


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> EvidenceFixture:
    """Evidence with one open rule of high severity, and its policy."""
    return create_fixture(tmp_path_factory.mktemp("evidence"))


_PACKAGES = "import importlib.metadata as m; print(*{d.name for d in m.distributions()})"


def test_install_matches_declared_dependencies(
    plain: InstalledEnvironment, full: InstalledEnvironment, built: Distribution
) -> None:
    for environment, requirement in ((plain, "hardpan"), (full, "hardpan[all]")):
        names = {canonicalize_name(name) for name in environment.run_python(_PACKAGES).split()}

        assert names == {"hardpan", *dependency_closure(requirement, built)}


def test_old_top_level_names_are_not_installed(plain: InstalledEnvironment) -> None:
    code = (
        "import hardpan; from importlib.util import find_spec; import sys;"
        "print(hardpan.__file__, *[n for n in sys.argv[1:] if find_spec(n)])"
    )

    location, *unexpected = plain.run_python(code, *LINKED_FOLDERS, "images", "tests").split()

    assert Path(location).is_relative_to(plain.folder)
    assert unexpected == []


def test_installed_package_parses_arf_in_subprocess(full: InstalledEnvironment) -> None:
    code = (
        "import sys; from hardpan.scanners.openscap.arf.process import read_arf;"
        "arf, packed = read_arf([sys.argv[1].encode()], name='x.xml');"
        "print(*(f'{r.rule_id}={r.verdict}' for r in arf.rules.values()), packed.size_bytes)"
    )

    output = full.run_python(code, ARF.replace("\x85", " "))

    assert output.split() == ["one=fail", "three=pass", str(len(ARF))]


def test_version_matches_wheel(plain: InstalledEnvironment) -> None:
    assert plain.run_hardpan("--version").stdout == f"hardpan, version {VERSION}\n"


def test_evidence_commands_need_no_extras(
    plain: InstalledEnvironment, evidence: EvidenceFixture
) -> None:
    evidence.load_policy("max_open: {high: 1}\n")
    lenient = evidence.ring.policy.with_name("changed.yaml")

    strict = plain.run_hardpan(
        "verify", evidence.valid_path, "--policy", evidence.ring.policy, ok=(1,)
    )
    passing = plain.run_hardpan("verify", evidence.valid_path, "--policy", lenient)
    show_result = plain.run_hardpan("show", evidence.valid_path, "--policy", evidence.ring.policy)

    assert strict.stdout.splitlines()[-1] == "verdict: thresholds exceeded"
    assert passing.stdout.splitlines()[-1] == "verdict: verified"
    assert "xccdf_org.ssgproject.content_profile_stig" in show_result.stdout


def test_svr_names_verifier_version(plain: InstalledEnvironment, evidence: EvidenceFixture) -> None:
    plain.run_hardpan("keys", "new", "verifier")
    arguments: list[str | Path] = ["verify", evidence.valid_path, "--policy", evidence.ring.policy]

    plain.run_hardpan(*arguments, "--emit-svr", "svr.json", "--key", "verifier/build.pem", ok=(1,))

    payload = json.loads((plain.home / "svr.json").read_bytes())["dsseEnvelope"]["payload"]
    statement = json.loads(b64decode(payload))
    assert statement["predicate"]["verifier"]["id"] == f"https://hardpan.dev/verifier/{VERSION}"


def test_export_formats_need_no_extras_except_pdf(
    plain: InstalledEnvironment, evidence: EvidenceFixture
) -> None:
    # In one process: it is not the start of Python that is tested.
    code = """
import sys
from hardpan.cli import run
evidence, policy, *names = sys.argv[1:]
for name in names:
    code = run(["export", evidence, "--policy", policy, "--as", name, "-o", f"drawn-{name}"])
    print(name, code)
"""
    # The sample has content without a STIG on record, and no scan before it.
    names = [
        n for n, f in FORMATS.items() if n != "pdf" and not (f.requires_stig or f.requires_changes)
    ]

    output = plain.run_python(code, evidence.valid_path, evidence.ring.policy, *names)

    assert output.splitlines() == [f"{name} 0" for name in names]
    for name in names:
        exported = (plain.home / f"drawn-{name}").read_bytes()
        assert exported == evidence.read_files().get(FORMATS[name].filename, exported)
    assert {"html", "oscal-ar", "oscal-poam", "sarif", "csv", "junit-rules"} <= set(names)
    assert b"<!doctype html>" in (plain.home / "drawn-html").read_bytes().lower()


def test_diff_needs_no_extras(
    plain: InstalledEnvironment, evidence: EvidenceFixture, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    timestamps = {"started": "2026-11-22T04:00:00Z", "finished": "2026-11-22T04:05:00Z"}
    rules = (samples.rule(1, Verdict.FAIL), *samples.RULES[1:])
    evaluation = replace(samples.scan().evaluation, results=rules)
    new = samples.write_evidence(
        samples.scan(evaluation=evaluation, **timestamps), evidence.scan, tmp_path / "new"
    )

    result = plain.run_hardpan(
        "diff", evidence.valid_path, new, "--policy", evidence.ring.policy, ok=(1,)
    )

    assert "rule r001 (medium): pass -> fail" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("verdict: regressions: ")


def test_ledger_is_stored_in_xdg_state_folder(
    plain: InstalledEnvironment, evidence: EvidenceFixture
) -> None:
    plain.run_hardpan("ledger", "add", evidence.valid_path, "--policy", evidence.ring.policy)
    plain.run_hardpan("ledger", "verify", "--policy", evidence.ring.policy)

    assert list(plain.xdg_folder("STATE").rglob("*.sqlite")) == [
        plain.xdg_folder("STATE") / "hardpan" / "ledger.sqlite"
    ]
    assert "2026-11-21T04:05:00Z  61.00" in plain.run_hardpan("ledger", "history", "lab").stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("scan", "admin@host.example"), "scan"),
        (("smoke", "admin@host.example"), "scan"),
        (("build", "rocky9-stig", "--dry-run"), "build"),
        (("prove", "rocky9-stig", "--dry-run"), "build"),
    ],
)
def test_command_without_extra_names_it(
    plain: InstalledEnvironment, arguments: tuple[str, ...], extra: str
) -> None:
    result = plain.run_hardpan(*arguments, ok=(4,))

    assert f"pip install 'hardpan[{extra}]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_pdf_without_extra_names_it(plain: InstalledEnvironment, evidence: EvidenceFixture) -> None:
    arguments: list[str | Path] = [
        "export",
        evidence.valid_path,
        "--policy",
        evidence.ring.policy,
        "--as",
        "pdf",
    ]

    assert "pip install 'hardpan[pdf]'" in plain.run_hardpan(*arguments, ok=(4,)).stderr


def test_all_extras_enable_every_command(full: InstalledEnvironment) -> None:
    code = """
import sys
from hardpan.cli import run
for name in sys.argv[1:]:
    print("ended:", name, run([name, "--help"]))
"""
    output = full.run_python(code, *sorted(COMMANDS))

    assert [x for x in output.splitlines() if x.startswith("ended: ")] == [
        f"ended: {name} 0" for name in sorted(COMMANDS)
    ]


def test_all_extras_check_and_render_profiles(full: InstalledEnvironment) -> None:
    listed = full.run_hardpan("profiles").stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(shipped_profiles())

    assert full.run_hardpan("check", "rocky9-stig").stdout.startswith("ok  rocky9-stig  sha256:")

    golden = (REPO / "tests" / "golden" / "kickstart" / "rocky9-stig.ks").read_text("utf-8")
    key = next(line for line in golden.splitlines() if line.startswith("sshkey "))
    (full.home / "id.pub").write_text(key.partition('"')[2].rstrip('"') + "\n")
    full.run_hardpan("render", "rocky9-stig", "-o", "rendered", "--key", "id.pub")
    assert (full.home / "rendered" / "ks.cfg").read_text("utf-8") == golden


def test_all_extras_dry_run_rocky_build(full: InstalledEnvironment, tmp_path: Path) -> None:
    iso = rocky_dvd.write_iso(rocky_dvd.complete_dvd(9), tmp_path)
    arguments: list[str | Path] = [
        "build",
        "rocky9-stig",
        "--dry-run",
        "--json",
        "--quiet",
        "--media",
        iso,
    ]

    plan = json.loads(full.run_hardpan(*arguments).stdout)

    assert plan["problems"] == []
    assert plan["settings"]["kickstart"].endswith("accepted by linter, bash and ksvalidator")
    assert plan["settings"]["cache"] == str(full.xdg_folder("CACHE") / "hardpan")
    assert list(full.home.glob(".*")) == []


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_lab_build_requires_checkout(full: InstalledEnvironment, dry: tuple[str, ...]) -> None:
    result = full.run_hardpan("build", "lab-stig", "-o", "out", *dry, ok=(3,))

    output = " ".join((result.stdout + result.stderr).split())
    assert "lab profiles need a checkout: expected hardpan to run from its source" in output
    assert "clone the repository and run 'make demo' in it, or build a Rocky profile" in output
    assert not (full.home / "out").exists()


def test_installed_layers_digest_equals_checkout(full: InstalledEnvironment) -> None:
    # As pip does where a person installs: bytecode is next to every file that goes to the guest.
    compiled = "import compileall, hardpan; compileall.compile_dir(hardpan.__path__[0], quiet=1)"
    full.run_python(compiled)
    code = (
        "from hardpan.builder.layers import inputs, registry\n"
        "from hardpan.profiles.loader.profile_file import load_profile\n"
        "profile = load_profile('lab-ai')\n"
        "for name in profile.layers:\n"
        "    print(inputs.digest_inputs(profile, registry.LAYERS[name]))"
    )
    profile = load_profile("lab-ai")

    assert full.run_python(code).split() == [
        inputs.digest_inputs(profile, registry.LAYERS[name]) for name in profile.layers
    ]


def test_pytest_collects_installed_host_checks(full: InstalledEnvironment) -> None:
    # site-packages is a folder that pytest passes over in its own search.
    code = """
import sys, pytest
from hardpan.scanners.collect import hostfacts
sys.exit(pytest.main([*hostfacts._CONFIG, "--collect-only", "-q", str(hostfacts.CHECKS)]))
"""
    sources = [path.read_text("utf-8") for path in hostfacts.CHECKS.glob("test_*.py")]
    defined = {
        name for text in sources for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    }

    collected = re.findall(r"::(test_\w+)", full.run_python(code))

    assert len(defined) >= 25
    assert set(collected) == defined


def test_editable_install_exposes_hardpan_only(built: Distribution, tmp_path: Path) -> None:
    # PEP 660's hook, as 'pip install -e' calls it, on the copy: it writes next to the source.
    hook = "import sys; from setuptools.build_meta import build_editable as b; b(sys.argv[1])"
    run([sys.executable, "-c", hook, tmp_path], timeout_s=120, cwd=built.checkout_copy)
    (wheel,) = tmp_path.glob("*.whl")
    environment = create_empty_environment(tmp_path)
    install(environment, "--no-deps", wheel)
    code = (
        "import sys; from importlib.util import find_spec;"
        "print(find_spec('hardpan.scanners.model.scan').origin, *filter(find_spec, sys.argv[1:]))"
    )

    location, *unexpected = environment.run_python(code, *LINKED_FOLDERS, "images", "tests").split()

    assert location == str(built.checkout_copy / "hardpan" / "scanners" / "model" / "scan.py")
    assert unexpected == []
