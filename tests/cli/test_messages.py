"""Every sentence with which `facemask` ends: whoever reads only this knows what happened to which file, and what to do.

Each is provoked. What happens to videos is in tests/inference/video, to Kaggle sets in tests/data/sources.
"""

import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import yaml
from PIL import Image

from facemask.cli.app import main
from facemask.core.classes import CLASSES
from facemask.dataset.archive import write_archive
from facemask.dataset.manifest import MANIFEST
from facemask.dataset.split import SPLIT
from tests.bad_images import png
from tests.revisions_project import git, init_dvc

ROOT = Path(__file__).parents[2]
NO_MODEL = "run `dvc repro` (or `dvc pull export` if there is a DVC remote), or choose another folder with --model"
ANSWERS = "image,sha256,group,label,prediction,confidence,id\n"


@dataclass(frozen=True)
class Case:
    """A command, what is done before it, and what it says: the last lines of stderr, without what differs."""

    command: str
    said: str
    before: Callable[[Path], object] = lambda _: None
    code: int = 1
    environment: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.command}: {self.said[:40]}"


def file(name: str, content: str | bytes = "") -> Callable[[Path], None]:
    """Return what writes a file into a folder."""

    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def files(*writers: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what calls several of these."""

    def write(folder: Path) -> None:
        for one in writers:
            one(folder)

    return write


def photograph(kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((240, 320, 3), 120, np.uint8)).save(buffer, kind, **options)
    return buffer.getvalue()


def settings(**changes: Any) -> Callable[[Path], None]:
    """Return what writes params.yaml with settings changed, such as train__epochs=3; None removes one."""

    def write(folder: Path) -> None:
        content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        for name, value in changes.items():
            *groups, key = name.split("__")
            group = content
            for one in groups:
                group = group[one]
            if value is None:
                del group[key]
            else:
                group[key] = value
        (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    return write


def run_before(folder: Path) -> None:
    """Write empty files in place of what a finished run leaves for `new-data`, and params.yaml."""
    settings()(folder)
    for name in ("data/images.zip", "data/manifest.csv", "data/split.csv", "models/backbone.weights.h5"):
        file(name)(folder)
    file("data/manifest.csv", ",".join(MANIFEST.types) + "\n")(folder)


def zip_of(**members: str) -> Callable[[Path], None]:
    return lambda folder: write_archive(
        folder / "sent.zip", sorted((name.replace("__", "/"), content.encode()) for name, content in members.items())
    )


def cut_zip(folder: Path) -> None:
    zip_of(with_mask__1="x" * 1000)(folder)
    path = folder / "sent.zip"
    path.write_bytes(path.read_bytes()[:500])


def altered_zip(folder: Path) -> None:
    zip_of(with_mask__1="x" * 1000)(folder)
    path = folder / "sent.zip"
    path.write_bytes(path.read_bytes().replace(b"xxxx", b"yyyy", 1))


def link_to_folder(folder: Path) -> None:
    file("elsewhere/1.jpg", photograph())(folder)
    (folder / "photos").mkdir()
    (folder / "photos/with_mask").symlink_to(folder / "elsewhere")


def broken_link(folder: Path) -> None:
    (folder / "photos/with_mask").mkdir(parents=True)
    (folder / "photos/with_mask/1.jpg").symlink_to("gone.jpg")


def empty_class_folders(folder: Path) -> None:
    for name in CLASSES:
        (folder / "data/own" / name).mkdir(parents=True)


OUTCOME = json.dumps({"kind": "failed", "title": "t", "body": "b"})
PUBLISHER = {"GITHUB_REPOSITORY": "somebody/masks", "RETRAIN_TOKEN": "secret"}

PLAIN = [
    # predict, benchmark
    Case("predict a.jpg", f"error: there is no model in export (export/labels.json is missing): {NO_MODEL}"),
    Case(
        "predict a.jpg --model here",
        f"error: there is no model in here (here/model.tflite is missing): {NO_MODEL}",
        file("here/labels.json", "{}"),
    ),
    Case(
        "predict a.jpg",
        f"error: the model in export is damaged (Expecting value: line 1 column 1 (char 0)): {NO_MODEL}",
        files(file("export/labels.json", "no JSON"), file("export/model.tflite")),
    ),
    Case(
        "predict a.jpg",
        f"error: the model in export has the classes cat, dog, not {', '.join(CLASSES)}: {NO_MODEL}",
        files(file("export/labels.json", '{"classes": ["cat", "dog"]}'), file("export/model.tflite")),
    ),
    Case("predict a.jpg --output a.txt", "a.txt must end in .json or .csv", code=2),
    Case("predict a.jpg --rev main --model x", "--rev and --model both name a model: give one of them", code=2),
    Case("predict", "Missing argument", code=2),
    Case("predict a.jpg --faces some", "'some' is not one of 'find', 'crop'", code=2),
    Case(
        "predict a.jpg --pictures .",
        "error: the input a.jpg would be overwritten: choose another folder with --pictures",
        file("a.jpg", photograph()),
    ),
    Case(
        "predict a.jpg --pictures mine",
        "error: mine/a.jpg would be overwritten, and `facemask predict` did not write it: choose another folder with "
        "--pictures",
        files(file("a.jpg", photograph()), file("mine/a.jpg", photograph())),
    ),
    Case(
        "predict a.csv --output a.csv",
        "error: no input is left: a.csv is left out: it is written by this command",
        file("a.csv"),
    ),
    Case("benchmark", f"error: there is no model in export (export/labels.json is missing): {NO_MODEL}"),
    # summary
    Case("summary", "error: metrics/details/evaluation.json is missing; run `dvc repro` in the project's folder"),
    Case(
        "summary",
        "error: metrics/details/evaluation.json is damaged (KeyError('test')); run `dvc repro evaluate`",
        file("metrics/details/evaluation.json", "{}"),
    ),
    # params.yaml
    Case("new-data own", "error: params.yaml is missing; run the command in the project's folder"),
    Case(
        "new-data own", "error: params.yaml is not valid YAML; correct it: while parsing", file("params.yaml", "a: [")
    ),
    Case(
        "new-data own", "error: params.yaml is not UTF-8 text: save it in that encoding", file("params.yaml", b"\xff")
    ),
    Case("new-data own", "the file as a whole: settings are expected below this key", file("params.yaml", "- 1")),
    Case("new-data own", "train.epochs: Input should be less than or equal to 20, not 99", settings(train__epochs=99)),
    Case(
        "new-data own",
        "train.epoch: there is no such setting; check how it is spelled, or remove it",
        settings(train__epoch=3),
    ),
    Case("new-data own", "merge: this setting is missing; write it there", settings(merge=None)),
    Case(
        "new-data own",
        "a source's name consists of small letters, digits, - and _, at most 64, such as my-photos, not 'office 2'",
        settings(**{"sources__office 2": {"kind": "folder", "path": "data/own"}}),
    ),
    Case(
        "new-data own",
        "sources.x: `kind` must say what the source is: kaggle, folder or sample",
        settings(sources__x={}),
    ),
    Case(
        "new-data own",
        "sources.own.path is '/photos', outside data.own (data/own), the folder where DVC notices new photographs: set "
        "data.own to that path, or to a folder that holds all own photographs",
        settings(sources__own__path="/photos", data__sources=["own"]),
    ),
    # new-data
    Case(
        "new-data own",
        "error: new data is compared with that of a finished run, and data/images.zip, data/manifest.csv, "
        "data/split.csv, "
        "models/backbone.weights.h5 are missing: run `dvc pull` where there is a DVC remote, else `dvc repro backbone "
        "split`",
        settings(),
    ),
    Case("new-data own", "error: data/manifest.csv is invalid (", files(run_before, file("data/manifest.csv", "x"))),
    # publish
    Case(
        "publish o.json",
        "error: o.json cannot be read (No such file or directory): `facemask retrain --outcome o.json` writes it",
    ),
    Case(
        "publish o.json",
        "error: o.json is not an outcome file: `facemask retrain --outcome o.json` writes it",
        file("o.json", "{}"),
    ),
    Case(
        "publish o.json",
        "error: GITHUB_REPOSITORY is not set: set it to owner/repository; docs/retrain.md says what to do on GitLab",
        file("o.json", OUTCOME),
    ),
    Case(
        "publish o.json",
        "error: RETRAIN_TOKEN is not set: make a token for the bot, it needs read and write access to contents, issues "
        "and pull requests of this repository (docs/retrain.md)",
        file("o.json", OUTCOME),
        environment={"GITHUB_REPOSITORY": "somebody/masks"},
    ),
    Case(
        "publish o.json",
        "error: GITHUB_API_URL is 'nowhere', which is not a valid address; one looks like https://api.github.com",
        file("o.json", OUTCOME),
        environment={**PUBLISHER, "GITHUB_API_URL": "nowhere"},
    ),
    Case(
        "publish o.json",
        "error: http://127.0.0.1:9 is unreachable: check the network and publish again",
        file("o.json", OUTCOME),
        environment={**PUBLISHER, "GITHUB_API_URL": "http://127.0.0.1:9"},
    ),
    # no project
    Case("check-lock", "has no dvc.yaml: run the command in the project's folder"),
    Case("compare main", "is not a DVC project: run the command in the project's folder"),
    Case("gate main", "is not a DVC project: run the command in the project's folder"),
    Case("review main", "is not a DVC project: run the command in the project's folder"),
    Case("predict a.jpg --rev main", "is not a DVC project: run the command in the project's folder"),
    Case("retrain", "is in no git repository: run the command in a clone of the project"),
    Case("nothing", "No such command 'nothing'.", code=2),
]


def finished(folder: Path) -> None:
    """Write tables of a run of two images, so that `new-data` gets as far as looking at its arguments."""
    run_before(folder)
    file("data/split.csv", ",".join(SPLIT.types) + "\n")(folder)
    write_archive(folder / "data/images.zip", [])


NEW_DATA = [
    Case(
        "new-data nothing",
        "error: 'nothing' is neither an entry of `sources` in params.yaml nor a folder or zip: check the name",
    ),
    Case(
        "new-data own nothing",
        "error: 'nothing' is not an entry of `sources` in params.yaml (sample, vijaykumar1799, shiekhburhan, "
        "andrewmvd, wobot, own); check a folder or zip file on its own",
    ),
    Case("new-data own --folders-of own", "error: 'own' has a folder map of its own: leave out --folders-of"),
    Case("new-data own --version 2", "error: --version is for one Kaggle set, which own is not: leave it out"),
    Case(
        "new-data vijaykumar1799 --version 0",
        "error: --version 0: versions of vijaykumar1799 are numbered from 1",
    ),
    Case(
        "new-data data --version 2",
        "error: --version is that of a Kaggle set: name its entry of `sources` in params.yaml with it",
    ),
    Case(
        "new-data data --folders-of sample",
        "error: --folders-of sample: no entry of `sources` of this name has a folder map; name one of "
        "vijaykumar1799, shiekhburhan, own",
    ),
    Case(
        "new-data own",
        "error: data/own is not a folder: make it, or set `path` of the source to the folder that holds the class",
    ),
    Case(
        "new-data own",
        "error: data/own has no folder 'mask_weared_incorrect', it has with_mask: make that folder, or correct "
        "`folders` "
        "of the source",
        file("data/own/with_mask/1.jpg"),
    ),
    Case(
        "new-data own",
        "error: no file lies below data/own in mask_weared_incorrect, with_mask, without_mask: put photographs there",
        empty_class_folders,
    ),
    Case(
        "new-data photos",
        "error: no photograph in photos lies in a folder of a class (mask_weared_incorrect, with_mask, without_mask); "
        "there is no folder with files, besides links to folders, which are not searched (with_mask): name the folders "
        "so, or use the folder map of an entry of `sources` with --folders-of",
        link_to_folder,
    ),
    Case(
        "new-data photos",
        "error: photos/with_mask/1.jpg is a broken link or no ordinary file: take it away",
        broken_link,
    ),
    Case("new-data sent.zip", "error: sent.zip is cut off or no zip archive (", cut_zip),
    Case(
        "new-data sent.zip",
        "error: sent.zip: member 'with_mask/1' is cut off or altered (Bad CRC-32 for file 'with_mask/1'): make "
        "or fetch "
        "the archive again",
        altered_zip,
    ),
    Case(
        "new-data sent.zip",
        "error: no photograph in sent.zip lies in a folder of a class (mask_weared_incorrect, with_mask, "
        "without_mask); "
        "there is a, a/b: name the folders so",
        zip_of(a__b__1="x"),
    ),
]


def commit(folder: Path) -> None:
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "-qm", "a change", "--allow-empty")


def committed(*writers: Callable[[Path], object]) -> Callable[[Path], None]:
    return files(*writers, commit)


def branch(name: str) -> Callable[[Path], object]:
    return lambda folder: git(folder, "switch", "-qc", name)


def fresh_repository(folder: Path) -> None:
    shutil.rmtree(folder / ".git")
    git(folder, "init", "-q", "-b", "main")


PROJECT = [
    Case("compare main", "has no data/predictions.csv; choose a revision with a finished run, its dvc.lock committed"),
    Case("gate main", "error: the work tree has no data/predictions.csv; run `dvc repro` or `dvc pull`"),
    Case(
        "review nothing",
        "error: git does not know the revision 'nothing' here: check the name, or run `git fetch` first (in a shallow "
        "clone `git fetch --unshallow`)",
    ),
    Case("predict a.jpg --rev nothing", "error: git does not know the revision 'nothing' here: check the name"),
    Case(
        "predict a.jpg --rev main",
        "has no export/labels.json; choose a revision with a finished run, its dvc.lock committed",
    ),
    Case(
        "compare main",
        "is invalid (it has no column sha256, group, label, prediction, confidence, id); choose another revision",
        committed(file("metrics/answers.csv", "nonsense\n")),
    ),
    Case(
        "compare main",
        "error: metrics/answers.csv of the work tree has labels that are not classes (7); run `dvc repro evaluate`",
        files(
            committed(file("metrics/answers.csv", f"{ANSWERS}a,x,0,1,1,,\n")),
            file("metrics/answers.csv", f"{ANSWERS}a,x,0,7,1,,\n"),
        ),
    ),
    Case(
        "compare main",
        "lists images twice; choose another revision",
        committed(file("metrics/answers.csv", ANSWERS + "a,x,0,1,1,,\n" * 2)),
    ),
    Case(
        "compare main",
        "has no test image: run `dvc repro`, and commit what it makes",
        committed(file("metrics/answers.csv", ANSWERS)),
    ),
    Case(
        "compare main",
        "metrics/answers.csv of the work tree has labels that are not classes (cat); run `dvc repro evaluate`",
        files(
            committed(file("metrics/answers.csv", f"{ANSWERS}a,x,0,1,1,,\n")),
            file("metrics/answers.csv", "id,group,label,prediction,confidence,sha256\na,g,cat,with_mask,0.9,x\n"),
        ),
    ),
    Case(
        "compare main --html taken/page.html",
        "error: taken/page.html cannot be used (taken is no folder): choose another name or folder",
        files(committed(file("metrics/answers.csv", f"{ANSWERS}a,x,0,1,1,,\n")), file("taken")),
    ),
    Case(
        "gate main",
        "is invalid (accuracy: Input should be greater than or equal to 0); correct it there",
        committed(
            settings(gate__accuracy=-1),
            file("metrics/answers.csv", f"{ANSWERS}a,x,0,1,1,,\n"),
        ),
    ),
    Case(
        "check-lock",
        "error: dvc.lock is missing: the pipeline was never run here. Run `dvc repro`, then commit dvc.lock, metrics/ "
        "and plots/.",
    ),
    Case(
        "check-lock",
        "error: dvc.lock holds a merge conflict: take either version (`git checkout --ours dvc.lock`). Run `dvc repro`",
        file("dvc.lock", "<<<<<<< HEAD\n"),
    ),
    Case(
        "check-lock",
        "error: dvc.lock is damaged, it is not UTF-8 text: restore it with `git checkout dvc.lock`. Run `dvc repro`",
        file("dvc.lock", b"\xff"),
    ),
    Case(
        "check-lock",
        "error: the pipeline cannot be read (unable to read: 'dvc.lock', YAML file structure is corrupted): "
        "correct that "
        "file, or restore it with `git checkout`",
        file("dvc.lock", "stages: ["),
    ),
    Case(
        "check-lock",
        "error: dvc.lock is not current: the stage download@sample must run again, because dvc.lock has no entry "
        "of it.",
        file("dvc.lock", "schema: '2.0'\nstages: {}\n"),
    ),
    Case(
        "retrain",
        "error: the work tree has changes that git does not have (notes): commit them, or put them aside with "
        "`git stash "
        "--include-untracked`, and run again",
        file("notes"),
    ),
    Case(
        "retrain",
        "error: the branch retrain/1 was made by a run: switch to the one to train for, such as main",
        branch("retrain/1"),
    ),
    Case("retrain", "has no commit yet: commit the project first", fresh_repository),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's settings and stages in git, with DVC, before its first run."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "t")
    git(folder, "config", "user.email", "t@t")
    init_dvc(folder)
    commit(folder)
    return folder


PREDICTED = [
    ("none.jpg", None, "No such file or directory"),
    ("empty.jpg", b"", "empty file"),
    ("phone.heic", b"\0\0\0\x18ftypheic" + bytes(40), "HEIC is not supported"),
    ("notes.txt", b"no picture", "not an image"),
    ("cut.jpg", photograph()[:1500], "truncated"),
    ("broken.png", photograph("PNG").replace(b"IDAT", b"IDAX"), "damaged"),
    ("large.png", png(10_000, 10_000, b""), "too large"),
    ("float.tif", b"", "pixel format is not supported: 32-bit float, RGB"),
]


def keep_only(*names: str) -> Callable[[Path], None]:
    """Return what removes all other files of the export folder."""

    def remove(folder: Path) -> None:
        for path in (folder / "export").iterdir():
            if path.name not in names:
                path.unlink()

    return remove


EXPORTED = [
    Case(
        "predict a.jpg --pictures taken",
        "error: taken/a.jpg cannot be written (taken is no folder); choose another folder with --pictures",
        files(file("a.jpg", photograph()), file("taken")),
    ),
    Case(
        "predict a.jpg --output taken/a.csv",
        "error: taken/a.csv cannot be written (taken is no folder); choose another file with --output",
        files(file("a.jpg", photograph()), file("taken")),
    ),
    Case(
        "predict a.jpg",
        "error: no usable face detector in export: face_detector.tflite is missing or damaged; run `dvc repro export` "
        "with export.face_detector: true, or name another folder with --model; face crops can be classified without it "
        "(`facemask predict --faces crop`)",
        keep_only("labels.json", "model.tflite"),
    ),
    Case("predict a.jpg", "error: the model in export is damaged (", file("export/model.tflite", "no model")),
    Case(
        "benchmark --images a.jpg nothing",
        "Got unexpected extra argument",
        code=2,
    ),
    Case(
        "benchmark --images a.jpg",
        "error: none of a.jpg could be read as an image: name images, or folders with images",
        file("a.jpg", "no picture"),
    ),
    Case("benchmark", "error: export/model_float16.tflite is missing; run `dvc repro export`"),
]


def float_tiff() -> bytes:
    one = pyvips.Image.new_from_array(np.zeros((240, 320, 3), np.uint8)).copy(interpretation="srgb")
    return bytes(one.colourspace("scrgb").tiffsave_buffer())


@pytest.mark.slow
def test_of_every_file_that_can_not_be_used_the_reason_is_printed(
    photo_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content, _ in PREDICTED:
        if content is not None:
            (tmp_path / name).write_bytes(float_tiff() if name == "float.tif" else content)
    (tmp_path / "empty").mkdir()
    names = [name for name, *_ in PREDICTED]
    monkeypatch.chdir(tmp_path)
    command = ["facemask", "predict", "--model", str(photo_export), *names, "empty", "*.gif"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    reasons = [*(reason for *_, reason in PREDICTED), "no image in this folder", "no file matches"]
    assert [line.split("  not used: ")[1] for line in said.out.splitlines()] == reasons
    assert said.err.splitlines()[-1] == f"{len(reasons)} of {len(reasons)} files could not be used"
    assert ended.value.code == 1


def say(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the command as its entry point does, and compare what it says."""
    case.before(folder)
    monkeypatch.chdir(folder)
    for name in ("GITHUB_REPOSITORY", "RETRAIN_TOKEN", "GITHUB_API_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"COLUMNS": "200", **case.environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["facemask", *case.command.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert case.said in said
    assert "Traceback" not in said
    assert ended.value.code == case.code


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_a_command_says_what_happened_and_what_to_do(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say(case, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("case", NEW_DATA, ids=str)
def test_new_data_says_what_is_wrong_with_what_it_was_given(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(tmp_path)
    say(case, tmp_path, monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("case", PROJECT, ids=str)
def test_a_command_of_a_project_says_what_is_wrong_with_it(
    case: Case, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say(case, Path(shutil.copytree(project, tmp_path / "work")), monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("case", EXPORTED, ids=str)
def test_a_command_that_has_a_model_says_what_else_is_missing(
    case: Case, photo_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(photo_export, tmp_path / "export")
    say(case, tmp_path, monkeypatch, capsys)
