#!/usr/bin/env python3
"""Build the image of ../../Dockerfile without an engine, and run it as an engine would.

    deploy/image/build.py build --base /srv/debian --into /srv/hontoni
    deploy/image/build.py run --root /srv/hontoni [--env NAME=VALUE …] [--user N] [COMMAND …]
    deploy/image/build.py check --root /srv/hontoni        # builds nothing: runs, and asks it

Needs root, `unshare`, `mount` and `chroot`; nothing else. The base is any Debian with Python, such
as `debootstrap --include=python3,python3-venv,ca-certificates bookworm` makes: it stands for every
image that the Dockerfile begins FROM. Every other step is executed as it is
written there: RUN in a chroot, COPY, ENV, WORKDIR, USER, VOLUME, ENTRYPOINT, CMD, HEALTHCHECK.

What runs has a read-only root, a /data of its own, /tmp and /dev in memory, its user, and no more
of the machine than its network.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[2]
CONFIG = "image.json"
PASSED_ON = re.compile(r"PIP_(?!FIND_LINKS).*|.*_proxy|SSL_CERT_FILE", re.IGNORECASE)
READY_SECONDS, STOP_SECONDS = 120, 60


class Step(NamedTuple):
    """One instruction of a Dockerfile."""

    word: str
    text: str


def steps(dockerfile: str) -> Iterator[Step]:
    """The instructions, their continued lines joined. Comments are left out."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, text = line.strip().partition(" ")
            yield Step(word.upper(), text.strip())


class Stage:
    """One FROM: a root of its own, and what it says of what runs in it."""

    def __init__(self, root: Path, base: Path) -> None:
        self.root, self.folder = root, "/"
        self.config: dict[str, object] = {"env": {}, "user": "0", "entrypoint": [], "cmd": []}
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "-a", f"{base}/.", str(root)], check=True)
        # The base's interpreter is called as the official image's is.
        link = root / "usr/local/bin/python"
        link.unlink(missing_ok=True)
        link.symlink_to("/usr/bin/python3")

    @property
    def env(self) -> dict[str, str]:
        found = self.config["env"]
        assert isinstance(found, dict)
        return found

    def inside(self, path: str) -> Path:
        """A path of the image, as it is here."""
        return self.root / os.path.join(self.folder, path).lstrip("/")

    def run(self, command: str) -> None:
        passed = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", **passed, **self.env}
        script = f"cd {shlex.quote(self.folder)} && {command}"
        into = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _MOUNTED]
        subprocess.run([*into, "sh", str(self.root), script], env=env, check=True)

    def copy(self, text: str, stages: dict[str, "Stage"]) -> None:
        words = shlex.split(text)
        source = HERE
        if words[0].startswith("--from="):
            source = stages[words.pop(0).removeprefix("--from=")].root
        *names, target = words
        there = self.inside(target)
        if target.endswith("/"):
            there.mkdir(parents=True, exist_ok=True)
        there.parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            _copy(
                source / name.lstrip("/"),
                there / Path(name).name if target.endswith("/") else there,
            )


_MOUNTED = """
set -e
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind /etc/resolv.conf "$1/etc/resolv.conf"
exec chroot "$1" /bin/sh -c "$2"
"""


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=_ignored)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _ignored(folder: str, names: list[str]) -> set[str]:
    """What .dockerignore keeps out, as far as it is in what the Dockerfile copies."""
    return (
        {name for name in names if name == "__pycache__" or name.endswith(".pyc")}
        if (Path(folder).is_relative_to(HERE))
        else set()
    )


def build(base: Path, into: Path) -> None:
    """Execute the Dockerfile; its last stage is what `into` is then."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    into.mkdir(parents=True, exist_ok=True)
    for step in steps((HERE / "Dockerfile").read_text()):
        print(f"{step.word} {step.text}", flush=True)
        if step.word == "FROM":
            name = step.text.split(" AS ")[1] if " AS " in step.text else "last"
            stage = stages[name] = Stage(into / name, base)
            continue
        assert stage is not None, "no FROM"
        _do(stage, step, stages)
    assert stage is not None, "no FROM"
    (into / CONFIG).write_text(json.dumps({**stage.config, "root": str(stage.root)}, indent=1))


def _do(stage: Stage, step: Step, stages: dict[str, Stage]) -> None:
    match step.word:
        case "RUN":
            stage.run(step.text)
        case "COPY":
            stage.copy(step.text, stages)
        case "WORKDIR":
            stage.folder = step.text
            stage.inside(".").mkdir(parents=True, exist_ok=True)
            stage.config["folder"] = step.text
        case "ENV":
            for pair in shlex.split(step.text):
                name, _, value = pair.partition("=")
                value = re.sub(r"\$(\w+)", lambda m: stage.env.get(m[1], _PATH), value)
                stage.env[name] = value
        case "USER":
            stage.config["user"] = step.text
        case "ENTRYPOINT" | "CMD":
            stage.config[step.word.lower()] = json.loads(step.text)
        case "HEALTHCHECK":
            stage.config["health"] = json.loads(step.text.partition("CMD ")[2])
        case "VOLUME" | "EXPOSE" | "STOPSIGNAL":
            stage.config[step.word.lower()] = step.text
        case other:
            raise SystemExit(f"{other}: this script does not know how")


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_CONFINED = """
set -e
root=$1 user=$2 folder=$3; shift 3
mount --bind "$root" "$root"
mount --bind "$root.data" "$root/data"
mount -t tmpfs tmpfs "$root/tmp" && chmod 1777 "$root/tmp"
mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount -o remount,bind,ro "$root"
cd "$root"
exec chroot --userspec="$user" "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""


def command(into: Path, env: dict[str, str], words: list[str], user: str = "") -> list[str]:
    """What runs these words as the image would, in namespaces of their own."""
    config = json.loads((into / CONFIG).read_text())
    user = user or config["user"]
    root = Path(config["root"])
    data = Path(f"{root}.data")
    data.mkdir(mode=0o700, exist_ok=True)
    os.chown(data, int(user), int(user))
    told = {**config["env"], **env}
    return [
        *("env", "-i", *(f"{name}={value}" for name, value in told.items())),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
        *("sh", "-c", _CONFINED, "sh", str(root), f"{user}:{user}", config["folder"]),
        *(words or [*config["entrypoint"], *config["cmd"]]),
    ]


def check(into: Path, env: dict[str, str]) -> None:
    """Prepare, start, pass the health check, refuse to write to the root, stop by SIGTERM."""
    config = json.loads((into / CONFIG).read_text())
    entry = config["entrypoint"]
    port = env.setdefault("PORT", "18765")
    touched = subprocess.run(command(into, env, ["touch", "/app/x"]), stderr=subprocess.PIPE)
    assert touched.returncode and b"Read-only" in touched.stderr, "its root can be written"
    uid = subprocess.check_output(command(into, env, ["id", "-u"])).decode().strip()
    assert uid == config["user"], f"it runs as {uid}"
    subprocess.run(command(into, env, [*entry, "release"]), check=True)
    with subprocess.Popen(command(into, env, [*entry, *config["cmd"]])) as running:
        try:
            _wait_until_healthy(into, env, config["health"], running)
            print(f"healthy on port {port}, as user {uid}, on a read-only root", flush=True)
        finally:
            for child in _children(running.pid):
                os.kill(child, signal.SIGTERM)
        status = running.wait(STOP_SECONDS)
        print(f"stopped by SIGTERM with status {status}")


def _wait_until_healthy(
    into: Path, env: dict[str, str], health: list[str], running: "subprocess.Popen[bytes]"
) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while subprocess.run(command(into, env, health), capture_output=True).returncode:
        assert running.poll() is None, "it ended"
        assert time.monotonic() < deadline, "it is not healthy"
        time.sleep(0.5)


def _children(pid: int) -> list[int]:
    """Of `unshare`: what runs in the namespace is its child."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["build", "run", "check"])
    parser.add_argument("--base", type=Path)
    parser.add_argument("--into", "--root", dest="into", type=Path, required=True)
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--user", default="")
    parser.add_argument("words", nargs="*")
    args = parser.parse_args()
    env = dict(pair.split("=", 1) for pair in args.env)
    if args.what == "build":
        build(args.base, args.into)
    elif args.what == "check":
        check(args.into, env)
    else:
        sys.exit(subprocess.run(command(args.into, env, args.words, args.user)).returncode)


if __name__ == "__main__":
    main()
