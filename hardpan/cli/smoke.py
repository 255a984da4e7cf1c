"""``hardpan smoke``: run only the AI workload test, on any host over SSH."""

import dataclasses
from pathlib import Path

import click

from hardpan.core import events
from hardpan.core.console import print_json, print_line, prompt_secret, show_progress
from hardpan.core.errors import Exit, UsageError
from hardpan.profiles import embedding_model
from hardpan.profiles.loader.profile_file import load_profile
from hardpan.scanners.collect.collection import run_workload_tests
from hardpan.scanners.collect.plan import plan_profile
from hardpan.ssh.local_target import LOCAL, AnyTarget, find_local_target
from hardpan.ssh.target import parse_target
from hardpan.ssh.transports import open_connection

_CONNECT_S = 60.0
_SMOKE_S = 1200.0


@click.command()
@click.argument("target")
@click.option(
    "--profile", default="lab-stig", show_default=True, help="Profile that defines the load."
)
@click.option(
    "--ssh-config", type=click.Path(path_type=Path), help="OpenSSH client configuration file."
)
@click.option("--identity", type=click.Path(path_type=Path), help="SSH private key.")
@click.option("--known-hosts", type=click.Path(path_type=Path), help="Known hosts file.")
@click.option(
    "--ask-sudo-password", is_flag=True, help="Prompt for the sudo password of the target."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def smoke(
    target: str,
    profile: str,
    ssh_config: Path | None,
    identity: Path | None,
    known_hosts: Path | None,
    ask_sudo_password: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run the AI workload test on TARGET ([user@]host[:port], or local: for this machine).

    Exits with 1 if a result is incorrect; low speed is not an error.
    """
    plan = plan_profile(load_profile(profile))
    if target == LOCAL:
        if ssh_config or identity or known_hosts:
            raise UsageError(
                f"{LOCAL} expected no SSH option, because this machine is tested without SSH"
            )
        scan_target: AnyTarget = find_local_target()
    else:
        scan_target = parse_target(
            target, ssh_config=ssh_config, identity=identity, known_hosts=known_hosts
        )
    password = prompt_secret("sudo password") if ask_sudo_password else ""
    with (
        show_progress(quiet=quiet) as emit,
        events.run_stage(emit, "smoke") as emit_note,
        open_connection(
            scan_target, timeout_s=_CONNECT_S, sudo_password=password, emit=emit
        ) as connection,
    ):
        emit_note(f"a matrix product and {embedding_model.NAME} on {scan_target}")
        result = run_workload_tests(connection, plan)
    if as_json:
        print_json(_to_json_value(dataclasses.asdict(result)))
    else:
        print_line(f"{result.verdict}: {result.reason}")
        print_line(f"{result.framework}, {result.backend}, {result.model}")
        for m in result.measures:
            print_line(f"  {m.name:<32} {m.value:>12,.2f} {m.unit} (n={m.n})")
    return int(Exit.OK if result.verdict == "pass" else Exit.FINDINGS)


def _to_json_value(value: object) -> object:
    """Convert numbers to the form that canonical JSON accepts."""
    if isinstance(value, dict):
        return {k: _to_json_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json_value(v) for v in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, 4)
    return value
