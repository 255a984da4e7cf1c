"""``hardpan remediate`` on a real host: scan, playbook or script, rescan, ``hardpan diff``."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hardpan.core.process import CompletedProcess, run
from hardpan.scanners.content import datastream
from hardpan.scanners.content.fixes import FixKind, RuleFixes, read_rule_fixes, render_bash_fix
from hardpan.scanners.content.scap_xml import find_benchmark
from hardpan.scanners.content.xccdf_tailoring import embed_tailoring
from hardpan.scanners.deviations.tailoring_file import YamlTailoring, load_tailoring
from hardpan.scanners.model.scan import ContentOrigin
from hardpan.scanners.remediation.ansible_fix import parse_ansible_fix
from tests.integration.overlay_host import HostSpec, OverlayHost, overlay_host

pytestmark = pytest.mark.integration

_SSG = "xccdf_org.ssgproject.content"
_PROFILE = "xccdf_org.example_profile_site"
_RULES = (
    *("accounts_umask_etc_profile", "accounts_umask_etc_bashrc", "file_permissions_etc_issue"),
    *("file_permissions_etc_motd", "file_owner_etc_issue", "mount_option_dev_shm_nodev"),
    "use_pam_wheel_group_for_su",
)
_FIXED = ("accounts_umask_etc_bashrc", "accounts_umask_etc_profile", "file_permissions_etc_issue")
_SELECTS = "\n".join(f'<select idref="{_SSG}_rule_{r}" selected="true"/>' for r in _RULES)
_TAILORING = f"""\
<Tailoring xmlns="http://checklists.nist.gov/xccdf/1.2" id="xccdf_org.example_tailoring_t">
<version time="2026-11-30T00:00:00">1</version>
<Profile id="{_PROFILE}"><title>site</title>
{_SELECTS}
<set-value idref="{_SSG}_value_var_accounts_user_umask">077</set-value>
</Profile>
</Tailoring>
"""
_WAIVERS = """\
waivers:
  - {rule: file_permissions_etc_motd, reason: Others edit it., owner: ops, expires: 2099-01-31}
"""
_FILES = "/etc/profile /etc/bash.bashrc /etc/issue /etc/motd /etc/pam.d/su"
_STATE = (
    "grep -h ^umask /etc/profile /etc/bash.bashrc; stat -c %a /etc/issue /etc/motd;"
    "grep -c ^auth.*pam_wheel.so.*group= /etc/pam.d/su"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A host with three failed rules that have an undisturbing fix, and a folder."""

    host: OverlayHost
    folder: Path

    def hardpan(self, *argv: object, ok: tuple[int, ...] = (0,)) -> CompletedProcess:
        environment = {"XDG_DATA_HOME": str(self.folder / "data")}
        command = [sys.executable, "-m", "hardpan", *map(str, argv)]
        return run(command, timeout_s=300, ok=ok, cwd=self.folder, env=environment)

    def scan(self, name: str) -> None:
        host_key = (self.host.folder / "host.pub").read_text().strip()
        self.hardpan(
            *("scan", f"root@127.0.0.1:{self.host.port}", "--no-smoke", "-q", "-o", name),
            *("--identity", self.host.folder / "user", "--host-key", host_key),
            *("--tailoring", "t.xml", "--waivers", "w.yaml"),
            ok=(0, 1),
        )

    def remediate(self, *argv: object, ok: tuple[int, ...] = (0,)) -> CompletedProcess:
        policy = self.folder / "data" / "hardpan" / "keys" / "scan-trust.yaml"
        return self.hardpan("remediate", "before.evidence.zip", "--policy", policy, *argv, ok=ok)

    def diff(self) -> Any:
        answer = self.hardpan("diff", "before.evidence.zip", "after.evidence.zip", "--json")
        return json.loads(answer.stdout)["diff"]

    def ssh_options(self) -> list[str]:
        known_hosts = self.folder / "known_hosts"
        key = (self.host.folder / "host.pub").read_text()
        known_hosts.write_text(f"[127.0.0.1]:{self.host.port} {key}")
        return ["-o", f"UserKnownHostsFile={known_hosts}"]

    def play(self, *argv: str, ok: tuple[int, ...] = (0,)) -> str:
        options = [
            *("-i", "127.0.0.1,", "-u", "root", "-e", f"ansible_port={self.host.port}"),
            *("--private-key", str(self.host.folder / "user")),
            *("--ssh-common-args", " ".join(self.ssh_options())),
        ]
        environment = {"HOME": str(self.folder), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
        environment["ANSIBLE_PIPELINING"] = "1"
        program = Path(sys.executable).with_name("ansible-playbook")
        answer = run([program, *options, *argv], timeout_s=300, ok=ok, env=environment)
        return answer.stdout


@pytest.fixture(scope="module")
def scanned_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("remediate")
    (folder / "t.xml").write_text(_TAILORING)
    (folder / "w.yaml").write_text(_WAIVERS)
    setup = f"chmod 666 /etc/issue /etc/motd; tar -cpf /root/original.tar {_FILES}"
    with overlay_host(folder / "host", HostSpec(setup=setup)) as host:
        site = Site(host=host, folder=folder)
        site.scan("before.evidence.zip")
        yield site


@pytest.fixture
def site(scanned_site: Site) -> Iterator[Site]:
    """The host in the state of its first scan."""
    yield scanned_site
    scanned_site.host.run("tar -xpf /root/original.tar -C / 2>&1")


def _names(entries: Any) -> list[str]:
    return sorted(e["ruleId"].rpartition("_rule_")[2] for e in entries)


def _assert_only_fixed(changes: Any, expected: list[str]) -> None:
    assert _names(changes["fixed"]) == expected
    assert [a["name"] for a in changes["attributes"]] == ["score"]
    for kind in ("newlyFailing", "regressions", "added", "removed", "checks"):
        assert changes[kind] == []
    assert changes["waivers"] == {"added": [], "changed": [], "removed": []}
    assert changes["packages"] == {"added": [], "changed": [], "removed": []}


def test_playbook_fixes_exactly_the_failed_rules(site: Site) -> None:
    answer = site.remediate("-o", "p.yml", "--json")

    summary = json.loads(answer.stdout)
    assert _names(summary["remediated"]) == sorted(_FIXED)
    assert {_names([o])[0]: o["reason"] for o in summary["omitted"]} == {
        "file_permissions_etc_motd": "waived",
        "mount_option_dev_shm_nodev": "disruptive",
        "use_pam_wheel_group_for_su": "no_fix",
    }
    assert summary["contentLocation"] == "arf.xml of the evidence"
    assert "use_pam_wheel_group_for_su: the content has no Ansible fix; one exists" in answer.stderr
    playbook = (site.folder / "p.yml").read_bytes()
    assert b"# signature    verified: signed by key 'scan'" in playbook

    before = site.host.run(_STATE, ok=(0, 1)).stdout
    check = site.play("--check", str(site.folder / "p.yml"))
    assert "changed=" in check
    assert site.host.run(_STATE, ok=(0, 1)).stdout == before
    recap = site.play(str(site.folder / "p.yml"))

    assert "failed=0" in recap
    assert "rescued=0" in recap
    state = site.host.run(_STATE, ok=(0, 1)).stdout.splitlines()
    assert state == ["umask 077", "umask 077", "644", "666", "0"]
    site.scan("after.evidence.zip")
    _assert_only_fixed(site.diff(), sorted(_FIXED))


def test_script_fixes_exactly_the_failed_rules(site: Site) -> None:
    site.remediate("--as", "bash", "-o", "p.sh")
    script = (site.folder / "p.sh").read_bytes()
    login = ["ssh", "-F", "none", "-p", str(site.host.port), "-i", site.host.folder / "user"]

    answer = run(
        [*login, *site.ssh_options(), "root@127.0.0.1", "bash -s"], timeout_s=120, stdin=script
    )

    assert answer.stderr.count("Remediating ") == 4
    state = site.host.run(_STATE, ok=(0, 1)).stdout.splitlines()
    assert state == ["umask 077", "umask 077", "644", "666", "1"]
    site.scan("after.evidence.zip")
    _assert_only_fixed(site.diff(), sorted([*_FIXED, "use_pam_wheel_group_for_su"]))


def test_content_and_evidence_are_checked_before_a_playbook_is_written(
    site: Site,
) -> None:
    shipped = datastream.find("debian12", ContentOrigin.SHIPPED)
    (site.folder / "same.xml").write_bytes(shipped.data)
    (site.folder / "other.xml").write_bytes(shipped.data.replace(b"umask", b"UMASK"))
    from_evidence = site.remediate("--rule", "accounts_umask_etc_profile").stdout

    same = site.remediate("--rule", "accounts_umask_etc_profile", "--content", "same.xml").stdout
    other = site.remediate("--content", "other.xml", "-o", "no.yml", ok=(6,))
    unverified = site.hardpan("remediate", "before.evidence.zip", "-o", "no.yml", ok=(2,))

    assert from_evidence.partition("---\n")[2] == same.partition("---\n")[2]
    assert "umask" in same.partition("---\n")[2]
    assert "expected the scanned content ssg-debian12-ds.xml" in other.stderr
    assert "expected --policy, or --allow-unverified" in unverified.stderr
    assert not (site.folder / "no.yml").exists()


_BEGIN = "# BEGIN fix ("
_END = "# END fix for '"
_VALUES = (
    ("var_accounts_maximum_age_login_defs", "42"),
    ("sshd_idle_timeout_value", "77"),
    ("var_password_pam_retry", "9'; 9"),
)


def _tailored(base: str) -> str:
    values = "".join(
        f'<set-value idref="{_SSG}_value_{name}">{text}</set-value>' for name, text in _VALUES
    )
    return (
        '<Tailoring xmlns="http://checklists.nist.gov/xccdf/1.2"'
        ' id="xccdf_org.example_tailoring_t">'
        f'<version time="2026-11-30T00:00:00">1</version><Profile id="{_PROFILE}" extends="{base}">'
        f"<title>t</title>{values}</Profile></Tailoring>"
    )


def _split_script(script: str) -> dict[str, str]:
    """Return rule id -> its fix in bash, as ``oscap xccdf generate fix`` writes it."""
    fixes = {}
    for part in script.split(_BEGIN)[1:]:
        rule_id = part.split("'", 2)[1]
        body = part.partition("\n(>&2 echo ")[2].partition("\n")[2]
        if "FIX FOR THIS RULE" not in part.partition(_END)[0]:
            fixes[rule_id] = body.partition(f"\n{_END}")[0].strip("\n")
    return fixes


@pytest.fixture(scope="module")
def rhel9_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with RHEL 9's data stream and a tailoring of its STIG profile."""
    folder = tmp_path_factory.mktemp("rhel9")
    (folder / "ds.xml").write_bytes(datastream.find("rhel9", ContentOrigin.SHIPPED).data)
    (folder / "t.xml").write_text(_tailored(f"{_SSG}_profile_stig"))
    return folder


@pytest.fixture(scope="module")
def rhel9_rules(rhel9_files: Path) -> tuple[RuleFixes, ...]:
    source = datastream.from_file(rhel9_files / "ds.xml")
    bench = find_benchmark(datastream.parse_source(source), source.name)
    tailoring = load_tailoring(rhel9_files / "t.xml").content
    assert not isinstance(tailoring, YamlTailoring)
    embed_tailoring(bench, tailoring, source.name)
    return read_rule_fixes(bench, _PROFILE, source.name)


def _generate_fixes(kind: str, folder: Path) -> str:
    argv = ["oscap", "xccdf", "generate", "fix", "--fix-type", kind, "--profile", _PROFILE]
    files = ["--tailoring-file", folder / "t.xml", folder / "ds.xml"]
    return run([*argv, *files], timeout_s=300).stdout


def test_bash_fixes_equal_those_of_oscap(
    rhel9_files: Path, rhel9_rules: tuple[RuleFixes, ...]
) -> None:
    expected = _split_script(_generate_fixes("bash", rhel9_files))
    fixes = {
        rule.rule_id: render_bash_fix(rule.fixes[FixKind.BASH]).strip("\n")
        for rule in rhel9_rules
        if FixKind.BASH in rule.fixes
    }

    # oscap generates fixes of rules that conflict with others, which no scan evaluates, too.
    assert len(fixes) > 430
    differing = [rule_id for rule_id, text in fixes.items() if text != expected[rule_id]]
    assert [rule_id.rpartition("_rule_")[2] for rule_id in differing] == [
        "accounts_password_pam_pwquality_retry"
    ]
    assert "var_password_pam_retry='9'; 9'" in expected[differing[0]]  # oscap inserts any text
    assert "var_password_pam_retry='9'\\''; 9'" in fixes[differing[0]]
    assert sum(text in "".join(fixes.values()) for text in ("'42'", "'77'")) == 2


def test_ansible_tasks_equal_those_of_oscap(
    rhel9_files: Path, rhel9_rules: tuple[RuleFixes, ...]
) -> None:
    rules = {r.rule_id: r.fixes[FixKind.ANSIBLE] for r in rhel9_rules if FixKind.ANSIBLE in r.fixes}
    fixes = {
        rule_id.rpartition("_rule_")[2]: parse_ansible_fix(fix) for rule_id, fix in rules.items()
    }
    # oscap inserts any text: this one is not YAML then.
    (rhel9_files / "t.xml").write_text(_tailored(f"{_SSG}_profile_stig").replace("9'; 9", "9"))
    (play,) = yaml.load(_generate_fixes("ansible", rhel9_files), yaml.CSafeLoader)

    tasks: dict[str, list[Any]] = {name: [] for name in fixes}
    for task in play["tasks"]:
        (name,) = fixes.keys() & set(task.pop("tags", ())) or {""}
        if name and not _gathers_packages(task):
            tasks[name].append(task)

    assert len(fixes) > 430
    assert {
        name: [t for t in map(_load, fix.tasks) if not _gathers_packages(t)]
        for name, fix in fixes.items()
    } == tasks
    variables = {n: _load(v) for fix in fixes.values() for n, v in fix.variables.items()}
    assert variables.pop("var_password_pam_retry") == "9'; 9"
    assert variables.items() <= play["vars"].items()
    assert (variables["sshd_idle_timeout_value"], len(variables) > 40) == ("77", True)


def _gathers_packages(task: dict[str, object]) -> bool:
    """True for a task that is in a playbook once; one with a condition stays in its rule."""
    return not {"package_facts", "ansible.builtin.package_facts"}.isdisjoint(task)


def _load(node: yaml.Node) -> Any:
    return yaml.load(yaml.serialize(node, Dumper=yaml.CSafeDumper), yaml.CSafeLoader)
