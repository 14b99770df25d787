"""Leave-one-source-out evaluation: train without each source, test on it; off unless `unseen.enabled`."""

import shutil
from pathlib import Path

from facemask.core.cache import cache_folder
from facemask.core.files import write_json
from facemask.core.params import load_params
from facemask.core.stage_runner import run
from facemask.dataset.split import SPLIT


def main() -> None:
    """Read the images, the split and the backbone; write `metrics/unseen.json`, empty if disabled."""
    params = load_params()
    if not params.unseen.enabled:
        write_json(Path("metrics/unseen.json"), {})
        return
    from facemask.evaluation.leave_one_source_out import leave_out, predict_unseen, summarise_unseen
    from facemask.training.trainer import WorkFolders

    images, backbone = Path("data/images.zip"), Path("models/backbone.weights.h5")
    split = SPLIT.read(Path("data/split.csv"))
    states = Path(".facemask/unseen")
    predictions = {}
    for source in sorted(params.data.sources):
        print(f"without {source}", flush=True)
        folders = WorkFolders(states=states / source, views=cache_folder() / "views")
        held = leave_out(split, source)
        predictions[source] = predict_unseen(images, held, backbone, params.render, params.train, folders)
    write_json(Path("metrics/unseen.json"), summarise_unseen(predictions))
    shutil.rmtree(states)


if __name__ == "__main__":
    run(main)
