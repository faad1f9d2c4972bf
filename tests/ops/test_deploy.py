"""What stands in docs/deploy fits the product: metrics that exist, commands that exist, settings that are known."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from prometheus_client import REGISTRY

from player_server.config import load
from player_server.ops.metrics import queues

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"


def names() -> set[str]:
    """Every name under which Prometheus would store something of ours."""
    ours = {queue.name for queue in queues(0)}
    for family in REGISTRY.collect():
        if family.name.startswith("xueshi_"):
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
            ours |= {family.name + suffix for suffix in suffixes}
    return ours


def test_the_dashboard_uses_only_metrics_that_exist() -> None:
    board = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    used = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"xueshi_\w+", target["expr"])
    }
    assert used and used <= names(), used - names()


def test_the_operators_guide_names_every_metric_with_a_meaning() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    families = {family.name: family for family in REGISTRY.collect() if family.name.startswith("xueshi_")}
    for name in [queue.name for queue in queues(0)] + [
        name + ("_total" if family.type == "counter" else "") for name, family in families.items()
    ]:
        assert f"`{name}`" in text, f"{name} is missing in docs/operations.md"
    for name in re.findall(r"^\| `(xueshi_\w+)`", text, re.M):
        assert name in names() or f"{name}_count" in names(), f"{name} is no metric"


def test_the_compose_file_and_the_units_call_commands_that_exist() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    environment = compose["x-xueshi"]["environment"]
    tree: dict[str, dict[str, object]] = {}
    for name, value in environment.items():
        part, _, key = name.removeprefix("XUESHI_").lower().partition("__")
        value = re.sub(r"\$\{(\w+)[^}]*\}", "https://x.example", str(value))
        tree.setdefault(part, {})[key] = yaml.safe_load(value)
    load(ROOT / "config.yaml", overrides=tree)
    commands = [
        service["command"][1] for service in compose["services"].values() if "./run" in service.get("command", [])
    ]
    for unit in DEPLOY.glob("*.service"):
        commands += re.findall(r"^ExecStart=/opt/xueshi/run (\w+)", unit.read_text(encoding="utf-8"), re.M)
    script = (ROOT / "run").read_text(encoding="utf-8")
    assert len(commands) == 5
    for command in commands:
        assert re.search(rf"^  {command}\b", script, re.M), command
