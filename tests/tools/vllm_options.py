"""Asks vLLM's own parser what our command line means, for tests that have no vLLM.

Run by a Python that has the locked stack; no GPU is needed, some 8 GB of disk are. With V a
virtual environment of Python 3.12:

    V/bin/pip install --no-deps --require-hashes -r builder/python_stacks/locks/ai-vllm-cu130.lock
    V/bin/python tests/tools/vllm_options.py

writes ``tests/data/vllm_options.json``, or ends with what vLLM has against an argument.
"""

import json
import sys
from argparse import Namespace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[2]
OUTPUT = REPO / "tests" / "data" / "vllm_options.json"
SETTINGS = {"port": 8081, "model": "/opt/ai/models/m", "alias": "m", "context": 8192, "gpus": 2}


def parse_arguments(argv: list[str]) -> tuple[Any, Namespace]:
    """vLLM's parser of ``vllm serve``, and ``argv`` as it reads it.

    Raises:
        SystemExit: it refuses an argument.
    """
    # The parser wants to know what it computes on, and finds no GPU here; vLLM's own command
    # 'bench' helps itself in this way.
    platforms = import_module("vllm.platforms")
    platforms.current_platform = import_module("vllm.platforms.cpu").CpuPlatform()
    cli = import_module("vllm.entrypoints.launchers.cli_args")
    base_parser = import_module("vllm.utils.argparse_utils").FlexibleArgumentParser(
        prog="vllm serve"
    )
    parser = cli.make_arg_parser(base_parser)
    arguments = parser.parse_args(argv)
    cli.validate_parsed_serve_args(arguments)
    return parser, arguments


def collect_facts() -> dict[str, object]:
    """What vLLM says of the options, the variables and the health path that we use."""
    # As on the machine, where nothing of hardpan is but this package.
    sys.path.insert(0, str(REPO / "builder" / "ai_service"))
    engine = import_module("payload.serving").ENGINES["vllm"]
    argv = engine.arguments(SETTINGS, 1)
    parser, arguments = parse_arguments(argv[2:])
    variables = import_module("vllm.envs").environment_variables
    health = import_module("vllm.entrypoints.serve.instrumentator.health").router
    names = [argument for argument in argv if argument.startswith("--")]
    return {
        "vllm": import_module("vllm").__version__,
        "as_of": datetime.now(UTC).date().isoformat(),
        "model": arguments.model_tag,
        "options": {name: getattr(arguments, _find_destination(parser, name)) for name in names},
        "variables": sorted(name for name in engine.environment if name in variables),
        "health": [route.path for route in health.routes],
    }


def _find_destination(parser: Any, option: str) -> str:
    (name,) = {a.dest for a in parser._actions if option in a.option_strings}
    return str(name)


if __name__ == "__main__":
    OUTPUT.write_text(json.dumps(collect_facts(), indent=1) + "\n", "utf-8")
