"""A tiny project with a real pipeline, which `dvc repro` runs in seconds: tables instead of pictures and a model.

Its settings are those of the project itself. Two decide: there are `sources.sample.per_class` photographs of each class
of each source, and the model names `train.seed` - 1 of those with a mask wrong.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from facemask.core.files import write_text
from tests.revisions_project import git, init_dvc

ROOT = Path(__file__).parents[1]

_STAGES = """
stages:
  download:
    foreach: ${data.sources}
    do:
      cmd: python stages/download.py ${item}
      params: ["sources.${item}"]
      deps: [data/own, stages/download.py]
      outs: ["data/raw/${item}.txt"]
  split:
    cmd: python stages/split.py
    params: [data.sources, sources.sample]
    deps: [data/raw, stages/split.py]
    outs: [data/manifest.csv, data/split.csv]
    metrics: [{metrics/data.json: {cache: false}}]
  evaluate:
    cmd: python stages/evaluate.py
    params: [train.dropout, train.seed]
    deps: [data/split.csv, masks, stages/evaluate.py]
    outs:
      - data/predictions.csv
      - report
      - metrics/answers.csv: {cache: false}
      - metrics/details/evaluation.json: {cache: false}
    metrics: [{metrics/evaluation.json: {cache: false}}]
    plots: [{plots/history.csv: {cache: false}}]
"""

_DOWNLOAD = """
import pathlib, sys
pathlib.Path("data/raw").mkdir(parents=True, exist_ok=True)
pathlib.Path(f"data/raw/{sys.argv[1]}.txt").write_text(sys.argv[1])
pathlib.Path(f"data/raw/{sys.argv[1]}.json").write_text('{"kind": "sample"}')
"""

_SPLIT = """
import json, pathlib, yaml
settings = yaml.safe_load(open("params.yaml"))
sources, photographs = settings["data"]["sources"], settings["sources"]["sample"]["per_class"]
labels = ("mask_weared_incorrect", "with_mask", "without_mask")
manifest, split = ["id,source,label,group,sha256"], ["id,part,reason"]
for source in sources:
    for label in labels:
        for number in range(photographs):
            name = f"{source}/{label}/{number}.jpg"
            manifest.append(f"{name},{source},{label},{source}-{label}-{number},content of {name}")
            split.append(f"{name},test,")
pathlib.Path("data/manifest.csv").write_text("\\n".join(manifest) + "\\n")
pathlib.Path("data/split.csv").write_text("\\n".join(split) + "\\n")
pathlib.Path("metrics").mkdir(exist_ok=True)
counts = {label: photographs * len(sources) for label in labels}
pathlib.Path("metrics/data.json").write_text(json.dumps({"images": sum(counts.values()), "label": counts}))
"""

_EVALUATE = """
import csv, hashlib, json, pathlib, yaml
wrong = yaml.safe_load(open("params.yaml"))["train"]["seed"] - 1
labels = ("mask_weared_incorrect", "with_mask", "without_mask")
rows = [["id", "part", "source", "group", "label", "prediction", *(f"p_{label}" for label in labels)]]
answers = [["image", "sha256", "group", "label", "prediction", "confidence", "id"]]
confusion = {actual: dict.fromkeys(labels, 0) for actual in labels}
for row in csv.DictReader(open("data/split.csv")):
    source, label, number = row["id"].removesuffix(".jpg").split("/")
    said = "without_mask" if label == "with_mask" and int(number) < wrong else label
    confusion[label][said] += 1
    shares = [0.9 if said == one else 0.05 for one in labels]
    rows.append([row["id"], "test", source, f"{source}-{label}-{number}", label, said, *shares])
    key = hashlib.sha256(row["id"].encode()).hexdigest()[:10]
    answers.append([key, "", rows[-1][3], labels.index(label), labels.index(said), 0.9, row["id"]])
for folder in ("metrics", "plots", "report"):
    pathlib.Path(folder).mkdir(exist_ok=True)
for path, table in (("data/predictions.csv", rows), ("metrics/answers.csv", answers)):
    with open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\\n").writerows(table)
recalls = {label: confusion[label][label] / max(sum(confusion[label].values()), 1) for label in labels}
share = sum(recalls.values()) / 3
test = {"images": len(rows) - 1, "accuracy": share, "balanced_accuracy": share, "macro_f1": share}
test["class"] = {label: {"recall": recall} for label, recall in recalls.items()}
test["confusion"] = confusion
test["photographs"] = test["images"]
test["interval"] = {"accuracy": {"low": share - 0.05, "high": share}}
pathlib.Path("metrics/evaluation.json").write_text(json.dumps({"accuracy": share}))
pathlib.Path("metrics/details").mkdir(exist_ok=True)
pathlib.Path("metrics/details/evaluation.json").write_text(json.dumps({"test": test}))
epochs = [f"{epoch},{0.9 / epoch},0.5,{1 / epoch + wrong / 100},0.8" for epoch in (1, 2, 3)]
pathlib.Path("plots/history.csv").write_text("\\n".join(["epoch,loss,accuracy,val_loss,val_accuracy", *epochs]) + "\\n")
pathlib.Path("report/report.html").write_text(str(share))
"""

_SCRIPTS = {"download": _DOWNLOAD, "split": _SPLIT, "evaluate": _EVALUATE}


def run(project: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a workflow would: with the tools of this environment, and without anybody's git settings."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **variables,
    }
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def dvc(project: Path, *arguments: str) -> str:
    done = run(project, "dvc", *arguments)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def change_settings(project: Path, group: str, **values: Any) -> None:
    path = project / "params.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings[group].update(values)
    write_text(path, yaml.safe_dump(settings))


def make_pipeline(folder: Path) -> Path:
    """Make `folder/work`, a project whose run is committed and pushed: to `folder/origin.git` and `folder/store`."""
    project = folder / "work"
    for place, text in {
        "params.yaml": (ROOT / "params.yaml").read_text(encoding="utf-8"),
        "dvc.yaml": _STAGES,
        "masks/answers.py": "LABELS = 3\n",
        "data/own/.gitkeep": "",
        ".gitignore": "/data/*\n!/data/own/\n/data/own/*\n!/data/own/.gitkeep\n/report/\n/review.*\n",
        **{f"stages/{name}.py": script for name, script in _SCRIPTS.items()},
    }.items():
        write_text(project / place, text)
    git(project, "init", "-q", "-b", "main")
    for key, value in (("user.name", "t"), ("user.email", "t@t")):
        git(project, "config", key, value)
    init_dvc(project)
    write_text(project / ".dvcignore", "/data/own/.gitkeep\n")
    config = f"[core]\n    remote = store\n    analytics = false\n['remote \"store\"']\n    url = {folder / 'store'}\n"
    write_text(project / ".dvc" / "config", config)
    git(folder, "init", "-q", "--bare", "-b", "main", "origin.git")
    git(project, "remote", "add", "origin", str(folder / "origin.git"))
    change_settings(project, "data", sources=["sample"])
    change_settings(project, "sources", sample={"kind": "sample", "per_class": 30, "seed": 1})
    run_and_push(project, "main")
    return project


def run_and_push(project: Path, branch: str) -> None:
    """Run the pipeline, commit on `branch` what came of it, and push all of it."""
    dvc(project, "repro", "-q")
    git(project, "checkout", "-q", "-B", branch)
    git(project, "add", "-A")
    git(project, "commit", "-qm", f"a run on {branch}")
    git(project, "push", "-q", "origin", branch)
    dvc(project, "push", "-q")
