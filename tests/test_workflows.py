"""The workflow files: valid, careful, and every line that they run is run here once, in a tiny project."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from facemask.cli.app import app
from facemask.review.revisions import MissingFileError
from tests.github_server import GitHubServer
from tests.report.pages import Page
from tests.revisions_project import git
from tests.tiny_pipeline import ROOT, change_settings, make_pipeline, run, run_and_push

pytestmark = pytest.mark.slow  # runs the commands of the workflows

WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
GITLAB = ROOT / ".gitlab-ci.yml"
GATE = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

# What a step may name as a secret, by the command that it runs.
SECRETS = {
    "facemask retrain": {"KAGGLE_API_TOKEN"},
    "printenv DVC_CONFIG_LOCAL": {"DVC_CONFIG_LOCAL"},
    "facemask publish": {"RETRAIN_TOKEN"},
}


@dataclass(frozen=True)
class Job:
    """A job of a workflow: the scripts that it runs, one after another."""

    file: str
    name: str
    scripts: tuple[str, ...]


def load(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> list[Job]:
    found = [
        Job(path.name, name, tuple(step["run"].strip() for step in job["steps"] if "run" in step))
        for path in WORKFLOWS
        for name, job in load(path)["jobs"].items()
    ]
    gitlab = load(GITLAB)
    for name, job in gitlab.items():
        if isinstance(job, dict) and "script" in job:
            extends = job.get("extends", [])
            others = [gitlab[other] for other in ([extends] if isinstance(extends, str) else extends)]
            before = [line for other in others for line in other.get("before_script", [])]
            found.append(Job(GITLAB.name, name, ("\n".join([*before, *job["script"]]),)))
    return found


def own_lines(job: Job) -> list[str]:
    """The scripts of a job without what `.ci/run` runs itself, and without `.ci/run`."""
    scripts = ["\n".join(line for line in one.splitlines() if line not in (".ci/run", *GATE)) for one in job.scripts]
    return [script for script in scripts if script]


def install_browser(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `.ci/browser` where there are no commands but those in `folder`."""
    script = str(ROOT / ".ci" / "browser")
    command = ["/bin/bash", script]
    return subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


def steps() -> list[tuple[Path, dict[str, Any]]]:
    return [(path, step) for path in WORKFLOWS for job in load(path)["jobs"].values() for step in job["steps"]]


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("schema", "files"), [("github-workflows", WORKFLOWS), ("gitlab-ci", [GITLAB])])
def test_the_files_are_what_their_schemas_ask_for(schema: str, files: list[Path]) -> None:
    done = tool("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files))
    assert done.returncode == 0, done.stdout


def test_an_audit_finds_nothing() -> None:
    done = tool("zizmor", "--offline", "--no-progress", ".")
    assert done.returncode == 0, done.stdout
    assert "No findings to report" in done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_no_more_than_it_must(path: Path) -> None:
    workflow = load(path)
    triggers = set(workflow[True])  # to YAML, `on` is a truth value
    assert not triggers & {"pull_request_target", "workflow_run", "issue_comment"}
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]
    for job in workflow["jobs"].values():
        assert set(job["permissions"].values()) == {"read"}
        assert job["timeout-minutes"] <= 360


def test_actions_are_pinned_by_commit_and_leave_no_credentials_behind() -> None:
    for path, step in steps():
        if "uses" in step:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]), f"{path.name}: {step['uses']}"
            if step["uses"].startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
    for path in WORKFLOWS:
        pinned = [line for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
        assert all(re.search(r" # v\d+(\.\d+)*$", line) for line in pinned)


def test_secrets_are_for_the_steps_that_need_them() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in (*WORKFLOWS, GITLAB)}
    assert {name for name, text in texts.items() if "secrets." in text} == {"retrain.yaml"}
    for _, step in steps():
        named = set(re.findall(r"secrets\.(\w+)", json.dumps(step)))
        wanted = [names for words, names in SECRETS.items() if words in step.get("run", "")]
        assert named == set().union(*wanted)
        assert all(step["env"][name] == f"${{{{ secrets.{name} }}}}" for name in named)


def test_a_failed_retraining_is_published_and_leaves_no_credentials() -> None:
    (retrain,) = (load(path)["jobs"]["retrain"]["steps"] for path in WORKFLOWS if path.name == "retrain.yaml")
    conditions = {step["run"].split('"')[0].strip(): step["if"] for step in retrain if "run" in step and "if" in step}
    assert conditions == {
        "rm -f .dvc/config.local": "always()",
        "facemask publish": "${{ !cancelled() && steps.retrain.outcome != 'skipped' }}",
    }


def test_nothing_that_others_may_choose_is_put_into_a_script() -> None:
    for job in jobs():
        assert not any("${{" in script for script in job.scripts)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a good run on `main`, a worse one on `worse`, and settings that no run had on `stale`."""
    project = make_pipeline(tmp_path_factory.mktemp("made"))
    change_settings(project, "train", seed=16)
    run_and_push(project, "worse")
    git(project, "checkout", "-q", "-B", "stale", "main")
    change_settings(project, "train", seed=4)
    git(project, "commit", "-qam", "settings")
    git(project, "push", "-q", "origin", "stale")
    return project


def checkout(made: Path, folder: Path, branch: str) -> Path:
    """What a runner has: the branch, merged into main, with no way to the files of DVC."""
    git(folder, "clone", "-q", "-b", "main", str(made.parent / "origin.git"), "clone")
    clone = folder / "clone"
    git(clone, "merge", "-q", "--no-ff", "-m", "merge", f"origin/{branch}")
    git(clone, "checkout", "-q", "--detach")
    git(clone, "remote", "set-url", "origin", "/nowhere")
    with (clone / ".dvc" / "config.local").open("w", encoding="utf-8") as file:
        file.write("['remote \"store\"']\n    url = /nowhere\n")
    return clone


@dataclass(frozen=True)
class Ran:
    """What came of a job: exit code, what it printed, and what it wrote for GitHub."""

    code: int
    said: str
    summary: str
    path: str


def run_job(file: str, name: str, clone: Path, variables: Mapping[str, str] | None = None) -> Ran:
    """Run the scripts of a job as a runner does, each in a shell of its own, up to the first that fails."""
    (job,) = [one for one in jobs() if (one.file, one.name) == (file, name)]
    runner = clone.parent / "runner"
    runner.mkdir()
    files = {key: runner / key for key in ("GITHUB_STEP_SUMMARY", "GITHUB_PATH")}
    for path in files.values():
        path.touch()
    known = {**{key: str(path) for key, path in files.items()}, "RUNNER_TEMP": str(runner), **(variables or {})}
    said, code = "", 0
    for script in own_lines(job):
        done = run(clone, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script, **known)
        said += done.stdout + done.stderr
        if code := done.returncode:
            break
    return Ran(code, said, *(path.read_text(encoding="utf-8") for path in files.values()))


RUN = {  # by a test below
    ("check.yaml", "lock"),
    ("check.yaml", "pipeline"),
    ("check.yaml", "review"),
    ("nightly.yaml", "nightly"),
    (".gitlab-ci.yml", "lock"),
    (".gitlab-ci.yml", "pipeline"),  # the same lines as in check.yaml
    (".gitlab-ci.yml", "review"),
    ("retrain.yaml", "retrain"),
}


def test_every_script_is_run_by_a_test() -> None:
    assert {(job.file, job.name) for job in jobs() if own_lines(job)} == RUN
    assert all(
        "make environment" in GATE or "make environment" not in script for job in jobs() for script in job.scripts
    )


@pytest.mark.parametrize("file", ["check.yaml", ".gitlab-ci.yml"])
def test_the_tests_are_those_of_the_gate(file: str) -> None:
    (job,) = [one for one in jobs() if (one.file, one.name) == (file, "test")]
    assert job.scripts == (".ci/run",)


def test_the_gate_installs_a_browser_for_the_tests_of_the_page(tmp_path: Path) -> None:
    write_command(tmp_path / "id", "echo 0")
    write_command(tmp_path / "apt-get", f'echo "$*" >> {tmp_path}/log')
    assert install_browser(tmp_path).returncode == 0
    (update, install) = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert update.startswith("update")
    assert "chromium" in install.split()


def test_where_there_is_a_browser_none_is_installed(tmp_path: Path) -> None:
    write_command(tmp_path / "chromium", "")
    write_command(tmp_path / "apt-get", f"touch {tmp_path}/log")
    assert install_browser(tmp_path).returncode == 0
    assert not (tmp_path / "log").exists()


def test_the_gate_goes_on_where_no_browser_can_be_installed(tmp_path: Path) -> None:
    assert install_browser(tmp_path).returncode == 0
    write_command(tmp_path / "id", "echo 0")
    write_command(tmp_path / "apt-get", "exit 1")
    assert install_browser(tmp_path).returncode == 0


def write_command(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_the_nightly_workflow_runs_the_tests_that_the_gate_leaves_out() -> None:
    (job,) = [one for one in jobs() if one.file == "nightly.yaml"]
    (script,) = own_lines(job)
    command = script.removeprefix(".venv/bin/").split()
    mixed = ["tests/evaluation/test_bootstrap.py", "--collect-only", "-q", "-n", "0"]  # collecting all takes long
    found = run(ROOT, *command, *mixed).stdout
    gate = run(ROOT, *command[:-1], "not nightly", *mixed).stdout
    nightly, gated = ({line for line in listed.splitlines() if line.startswith("tests/")} for listed in (found, gate))
    assert nightly
    assert gated
    assert not nightly & gated


@pytest.mark.parametrize("file", ["check.yaml", ".gitlab-ci.yml"])
def test_a_lock_that_is_current_passes(made: Path, tmp_path: Path, file: str) -> None:
    clone = checkout(made, tmp_path, "worse")
    ran = run_job(file, "lock", clone)
    assert (ran.code, "dvc.lock is current" in ran.said) == (0, True)
    assert ran.path == (f"{clone}/.venv/bin\n" if file == "check.yaml" else "")


def test_a_stale_lock_fails(made: Path, tmp_path: Path) -> None:
    ran = run_job("check.yaml", "lock", checkout(made, tmp_path, "stale"))
    assert ran.code == 1
    assert "the stage evaluate must run again, because train.seed in params.yaml changed" in ran.said


@pytest.mark.slow
def test_the_pipeline_runs_on_drawn_faces_whatever_the_data_is(made: Path, tmp_path: Path) -> None:
    clone = checkout(made, tmp_path, "worse")
    change_settings(clone, "data", sources=["own"])
    git(clone, "commit", "-qam", "photographs of ones own")
    ran = run_job("check.yaml", "pipeline", clone)
    assert ran.code == 0, ran.said
    assert "result   accuracy 83.3% (95% interval: 78.3% to 83.3%) on 90 test photographs" in ran.said
    assert (clone / "report" / "report.html").exists()
    github, gitlab = (
        [line for script in own_lines(job) for line in script.splitlines() if "PATH" not in line]
        for job in jobs()
        if job.name == "pipeline"
    )
    assert github == gitlab


@pytest.mark.parametrize("file", ["check.yaml", ".gitlab-ci.yml"])
def test_a_worse_model_is_reviewed_and_stopped_by_the_gate(made: Path, tmp_path: Path, file: str) -> None:
    clone = checkout(made, tmp_path, "worse")
    hostile = "$(touch${IFS}made);`touch${IFS}made`"
    git(clone, "update-ref", f"refs/remotes/origin/{hostile}", "origin/main")
    base = {"GITHUB_BASE_REF": hostile, "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(clone, "rev-parse", "origin/main")}
    ran = run_job(file, "review", clone, base)
    assert ran.code == 1
    assert ran.said.startswith("The gate is closed: the accuracy fell by 16.67 points")
    document = ran.summary or (clone / "review.md").read_text(encoding="utf-8")
    assert document.startswith("**Worse by 16.67 points")
    assert "| `train.seed` | `1` | `16` |" in document
    assert "The gate is closed" in Page((clone / "review.html").read_text(encoding="utf-8")).text
    assert git(clone, "status", "--porcelain") == ""  # and no file `made`, which a branch's name asks for


def test_the_gate_passes_where_the_target_has_no_answers_but_not_where_a_change_drops_them(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = checkout(made, tmp_path, "worse")
    git(clone, "rm", "-q", "metrics/answers.csv")
    git(clone, "commit", "-qm", "as it was")
    monkeypatch.chdir(clone)
    with pytest.raises(MissingFileError, match=r"data/predictions\.csv of HEAD"):
        ask_gate("origin/main", "HEAD")
    assert ask_gate("HEAD", "origin/main").startswith("The gate was not asked: data/predictions.csv of HEAD")


def ask_gate(before: str, after: str) -> str:
    asked = CliRunner().invoke(app, ["gate", before, "--with", after, "--if-comparable"], catch_exceptions=False)
    assert asked.exit_code == 0
    return asked.stdout


@pytest.fixture
def github(made: Path, tmp_path: Path) -> Iterator[GitHubServer]:
    shutil.copytree(made.parent / "origin.git", tmp_path / "origin.git")
    git(tmp_path / "origin.git", "config", "http.receivepack", "true")
    with GitHubServer(tmp_path / "origin.git") as server:
        yield server


@pytest.mark.slow
def test_training_again_opens_a_pull_request_with_the_news(github: GitHubServer, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "-b", "stale", str(tmp_path / "origin.git"), "clone")
    git(tmp_path / "clone", "remote", "set-url", "origin", github.clone_url)
    store = tmp_path / "store"
    secrets = {"DVC_CONFIG_LOCAL": f"['remote \"store\"']\n    url = {store}", "KAGGLE_API_TOKEN": ""}
    ran = run_job("retrain.yaml", "retrain", tmp_path / "clone", {**github.variables, **secrets})
    assert ran.code == 0, ran.said
    (pull,) = github.pulls
    assert "| `train.seed` |" not in pull["body"]
    assert "Accuracy" in pull["body"]
    assert pull["title"].startswith("Train again")
    assert ran.summary.startswith("# Train again")
    assert any(store.iterdir())
    assert not (tmp_path / "clone" / ".dvc" / "config.local").exists()
    assert github.variables["RETRAIN_TOKEN"] not in ran.said + ran.summary
