"""Leave-one-source-out evaluation: train without each source, test on it; off unless `unseen.enabled`."""

import shutil
from pathlib import Path

from facemask.core.stage_runner import run


def main() -> None:
    """Read the images, the split and the backbone; write the metrics of the sources left out, none if disabled."""
    from facemask.core.cache import cache_folder
    from facemask.core.metrics import write_metrics
    from facemask.core.params import load_params
    from facemask.dataset.split import SPLIT

    params = load_params()
    if not params.unseen.enabled:
        write_metrics("unseen", {}, {})
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
        predictions[source] = predict_unseen(
            images, held, backbone, params.render, params.train, folders, params.engine.kind
        )
    write_metrics(
        "unseen", summarise_unseen(predictions), {f"accuracy_on_{name}": f"{name}.accuracy" for name in predictions}
    )
    shutil.rmtree(states)


if __name__ == "__main__":
    run(main)
