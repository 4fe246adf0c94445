"""The files an operator starts from name nothing that is not there."""

import json
import re
import runpy
import subprocess
from collections import Counter
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.apps import apps
from django.conf import settings
from packaging.specifiers import SpecifierSet
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from gateway.metrics.metric_families import Families
from gateway.metrics.snapshots import Live, Snapshot, own
from gateway.metrics.store_metrics import ask
from hontoni.options import OPTIONS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
REQUIREMENTS = ROOT / "requirements.txt"
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
SETTINGS = {option.name for option in OPTIONS}
OURS = re.compile(r"\bhontoni_[a-z_]+\b")


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


@pytest.fixture
def metrics(db: None) -> set[str]:
    """The names /metrics has."""
    from hontoni import health

    health.beat()
    health.worker_beat()
    health.note_reconcile(0)
    snapshot: Snapshot = own(Live({}, {}))
    snapshot.gauges = Counter()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families(snapshot, ask()))
    text = generate_latest(registry).decode()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    return names | {"hontoni_epoch_began_seconds"}  # there is none before the first request


@pytest.mark.any_database
@pytest.mark.parametrize(
    "file",
    [
        "prometheus/alerts.yml",
        "prometheus/adapter.yaml",
        "grafana/hontoni.json",
        "helm/hontoni/templates/gateway.yaml",
    ],
)
def test_every_metric_that_is_watched_exists(metrics: set[str], file: str) -> None:
    named = set(OURS.findall((DEPLOY / file).read_text()))
    assert named
    plain = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in named}
    assert plain - metrics == set()


def test_every_alarm_has_its_runbook() -> None:
    runbooks = set(re.findall(r"^### (\w+)$", (ROOT / "docs/operating.md").read_text(), re.M))
    groups = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"]]
    assert {rule["alert"] for rule in alerts} == runbooks
    for rule in alerts:
        anchor = f"docs/operating.md#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook"] == anchor


def test_every_row_of_what_can_be_lost_names_tests_that_exist() -> None:
    page = (ROOT / "docs/operating.md").read_text()
    table = page.split("## What can be lost, and when")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 8
    for row in rows:
        named = re.findall(r"`(tests/[^`:]+)::(test_\w+)`", row)
        assert named and row.count("`tests/") == len(named), row
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text(), f"{file} has no {test}"


def test_every_setting_that_is_set_exists() -> None:
    sample = (DEPLOY / "compose/env.sample").read_text()
    named = set(re.findall(r"^([A-Z_]+)=", sample, re.M))
    named |= set(compose()["x-product"]["environment"])
    named |= set(yaml.safe_load((DEPLOY / "helm/hontoni/values.yaml").read_text())["settings"])
    assert named - SETTINGS - {"POSTGRES_PASSWORD", "CERTIFICATES"} == set()


def test_every_process_is_a_line_of_the_procfile() -> None:
    services = compose()["services"]
    commands = {each["command"][0] for each in services.values() if "build" in each}
    assert commands == set(PROCFILE)
    units = "".join(path.read_text() for path in (DEPLOY / "systemd").iterdir())
    started = set(re.findall(r"ExecStart=/opt/hontoni/deploy/run (\w+)", units))
    assert started - {"python"} == set(PROCFILE) - {"release"}


def test_stopping_is_waited_for_everywhere() -> None:
    needed = settings.STOP_STREAM_SECONDS + 5 + 10
    assert settings.STOP_STREAM_SECONDS == 600
    unit = (DEPLOY / "systemd/hontoni-gateway@.service").read_text()
    assert int(re.findall(r"TimeoutStopSec=(\d+)", unit)[0]) > needed
    assert compose()["services"]["gateway-1"]["stop_grace_period"] == "11m"
    values = yaml.safe_load((DEPLOY / "helm/hontoni/values.yaml").read_text())
    assert values["gateway"]["terminationGracePeriodSeconds"] > needed


def test_proxies_take_what_the_product_takes_and_wait_as_long() -> None:
    nginx = (DEPLOY / "nginx/hontoni.conf").read_text()
    caddy = (DEPLOY / "caddy/Caddyfile").read_text()
    megabytes = settings.MAX_BODY_BYTES // 1024 // 1024
    assert f"client_max_body_size {megabytes}m" in nginx
    assert f"max_size {megabytes}MB" in caddy
    for text in (nginx, caddy):
        (seconds,) = re.findall(r"read_timeout (\d+)s", text)
        assert int(seconds) > settings.UPSTREAM_TOTAL_SECONDS
        assert "/metrics" in text


def test_the_image_has_every_app_and_nothing_of_the_tests() -> None:
    image = (ROOT / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY ([a-z]+) \./", image, re.M))
    packages = {config.name.partition(".")[0] for config in apps.get_app_configs()}
    ours = {name for name in packages if (ROOT / name).is_dir()} | {"sandbox"}
    assert ours <= copied
    assert not copied & {"tests", "bench"}
    assert "USER 10001" in image
    assert "HEALTHCHECK" in image
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in copied} <= set(kept)


@pytest.mark.parametrize("python", ["3.11.2", "3.12.0"], ids=["Debian 12", "the image"])
def test_every_package_runs_on_the_python_that_operators_have(python: str) -> None:
    pinned = re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==", REQUIREMENTS.read_text(), re.MULTILINE)
    refusing = {}
    for name in pinned:
        with suppress(metadata.PackageNotFoundError):  # of another platform
            wanted = metadata.metadata(name).json.get("requires_python") or ""
            if python not in SpecifierSet(str(wanted)):
                refusing[name] = wanted
    assert len(pinned) > 80 and not refusing


def test_the_image_can_be_built_without_an_engine() -> None:
    """Which takes root and half an hour; but every step of it is one that the script executes."""
    path = DEPLOY / "image" / "build.py"
    script = runpy.run_path(str(path))
    words = {step.word for step in script["steps"]((ROOT / "Dockerfile").read_text())}
    known = set(re.findall(r'"([A-Z]+)"', path.read_text().partition("match step.word:")[2]))
    assert len(words) > 8
    assert words <= known | {"FROM"}


def test_the_entry_point_runs_lines_of_the_procfile_and_anything_else(tmp_path: Path) -> None:
    """In place of the programs stand scripts that say how they were called."""
    for name in ("uvicorn", "celery", "python"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" in $$\n')
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOST": "::", "PORT": "1", "DATA_DIR": "/data"}

    def run(*words: str) -> str:
        process = subprocess.Popen([DEPLOY / "run", *words], env=env, stdout=subprocess.PIPE)
        told = process.communicate()[0].decode().strip()
        said, pid = told.rsplit(" in ", 1)
        assert int(pid) == process.pid, "signals would not reach it"
        return said

    assert run("web").startswith("uvicorn hontoni.asgi:application --host :: --port 1")
    assert run("settlement") == "python manage.py settle"
    assert run("beat") == "celery -A hontoni beat --schedule /data/celerybeat-schedule --pidfile="
    assert run("release") == "python manage.py prepare"
    assert run("python", "manage.py", "doctor") == "python manage.py doctor"


def test_the_dashboard_is_one() -> None:
    board = json.loads((DEPLOY / "grafana/hontoni.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 10
    assert all(panel["targets"] for panel in board["panels"])
