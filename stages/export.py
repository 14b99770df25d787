"""Export the model to deployment formats, compare each with Keras, and add the face detector."""

from pathlib import Path

from facemask.core.stage_runner import run


def main() -> None:
    """Read the model, the decision and images; write `export/` and its metrics."""
    import numpy as np

    from facemask.core.files import atomic_path, write_json
    from facemask.core.metrics import write_metrics
    from facemask.core.params import load_params
    from facemask.core.progress import track
    from facemask.dataset.archive import Archive
    from facemask.dataset.batches import plain_batches
    from facemask.dataset.split import SPLIT, part_of
    from facemask.export.exporter import (
        BATCH,
        check_formats,
        choose_calibration,
        compare_formats,
        describe,
        evenly_chosen,
        export_model,
        run_formats,
        sizes,
    )
    from facemask.faces.detector import write_detector
    from facemask.models.classifier import calibrated, load_model
    from facemask.models.decision import read_decision

    settings = load_params().export
    decision = read_decision(Path("models/decision.json"))
    model = calibrated(load_model(Path("models/model.keras")), decision.temperature)
    split, side = SPLIT.read(Path("data/split.csv")), model.input_shape[1]
    calibration = choose_calibration(part_of(split, "train"), settings.calibration_images, settings.seed)
    test = evenly_chosen(part_of(split, "test"), settings.parity_images)
    labels = describe(model, decision)
    with Archive(Path("data/images.zip")) as archive, atomic_path(Path("export")) as folder:
        folder.mkdir()
        export_model(model, labels, np.concatenate(list(plain_batches(archive, calibration, side, BATCH))), folder)
        write_json(folder / "labels.json", labels)
        if settings.face_detector:
            write_detector(folder)
        batches = plain_batches(archive, test["id"].tolist(), side, BATCH)
        outputs = run_formats(folder, track(batches, -(-len(test) // BATCH), "compare formats", "batches"))
        figures = compare_formats(outputs, test, decision)
        check_formats(figures, settings)
        figures = {"size_bytes": sizes(folder), **figures, "parity_images": len(test)}
    write_metrics("export", figures, {"accuracy_int8": "accuracy.tflite_int8"})


if __name__ == "__main__":
    run(main)
