"""The installed wheel, in environments that hold nothing else of ours, far from the checkout."""

import json
import re
import sys
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from hardpan.builder.layers import registry
from hardpan.cli import VERBS
from hardpan.process import run
from hardpan.profiles.catalog import shipped
from hardpan.scanners.collect import hostfacts
from hardpan.scanners.model import Verdict
from hardpan.scanners.report.base import FORMATS
from tests.integration import tiny_media
from tests.integration.distribution import LINKED, REPO, VERSION, Built, closure, download
from tests.integration.environments import Installed, empty_environment, install, installed
from tests.unit.evaluate.arfs import ARF
from tests.unit.evidence import samples
from tests.unit.evidence.forge import Lab, lab

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def packages(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels that hardpan needs."""
    folder = tmp_path_factory.mktemp("packages")
    download(built, folder)
    return folder


@pytest.fixture(scope="module")
def plain(built: Built, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """hardpan without extras."""
    return installed(tmp_path_factory.mktemp("plain"), built, packages)


@pytest.fixture(scope="module")
def whole(built: Built, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """hardpan with every extra."""
    return installed(tmp_path_factory.mktemp("whole"), built, packages, "[all]")


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Evidence with one open rule of high severity, and its policy."""
    return lab(tmp_path_factory.mktemp("evidence"))


_PACKAGES = "import importlib.metadata as m; print(*{d.name for d in m.distributions()})"


def test_install_brings_what_the_metadata_names_and_nothing_else(
    plain: Installed, whole: Installed, built: Built
) -> None:
    for environment, requirement in ((plain, "hardpan"), (whole, "hardpan[all]")):
        names = {canonicalize_name(name) for name in environment.python(_PACKAGES).split()}

        assert names == {"hardpan", *closure(requirement, built)}


def test_old_top_level_names_are_not_installed(plain: Installed) -> None:
    code = (
        "import hardpan; from importlib.util import find_spec; import sys;"
        "print(hardpan.__file__, *[n for n in sys.argv[1:] if find_spec(n)])"
    )

    place, *others = plain.python(code, *LINKED, "images", "tests").split()

    assert Path(place).is_relative_to(plain.folder)
    assert others == []


def test_arf_is_read_by_a_process_of_the_installed_package(whole: Installed) -> None:
    code = (
        "import sys; from hardpan.scanners.arf_process import read_arf;"
        "arf, packed = read_arf([sys.argv[1].encode()], name='x.xml');"
        "print(*(f'{r.rule_id}={r.verdict}' for r in arf.rules.values()), packed.size)"
    )

    told = whole.python(code, ARF.replace("\x85", " "))

    assert told.split() == ["one=fail", "three=pass", str(len(ARF))]


def test_version_is_the_wheel_s(plain: Installed) -> None:
    assert plain.hardpan("--version").stdout == f"hardpan, version {VERSION}\n"


def test_without_extras_evidence_is_verified_and_shown(plain: Installed, evidence: Lab) -> None:
    evidence.trust("max_open: {high: 1}\n")
    lenient = evidence.ring.policy.with_name("changed.yaml")

    over = plain.hardpan("verify", evidence.good, "--policy", evidence.ring.policy, ok=(1,))
    within = plain.hardpan("verify", evidence.good, "--policy", lenient)
    shown = plain.hardpan("show", evidence.good, "--policy", evidence.ring.policy)

    assert over.stdout.splitlines()[-1] == "verdict: over the limits"
    assert within.stdout.splitlines()[-1] == "verdict: verified"
    assert "xccdf_org.ssgproject.content_profile_stig" in shown.stdout


def test_without_extras_the_verdict_is_signed_with_the_version(
    plain: Installed, evidence: Lab
) -> None:
    plain.hardpan("keys", "new", "verifier")
    arguments: list[str | Path] = ["verify", evidence.good, "--policy", evidence.ring.policy]

    plain.hardpan(*arguments, "--emit-svr", "svr.json", "--key", "verifier/build.pem", ok=(1,))

    payload = json.loads((plain.home / "svr.json").read_bytes())["dsseEnvelope"]["payload"]
    statement = json.loads(b64decode(payload))
    assert statement["predicate"]["verifier"]["id"] == f"https://hardpan.dev/verifier/{VERSION}"


def test_without_extras_every_format_but_pdf_is_exported(plain: Installed, evidence: Lab) -> None:
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
    names = [n for n, f in FORMATS.items() if n != "pdf" and not (f.of_stig or f.of_changes)]

    said = plain.python(code, evidence.good, evidence.ring.policy, *names)

    assert said.splitlines() == [f"{name} 0" for name in names]
    for name in names:
        drawn = (plain.home / f"drawn-{name}").read_bytes()
        assert drawn == evidence.files().get(FORMATS[name].file, drawn)
    assert {"html", "oscal-ar", "oscal-poam", "sarif", "csv", "junit-rules"} <= set(names)
    assert b"<!doctype html>" in (plain.home / "drawn-html").read_bytes().lower()


def test_without_extras_scans_are_compared(plain: Installed, evidence: Lab, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    later = {"started": "2026-11-22T04:00:00Z", "finished": "2026-11-22T04:05:00Z"}
    rules = (samples.rule(1, Verdict.FAIL), *samples.RULES[1:])
    evaluation = replace(samples.scan().evaluation, results=rules)
    new = samples.write(
        samples.scan(evaluation=evaluation, **later), evidence.scan, tmp_path / "new"
    )

    said = plain.hardpan("diff", evidence.good, new, "--policy", evidence.ring.policy, ok=(1,))

    assert "rule r001 (medium): pass -> fail" in said.stdout
    assert said.stdout.splitlines()[-1].startswith("verdict: regressions: ")


def test_without_extras_a_ledger_is_kept_in_the_user_s_state_folder(
    plain: Installed, evidence: Lab
) -> None:
    plain.hardpan("ledger", "add", evidence.good, "--policy", evidence.ring.policy)
    plain.hardpan("ledger", "verify", "--policy", evidence.ring.policy)

    assert list(plain.xdg("STATE").rglob("*.sqlite")) == [
        plain.xdg("STATE") / "hardpan" / "ledger.sqlite"
    ]
    assert "2026-11-21T04:05:00Z  61.00" in plain.hardpan("ledger", "history", "lab").stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("scan", "admin@host.example"), "scan"),
        (("smoke", "admin@host.example"), "scan"),
        (("build", "rocky9-stig", "--dry-run"), "build"),
        (("prove", "rocky9-stig", "--dry-run"), "build"),
    ],
)
def test_command_that_lacks_its_extra_says_which(
    plain: Installed, arguments: tuple[str, ...], extra: str
) -> None:
    refused = plain.hardpan(*arguments, ok=(4,))

    assert f"pip install 'hardpan[{extra}]'" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_pdf_without_its_extra_says_which(plain: Installed, evidence: Lab) -> None:
    arguments: list[str | Path] = [
        "export",
        evidence.good,
        "--policy",
        evidence.ring.policy,
        "--as",
        "pdf",
    ]

    assert "pip install 'hardpan[pdf]'" in plain.hardpan(*arguments, ok=(4,)).stderr


def test_with_all_extras_every_command_is_there(whole: Installed) -> None:
    code = """
import sys
from hardpan.cli import run
for name in sys.argv[1:]:
    print("ended:", name, run([name, "--help"]))
"""
    said = whole.python(code, *sorted(VERBS))

    assert [x for x in said.splitlines() if x.startswith("ended: ")] == [
        f"ended: {name} 0" for name in sorted(VERBS)
    ]


def test_with_all_extras_profiles_are_checked_and_rendered(whole: Installed) -> None:
    listed = whole.hardpan("profiles").stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(shipped())

    assert whole.hardpan("check", "rocky9-stig").stdout.startswith("ok  rocky9-stig  sha256:")

    golden = (REPO / "tests" / "golden" / "kickstart" / "rocky9-stig.ks").read_text("utf-8")
    key = next(line for line in golden.splitlines() if line.startswith("sshkey "))
    (whole.home / "id.pub").write_text(key.partition('"')[2].rstrip('"') + "\n")
    whole.hardpan("render", "rocky9-stig", "-o", "rendered", "--key", "id.pub")
    assert (whole.home / "rendered" / "ks.cfg").read_text("utf-8") == golden


def test_with_all_extras_a_rocky_build_could_start(whole: Installed, tmp_path: Path) -> None:
    iso = tiny_media.el9(tmp_path, label="Rocky-9-6-x86_64-dvd").path
    arguments: list[str | Path] = [
        "build",
        "rocky9-stig",
        "--dry-run",
        "--json",
        "--quiet",
        "--media",
        iso,
    ]

    said = json.loads(whole.hardpan(*arguments).stdout)

    assert said["problems"] == []
    assert said["setting"]["kickstart"].endswith("accepted by our linter, bash and ksvalidator")
    assert said["setting"]["cache"] == str(whole.xdg("CACHE") / "hardpan")
    assert list(whole.home.glob(".*")) == []


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_lab_build_says_that_it_needs_a_checkout(whole: Installed, dry: tuple[str, ...]) -> None:
    refused = whole.hardpan("build", "lab-stig", "-o", "out", *dry, ok=(3,))

    said = " ".join((refused.stdout + refused.stderr).split())
    assert "lab profiles need a checkout: expected hardpan to run from its source" in said
    assert "clone the repository and run 'make demo' in it, or build a Rocky profile" in said
    assert not (whole.home / "out").exists()


def test_installed_layers_have_the_digest_of_the_checkout(whole: Installed) -> None:
    # As pip does where a person installs: bytecode is next to every file that goes to the guest.
    compiled = "import compileall, hardpan; compileall.compile_dir(hardpan.__path__[0], quiet=1)"
    whole.python(compiled)
    code = "from hardpan.builder.layers import registry; print(registry.digest())"

    assert whole.python(code).strip() == registry.digest()


def test_checks_of_a_host_are_found_by_pytest(whole: Installed) -> None:
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

    collected = re.findall(r"::(test_\w+)", whole.python(code))

    assert len(defined) >= 25
    assert set(collected) == defined


def test_editable_install_exposes_one_name(built: Built, tmp_path: Path) -> None:
    # PEP 660's hook, as 'pip install -e' calls it, on the copy: it writes beside the source.
    hook = "import sys; from setuptools.build_meta import build_editable as b; b(sys.argv[1])"
    run([sys.executable, "-c", hook, tmp_path], timeout_s=120, cwd=built.copy)
    (wheel,) = tmp_path.glob("*.whl")
    environment = empty_environment(tmp_path)
    install(environment, "--no-deps", wheel)
    code = (
        "import sys; from importlib.util import find_spec;"
        "print(find_spec('hardpan.scanners.model').origin, *filter(find_spec, sys.argv[1:]))"
    )

    place, *others = environment.python(code, *LINKED, "images", "tests").split()

    assert place == str(built.copy / "hardpan" / "scanners" / "model.py")
    assert others == []
