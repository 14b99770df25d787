"""The container holds what answering needs, and its steps work: run here one by one, for want of a container engine."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from facemask.web.bundle import write_notice
from tests.bad_images import saved
from tests.photos import one_face
from tests.serve.running import wait_until

ROOT = Path(__file__).parents[2]
PLACES = ("/build", "/opt/facemask", "/srv")  # of the container


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line]


def arguments_of(name: str) -> list[str]:
    (found,) = [argument for instruction, argument in instructions() if instruction == name]
    return [str(word) for word in ast.literal_eval(found)]


def health_check() -> list[str]:
    (found,) = [argument for instruction, argument in instructions() if instruction == "HEALTHCHECK"]
    return [str(word) for word in json.loads(found.partition("CMD ")[2])]


def send_context(target: Path, export: Path) -> None:
    """Copy what `.dockerignore` lets through, with another export in the place of the project's, and no page."""
    write_notice(target / "web")
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in [rule.removeprefix("!") for rule in rules if rule.startswith("!") and rule != "!web"]:
        source = export / Path(name).name if name.startswith("export/") else ROOT / name
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, target / name)


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, check=False)
    assert (done.returncode, done.stdout.decode()) == (0, "")


def test_the_container_does_not_run_as_root_and_has_no_shell_between_it_and_signals() -> None:
    user = next(argument for name, argument in instructions() if name == "USER")
    assert int(user.split(":")[0]) > 0
    assert [*arguments_of("ENTRYPOINT"), *arguments_of("CMD")] == ["facemask", "serve", "--host", "0.0.0.0"]


def test_compose_gives_the_container_as_little_as_it_needs() -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["facemask"]
    assert (service["read_only"], service["tmpfs"], service["cap_drop"]) == (True, ["/tmp"], ["ALL"])
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert service["healthcheck"]["test"] == ["CMD", *health_check()]


@pytest.mark.nightly  # installs packages
def test_what_the_container_installs_answers(photo_export: Path, tmp_path: Path) -> None:
    for place in PLACES:
        (tmp_path / place[1:]).mkdir(parents=True)
    context = tmp_path / "context"
    send_context(context, photo_export)

    def here(text: str) -> str:
        for place in PLACES:
            text = text.replace(place, str(tmp_path / place[1:]))
        return text

    folder = tmp_path
    for name, argument in instructions():
        if name == "WORKDIR":
            folder = Path(here(argument))
        elif name == "COPY" and not argument.startswith("--from"):  # both stages lie in one folder here
            *sources, target = argument.split()
            for source in (context / name for name in sources):
                if source.is_dir():
                    shutil.copytree(source, folder / target, dirs_exist_ok=True)
                else:
                    shutil.copy(source, folder / target)
        elif name == "RUN":
            script = here(argument).replace("python -m venv", f"{sys.executable} -m venv")
            subprocess.run(["sh", "-c", script], cwd=folder, check=True)

    programs = tmp_path / "opt" / "facemask" / "bin"
    installed = subprocess.run([programs / "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"(?m)^(tensorflow|dvc|keras|pytest) ", installed)
    words = [*arguments_of("ENTRYPOINT"), *arguments_of("CMD"), "--port", "0"]
    environment = {"PATH": f"{programs}{os.pathsep}/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    log = tmp_path / "log.txt"
    with log.open("w") as printed:
        process = subprocess.Popen(
            [programs / words[0], *words[1:]], cwd=folder, env=environment, stdout=printed, stderr=printed
        )
    try:
        wait_until(lambda: "http://" in log.read_text() or process.poll() is not None)
        (port,) = re.findall(r"http://0.0.0.0:(\d+)", log.read_text())
        answer = httpx.post(f"http://127.0.0.1:{port}/predict", content=saved(one_face()))
        assert (answer.status_code, len(answer.json()[0]["faces"])) == (200, 1)
        healthy = [word.replace("8000", port) for word in health_check()[1:]]
        assert subprocess.run([programs / "python", *healthy], check=False).returncode == 0
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
