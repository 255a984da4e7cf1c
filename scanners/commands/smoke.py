"""``hardpan smoke``: the AI workload test alone, on any host over SSH."""

import dataclasses
from pathlib import Path

import click

from hardpan import events
from hardpan.errors import Exit
from hardpan.profiles.load import load
from hardpan.scanners.collect.smoke import MODEL
from hardpan.scanners.commands.scan import ask_password
from hardpan.scanners.pipeline import workload
from hardpan.scanners.target import parse
from hardpan.scanners.transport import connect
from hardpan.terminal import drawn, print_json, print_line

_CONNECT_S = 60.0
_SMOKE_S = 1200.0


@click.command()
@click.argument("target")
@click.option("--profile", default="lab-stig", show_default=True, help="Says how hard to work.")
@click.option("--ssh-config", type=click.Path(path_type=Path), help="OpenSSH client config.")
@click.option("--identity", type=click.Path(path_type=Path), help="SSH private key.")
@click.option("--known-hosts", type=click.Path(path_type=Path), help="Whose keys are known.")
@click.option("--ask-sudo-password", is_flag=True, help="Ask for the password that sudo wants.")
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
    """Run the AI workload test on TARGET ([user@]host[:port]).

    Exits with 1 when a result is wrong; slow is not wrong.
    """
    asked = load(profile)
    where = parse(target, ssh_config=ssh_config, identity=identity, known_hosts=known_hosts)
    password = ask_password() if ask_sudo_password else ""
    with (
        drawn(quiet=quiet) as emit,
        events.stage(emit, "smoke") as note,
        connect(where, timeout_s=_CONNECT_S, sudo_password=password) as via,
    ):
        note(f"a matrix product and {MODEL} on {where}")
        made = workload(via, asked)
    if as_json:
        print_json(_plain(dataclasses.asdict(made)))
    else:
        print_line(f"{made.verdict}: {made.reason}")
        print_line(f"{made.framework}, {made.backend}, {made.model}")
        for m in made.measures:
            print_line(f"  {m.name:<32} {m.value:>12,.2f} {m.unit} (n={m.n})")
    return int(Exit.DONE if made.verdict == "pass" else Exit.FINDINGS)


def _plain(value: object) -> object:
    """Figures in the one form that canonical JSON has for them."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, 4)
    return value
