"""What `facemask publish-model` sends to a Hub, and what it says if it cannot."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from huggingface_hub import ModelCard, SpaceCard
from typer.testing import CliRunner

from facemask.cli.app import app
from facemask.core.errors import FacemaskError
from facemask.core.files import write_json, write_text
from facemask.core.metrics import DETAILS, write_metrics
from facemask.publish.hub import check_repo, export_files, page_files
from facemask.publish.model_card import default_licence, hub_card, read_run
from facemask.report.findings import read_findings
from facemask.report.page import markdown_card
from stages.evaluate import HEADLINE
from tests.hub_server import TOKEN, HubServer
from tests.report.outs import members, write_outs

REPO = "somebody/facemask"
PAGE = ("index.html", "labels.json", "model.tflite")
BINARY = (
    *("model.keras", "model.onnx", "model.tflite", "model_float16.tflite", "model_int8.tflite", "face_detector.tflite"),
    *("saved_model/saved_model.pb", "saved_model/variables/variables.index"),
)


def write_run(project: Path, sources: tuple[str, ...], kind: str, licence: str) -> None:
    """Write what a finished pipeline leaves that is published, and much that is not."""
    write_outs(project, {name: members(10) for name in sources}, kind=kind, licence=licence)
    with contextlib.chdir(project):
        write_metrics("evaluation", json.loads((DETAILS / "evaluation.json").read_text()), HEADLINE)
    write_text(project / "report" / "model_card.md", markdown_card(read_findings(project, sources)))
    write_text(project / "report" / "report.html", "pictures of faces")
    random = np.random.default_rng(1)
    for name in BINARY:
        path = project / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0" + random.bytes(4000))
    for name in ("export/photograph.jpg", "export/.hidden", "web/.hidden", "web/README.md"):
        write_text(project / name, "private")
    write_text(project / "web" / "index.html", "<title>page</title>")
    for name in ("model.tflite", "labels.json"):
        shutil.copy(project / "export" / name, project / "web" / name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    write_run(folder, ("faces",), kind="sample", licence="Apache-2.0")
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "project"))


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def publish(
    project: Path,
    hub: HubServer,
    *arguments: str,
    repo: str = REPO,
    xet: bool = True,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: the client reads its environment once."""
    environment = hub.environment(project / "home", xet) | dict(variables)
    command = [sys.executable, "-m", "facemask", "publish-model", repo, *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert TOKEN not in done.stdout + done.stderr
    return done


def exported(project: Path) -> dict[str, bytes]:
    """Return the files that make up the export, as they are to arrive."""
    return {name: (project / "export" / name).read_bytes() for name in (*BINARY, "labels.json")}


@pytest.mark.slow
@pytest.mark.parametrize("xet", [True, False])
def test_the_export_and_the_card_arrive_and_nothing_else(project: Path, hub: HubServer, xet: bool) -> None:
    done = publish(project, hub, "--message", "Better masks", xet=xet)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"model {REPO}: published, {hub.address}/{REPO}/commit/")
    ((key, repository),) = hub.repositories.items()
    card = repository.main.files.pop("README.md").decode()
    assert card == hub_card(read_run(project, project / "export", ["faces"]), REPO, "apache-2.0")
    assert repository.main.files == exported(project)
    assert (key, repository.private, repository.main.messages) == (("model", REPO), False, ["Better masks"])


@pytest.mark.slow
def test_only_what_changed_is_sent_again(project: Path, hub: HubServer) -> None:
    publish(project, hub)
    hub.requests.clear()
    again = publish(project, hub)
    assert (again.returncode, again.stdout) == (0, f"model {REPO}: nothing new\n")
    repository = hub.repositories["model", REPO]
    assert repository.main.messages == ["Publish the model"]
    assert not [path for _, path in hub.requests if "/commit/" in path or "/xorbs/" in path]

    hub.store.clear()
    (project / "export" / "model.onnx").write_bytes(b"\0" + np.random.default_rng(2).bytes(4000))
    repository.main.files["by-hand.txt"] = b"of the owner"
    assert publish(project, hub).returncode == 0
    assert repository.main.files.pop("by-hand.txt") == b"of the owner"
    assert {name: repository.main.files[name] for name in exported(project)} == exported(project)
    assert len(repository.main.messages) == 2


@pytest.mark.slow
def test_a_branch_gets_the_model_and_main_stays(project: Path, hub: HubServer) -> None:
    assert publish(project, hub, "--branch", "trial").returncode == 0
    branches = hub.repositories["model", REPO].branches
    assert (branches["main"].files, len(branches["trial"].files)) == ({}, len(exported(project)) + 1)


@pytest.mark.slow
def test_private_means_private(project: Path, hub: HubServer) -> None:
    assert publish(project, hub, "--private").returncode == 0
    repository = hub.repositories["model", REPO]
    assert repository.private
    repository.private = False
    repository.main.files.clear()
    done = publish(project, hub, "--private")
    assert (done.returncode, repository.main.files) == (1, {})
    assert done.stderr == (
        f"error: {REPO} exists and is public: make it private in its settings on the Hub, or omit --private\n"
    )


@pytest.mark.slow
def test_the_browser_page_becomes_a_static_space(project: Path, hub: HubServer) -> None:
    done = publish(project, hub, "--space", "somebody/page")
    assert (done.returncode, done.stderr) == (0, "")
    space = hub.repositories["space", "somebody/page"]
    card = SpaceCard(space.main.files.pop("README.md").decode()).data.to_dict()
    assert (space.sdk, card["sdk"], card["app_file"], card["models"]) == ("static", "static", "index.html", [REPO])
    assert space.main.files == {name: (project / "web" / name).read_bytes() for name in PAGE}
    assert len(hub.repositories["model", REPO].main.files) == len(exported(project)) + 1


@pytest.mark.slow
def test_a_dry_run_shows_everything_and_asks_nobody(project: Path, hub: HubServer) -> None:
    done = publish(project, hub, "--dry-run", "--space", "somebody/page", variables={"HF_TOKEN": ""})
    assert (done.returncode, done.stderr, hub.requests) == (0, "", [])
    for name, content in exported(project).items():
        assert f"{len(content):>12,}  {name}\n" in done.stdout
    assert hub_card(read_run(project, project / "export", ["faces"]), REPO, "apache-2.0") in done.stdout
    assert "space somebody/page, branch main: 4 files" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "variables", "fail", "words"),
    [
        ([], {"HF_TOKEN": ""}, {}, "there is no Hugging Face token: this needs a token with write access"),
        ([], {"HF_TOKEN": "hf_of-somebody-else"}, {}, "Hugging Face refuses the token: this needs a token with write"),
        ([], {"HF_HUB_OFFLINE": "1"}, {}, "HF_HUB_OFFLINE is set"),
        (
            [],
            {},
            {"/api/repos/create": (403, "read-only")},
            f"may not write to the model {REPO} (read-only): this needs",
        ),
        (
            [],
            {},
            {f"/api/models/{REPO}/commit": (404, "gone")},
            f"does not show the model {REPO} (gone): check the name",
        ),
        ([], {}, {f"/api/models/{REPO}/commit": (413, "too big")}, f"refused the model {REPO} with 413: too big"),
        ([], {}, {f"/api/models/{REPO}/xet": (403, "no")}, "403 Forbidden"),
        ([], {"HF_HUB_DISABLE_XET": "1"}, {"/store/lfs": (403, "no")}, f"may not write to the model {REPO} (no)"),
        (["--licence", "mine"], {}, {}, "must be one of"),
    ],
)
def test_a_refusal_is_explained_in_a_sentence(
    project: Path,
    hub: HubServer,
    arguments: list[str],
    variables: dict[str, str],
    fail: dict[str, tuple[int, str]],
    words: str,
) -> None:
    hub.fail = fail
    done = publish(project, hub, *arguments, variables=variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_without_a_network_the_address_is_named(project: Path, hub: HubServer) -> None:
    with socket.socket() as taken:  # bound, but it does not listen
        taken.bind(("127.0.0.1", 0))
        done = publish(project, hub, variables={"HF_ENDPOINT": f"http://127.0.0.1:{taken.getsockname()[1]}"})
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: sending the model {REPO} to http://127.0.0.1:")
    assert done.stderr.endswith("check the network, and HF_ENDPOINT if set, and publish again\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_publishing_needs_no_package_of_the_pipeline() -> None:
    script = (
        "import sys, facemask.publish.hub, facemask.publish.model_card; "
        "print(sorted({'dvc', 'pandas', 'sklearn', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_hub_reads_the_metadata_of_the_card(finished: Path) -> None:
    run = read_run(finished, finished / "export", ["faces"])
    card = ModelCard(hub_card(run, REPO, "apache-2.0"))
    data = card.data.to_dict()
    assert (data["license"], data["library_name"], data["pipeline_tag"]) == (
        "apache-2.0",
        "litert",
        "image-classification",
    )
    assert data["metrics"] == ["accuracy", "f1", "recall"]
    assert "drawn-faces" in data["tags"]
    figures = json.loads((finished / "metrics" / "evaluation.json").read_text())
    figures["macro_f1"] = json.loads((finished / DETAILS / "evaluation.json").read_text())["test"]["macro_f1"]
    assert {one.metric_name: one.metric_value for one in card.data["eval_results"]} == figures
    assert {one.dataset_split for one in card.data["eval_results"]} == {"test"}
    assert (finished / "report" / "model_card.md").read_text().strip() in card.text


def test_a_figure_that_could_not_be_computed_is_left_out(project: Path) -> None:
    path = project / "metrics" / "evaluation.json"
    write_json(path, json.loads(path.read_text()) | {"wrong_of_answered": None})
    card = ModelCard(hub_card(read_run(project, project / "export", ["faces"]), REPO, "apache-2.0"))
    assert "wrong_of_answered" not in {one.metric_name for one in card.data["eval_results"]}


def test_a_source_that_states_no_licence_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path, ("faces", "others"), kind="kaggle", licence="ODbL")
    monkeypatch.chdir(tmp_path)
    run = read_run(tmp_path, tmp_path / "export", ["faces", "others"])
    assert default_licence(run) == "unknown"
    assert "drawn-faces" not in hub_card(run, REPO, "unknown")
    done = CliRunner().invoke(app, ["publish-model", REPO, "--dry-run"])
    assert "warning: others states no licence: ask its authors" in done.stderr
    assert "faces states" not in done.stderr
    assert "license: unknown\n" in done.stdout
    assert (
        "license: odbl\n" in CliRunner().invoke(app, ["publish-model", REPO, "--dry-run", "--licence", "odbl"]).stdout
    )


@pytest.mark.parametrize("name", ["model.onnx", "saved_model", "labels.json"])
def test_an_export_that_lacks_a_file_is_refused(project: Path, name: str) -> None:
    path = project / "export" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FacemaskError, match=rf"export/{name} is missing; run `dvc repro export`"):
        export_files(project / "export")


def test_an_export_without_face_detector_is_complete(project: Path) -> None:
    (project / "export" / "face_detector.tflite").unlink()
    assert set(export_files(project / "export")) == {*BINARY, "labels.json"} - {"face_detector.tflite"}


def test_a_page_that_cannot_be_published_is_refused(project: Path) -> None:
    (project / "web" / "labels.json").write_text("{}")
    with pytest.raises(FacemaskError, match=r"web/labels.json is of another model than .*export: make the page again"):
        page_files(project / "web", project / "export")
    (project / "web" / "index.html").unlink()
    with pytest.raises(
        FacemaskError, match=r"web/index.html is missing: give the folder of the browser page with --pa"
    ):
        page_files(project / "web", project / "export")


@pytest.mark.parametrize("name", ["metrics/details/evaluation.json", "metrics/evaluation.json", "data/raw/faces.json"])
def test_a_run_that_lacks_a_file_is_refused(project: Path, name: str) -> None:
    (project / name).unlink()
    with pytest.raises(FacemaskError, match=rf"{name} is missing; run `dvc repro (evaluate|download@faces)`"):
        read_run(project, project / "export", ["faces"])
    write_text(project / name, "[")
    with pytest.raises(FacemaskError, match=rf"{name} is not valid JSON"):
        read_run(project, project / "export", ["faces"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("metrics/details/evaluation.json", "evaluation.json is broken"),
        ("export/labels.json", "export/labels.json or .* is broken"),
        ("data/raw/faces.json", "faces.json does not have kind, licence, origin; run `dvc repro download@faces`"),
    ],
)
def test_a_file_of_another_content_is_refused(project: Path, name: str, words: str) -> None:
    (project / name).write_text("{}")
    with pytest.raises(FacemaskError, match=words):
        read_run(project, project / "export", ["faces"])


def test_figures_of_another_model_are_refused(project: Path) -> None:
    path = project / "export" / "labels.json"
    write_json(path, json.loads(path.read_text()) | {"temperature": 0.802})
    with pytest.raises(FacemaskError, match="are of different runs"):
        read_run(project, project / "export", ["faces"])


def test_a_card_of_an_earlier_run_is_refused(project: Path) -> None:
    path = project / DETAILS / "evaluation.json"
    details = json.loads(path.read_text())
    details["test"]["macro_f1"] = 0.123
    write_json(path, details)
    with pytest.raises(FacemaskError, match=r"model_card.md is of another run .* 12\.3%.*dvc repro report"):
        read_run(project, project / "export", ["faces"])


@pytest.mark.parametrize("repo", ["facemask", "a/b/c", "some body/x", "somebody/..", ""])
def test_a_name_that_no_repository_can_have_is_refused(repo: str) -> None:
    with pytest.raises(FacemaskError, match=r"owner/name|cannot be the name"):
        check_repo(repo)
