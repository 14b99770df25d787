"""A small project with everything that the stages before `report` write, made by the functions that they call."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from facemask.core.classes import CLASSES
from facemask.core.files import write_bytes, write_csv, write_json, write_text
from facemask.core.metrics import DETAILS
from facemask.core.params import JunkParams, MergeParams, SplitParams
from facemask.core.tables import write_table
from facemask.data import merge, summary
from facemask.data.duplicates.conflicts import flag_copies
from facemask.data.leakage import LEAKS
from facemask.data.quality import flag_junk
from facemask.data.split import check_split, count_parts, split
from facemask.dataset.archive import Archive, write_archive
from facemask.dataset.manifest import LEFT_OUT, MANIFEST
from facemask.dataset.predictions import PREDICTIONS, PROBABILITIES
from facemask.dataset.split import SPLIT, part_of
from facemask.dataset.synthetic import KINDS
from facemask.evaluation import class_activation, robustness
from facemask.evaluation.metrics import (
    evaluate,
    evaluate_slices,
    precision_recall_points,
    reliability,
    risk_coverage,
    roc_points,
)
from facemask.evaluation.selective import cost_table
from facemask.models.decision import Decision, write_decision
from facemask.presentation.contact_sheet import choose_samples, contact_sheet, draw_sheet, read_thumbnails

HISTORY = [(1, 0.9, 0.6, 0.7, 0.7), (2, 0.7, 0.7, 0.6, 0.8), (3, 0.4, 0.9, 0.3, 0.95)]


def picture(seed: Sequence[int], size: tuple[int, int] = (40, 40)) -> bytes:
    """A PNG file of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def members(per_class: int) -> dict[str, bytes]:
    """Pictures in class folders, of several sizes."""
    return {
        f"{label}/{number:03}.png": picture((index, number), (30 + number, 40))
        for index, label in enumerate(CLASSES)
        for number in range(per_class)
    }


def write_outs(
    project: Path,
    sources: dict[str, dict[str, bytes]] | None = None,
    kind: str = "kaggle",
    wrong: Sequence[float] = (0.8,),
    licence: str = "CC BY 4.0",
    copies: Sequence[Sequence[str]] = (),
    leaks: Sequence[float] = (0.6, 0.5),
    corrupted: int = 6,
    **policies: Any,
) -> None:
    """Write into `project` what the stages before `report` write.

    Args:
        project: an existing folder.
        sources: for each source its files; one source of 10 pictures a class if not given.
        kind: of the first source; the others are `folder`.
        wrong: one test image for each is predicted wrong, with this probability.
        licence: of the first source.
        copies: ids that show one photograph, for each photograph; files of equal bytes do anyway.
        leaks: similarities of pairs of a test and a training image, the highest first; suspicious from 0.94 on.
        corrupted: number of images that robustness was looked at with.
        policies: for `SplitParams`.
    """
    sources = sources or {"faces": members(10)}
    data = project / "data"
    for number, (name, files) in enumerate(sources.items()):
        write_archive(data / "raw" / f"{name}.zip", sorted(files.items()))
        card = {
            "kind": "folder" if number else kind,
            "folders": {label: label for label in CLASSES},
            "licence": "" if number else licence,
            "origin": "own photographs" if number else "Kaggle somebody/masks, version 1",
        }
        write_json(data / "raw" / f"{name}.json", card)
    _group(project, _merge(project, list(sources)), copies)
    _split(project, leaks, SplitParams(val=0.2, test=0.6, **policies))
    _render(project)
    _train_and_export(project)
    _evaluate(project, wrong)
    _corruptions(project, corrupted)
    _explain(project)
    used = {name: {"kind": "folder", "path": "data/own"} for name in sources}
    groups: dict[str, Any] = {
        stage: {}
        for stage in (
            *("merge", "group", "split", "render", "backbone", "train", "evaluate", "export"),
            *("robustness", "explain", "unseen", "report"),
        )
    }
    write_json(project / "params.yaml", {"data": {"sources": list(sources)}, "sources": used, **groups})


def _merge(project: Path, names: list[str]) -> merge.Merged:
    data, plots = project / "data", project / "plots"
    merged = merge.merge(names, data / "raw", data / "images.zip", MergeParams())
    LEFT_OUT.write(data / "left_out.csv", pd.DataFrame(merged.left_out, columns=LEFT_OUT.columns))
    write_csv(plots / "classes.csv", merge.CLASS_COUNT_COLUMNS, merge.class_counts(merged.catalogue))
    write_csv(plots / "sizes.csv", merge.SIDE_COUNT_COLUMNS, merge.side_counts(merged.catalogue))
    return merged


def _group(project: Path, merged: merge.Merged, copies: Sequence[Sequence[str]]) -> None:
    data, table = project / "data", merged.catalogue.copy()
    table["group"] = "g" + table["sha256"].str[:16]
    for number, names in enumerate(copies):
        assert set(names) <= set(table["id"])
        groups = table.loc[table["id"].isin(names), "group"]
        table.loc[table["group"].isin(groups), "group"] = f"g{number}"
    table["copies"] = table.groupby("group")["id"].transform("size")
    table["flags"] = (flag_copies(table) + " " + flag_junk(table, JunkParams())).str.strip()
    MANIFEST.write(data / "manifest.csv", table)
    left_out = pd.DataFrame(merged.left_out, columns=LEFT_OUT.columns)
    described = summary.describe(table, left_out, 1)
    write_json(project / DETAILS / "data.json", described)
    with Archive(data / "images.zip") as archive:
        thumbnails = read_thumbnails(archive, choose_samples(table, 4, 1))
    write_bytes(data / "samples.jpg", contact_sheet(thumbnails, described["label"]))


def _split(project: Path, leaks: Sequence[float], settings: SplitParams) -> None:
    manifest = MANIFEST.read(project / "data" / "manifest.csv")
    table = split(manifest, settings)
    SPLIT.write(project / "data" / "split.csv", table)
    test, train = (list(part_of(table, part)["id"]) for part in ("test", "train"))
    assert len(leaks) <= len(test), "not so many test images"
    pairs = pd.DataFrame(
        [(test[n], "test", train[n % len(train)], value, value >= 0.94) for n, value in enumerate(leaks)],
        columns=LEAKS.columns,
    )
    LEAKS.write(project / "data" / "leaks.csv", pairs)
    found = {
        **check_split(table, manifest),
        "suspicious_pairs": int(pairs["suspicious"].sum()),
        "highest_similarity": max(leaks, default=0.0),
    }
    write_json(project / DETAILS / "split.json", {**count_parts(table), "leaks": found})


def _render(project: Path) -> None:
    labels = {"mask_weared_incorrect": 7, "with_mask": 4, "without_mask": 1}
    kinds = dict.fromkeys(KINDS, 0) | {"right": 4, "nose_out": 5, "mouth_out": 2, "bare": 1}
    faces = {"faces": 7, "without_fit": 1, "cut_outs": 0, "images": 12}
    counts = {"label": labels, "kind": kinds, "style": {}, "object": {"none": 11, "beard": 1}, "shield": 1}
    write_json(project / DETAILS / "render.json", {**faces, **counts})
    with Archive(project / "data" / "images.zip") as archive:
        thumbnails = read_thumbnails(archive, {"right": archive.names[:2]})
    write_bytes(project / "data" / "rendered.jpg", contact_sheet(thumbnails, {"right": 4}))


def _train_and_export(project: Path) -> None:
    write_csv(
        project / "plots" / "history.csv",
        ("epoch", "loss", "accuracy", "val_loss", "val_accuracy"),
        HISTORY,
    )
    figures: dict[str, Any] = {"epochs": 3, "best_epoch": 3, "best_val_loss": 0.3, "best_val_accuracy": 0.95}
    images, parameters = {"train": 40, "rendered": 12, "val": 9}, {"total": 2_261_827, "trained": 3_843}
    write_json(project / DETAILS / "train.json", figures | {"images": images, "parameters": parameters})
    _export(project)


def _export(project: Path) -> None:
    sizes = {"keras": 9_612_345, "saved_model": 9_300_000, "tflite": 8_812_345, "tflite_float16": 4_490_000}
    parity = {"saved_model": 0.0, "tflite": 2.4e-07, "tflite_float16": 0.0136, "tflite_int8": 0.2088, "onnx": 1e-06}
    exported = {
        "size_bytes": sizes | {"tflite_int8": 2_730_000, "onnx": 8_800_000},
        "parity": parity,
        "agreement": dict.fromkeys(parity, 1.0) | {"tflite_int8": 0.9913},
        "accuracy": dict.fromkeys(("keras", *parity), 0.9739) | {"tflite_int8": 0.9652},
        "int8_loss": {"points": 0.87, "worse": 1, "better": 0, "p": 0.5},
        "parity_images": 115,
    }
    write_json(project / DETAILS / "export.json", exported)
    write_json(
        project / "export" / "labels.json",
        {
            "classes": list(CLASSES),
            "input": {"name": "image", "dtype": "uint8", "colours": "RGB", "height_width": [160, 160]},
            "output": {"name": "probabilities", "dtype": "float32"},
            "temperature": 0.8,
            "costs": cost_table(1, 1, 1),
            "thresholds": dict.fromkeys(CLASSES, 0.85),
        },
    )


def _evaluate(project: Path, wrong: Sequence[float]) -> None:
    table = SPLIT.read(project / "data" / "split.csv")
    parts = table[table["part"].isin(["val", "test"])].reset_index(drop=True)
    predictions = parts[["id", "part", "source", "group", "label"]].copy()
    predictions["prediction"] = predictions["label"]
    confidence = pd.Series(0.9, index=predictions.index)
    chosen = predictions.index[predictions["part"] == "test"][: len(wrong)]
    assert len(chosen) == len(wrong), "not so many test images"
    for row, probability in zip(chosen, wrong, strict=True):
        right = CLASSES.index(str(predictions.loc[row, "label"]))
        predictions.loc[row, "prediction"] = CLASSES[(right + 1) % len(CLASSES)]
        confidence[row] = probability
    for name, column in zip(CLASSES, PROBABILITIES, strict=True):
        predictions[column] = np.where(predictions["prediction"] == name, confidence, (1 - confidence) / 2)
    PREDICTIONS.write(project / "data" / "predictions.csv", predictions)
    manifest = MANIFEST.read(project / "data" / "manifest.csv")
    decision = Decision(temperature=0.8, costs=cost_table(1, 1, 1), thresholds=dict.fromkeys(CLASSES, 0.85))
    write_decision(project / "models" / "decision.json", decision)
    write_json(project / DETAILS / "evaluation.json", evaluate(predictions, predictions, decision))
    write_json(project / "data" / "slices.json", evaluate_slices(predictions, manifest))
    write_json(project / DETAILS / "unseen.json", {})
    test = part_of(predictions, "test")
    curves = {
        "precision_recall": precision_recall_points(test),
        "roc": roc_points(test),
        "reliability": reliability(test, test),
        "risk_coverage": risk_coverage(test),
    }
    for name, curve in curves.items():
        write_table(project / "plots" / f"{name}.csv", curve)


def _corruptions(project: Path, images: int) -> None:
    """As if the model named one image in seven wrong when it is clean, and ever more of them under every corruption."""
    test = part_of(SPLIT.read(project / "data" / "split.csv"), "test")
    rows = robustness.choose_images(test, images, seed=1)
    for place, name in enumerate(robustness.variant_names()):
        wrong = (rows.index + place) % 7 <= place % 5
        rows[name] = np.where(wrong, CLASSES[0], rows["label"])
    summary, points = robustness.summarise(rows, seed=1)
    write_json(project / DETAILS / "robustness.json", summary)
    write_table(project / "plots" / "troubles.csv", points)
    with Archive(project / "data" / "images.zip") as archive:
        blocks = robustness.example(archive, list(rows["id"]), 32, 1, points)
    write_bytes(project / "data" / "robustness.jpg", draw_sheet(blocks, robustness.COLUMNS))


def _explain(project: Path) -> None:
    """As if the evidence lay anywhere."""
    test = part_of(PREDICTIONS.read(project / "data" / "predictions.csv"), "test")
    rng = np.random.default_rng(1)
    maps = rng.normal(size=(len(test), len(CLASSES), 5, 5)).astype(np.float32)
    shuffled = rng.uniform(0.4, 0.6, (len(test), class_activation.SHUFFLES))
    explained = class_activation.Explained(maps, rng.uniform(0.7, 0.9, len(test)), shuffled)
    with Archive(project / "data" / "images.zip") as archive:
        chosen = class_activation.choose_shown(test, wrong=2, right=1, seed=1)
        blocks = class_activation.draw_blocks(test, explained, chosen, archive)
    write_json(project / DETAILS / "activation.json", class_activation.summarise(test, explained))
    write_bytes(project / "data" / "activations.jpg", draw_sheet(blocks, class_activation.COLUMNS))


def add_attributes(files: dict[str, bytes], **values: Sequence[str]) -> dict[str, bytes]:
    """Add the table of attributes: for each attribute its values, dealt out in turn to the files."""
    lines = [
        ",".join([path, *(choices[number % len(choices)] for choices in values.values())])
        for number, path in enumerate(sorted(files))
    ]
    text = "\n".join([",".join(["path", *values]), *lines]) + "\n"
    return {**files, "attributes.csv": text.encode()}


def rewrite(path: Path, old: str, new: str) -> None:
    """Replace text in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    write_text(path, text.replace(old, new))
