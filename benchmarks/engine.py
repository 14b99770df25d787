"""How quick predictions are on the engine `ray`, compared with `local`.

    python benchmarks/engine.py PHOTOS                    # a folder, searched as `facemask predict` does

Ray runs on the cluster at RAY_ADDRESS, or else on this machine. Its start and the first answer, for which each process
loads the program and the model, are timed apart. Then both engines predict all photographs, one after the other, in
turns; the answers must be equal.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

# The folder is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))
from facemask.core.params import EngineKind
from facemask.core.progress import track
from facemask.engine.ray import connect
from facemask.inference.inputs import Input, find_inputs
from facemask.inference.options import Options
from facemask.inference.predictor import Prediction, predict_files

WARM_UP = 64  # photographs, so that each process has loaded the model


def timed(engine: EngineKind, model: Path, files: list[Input]) -> tuple[float, list[Prediction]]:
    """Predict the files; return seconds and predictions."""
    start = time.perf_counter()
    predictions = list(track(predict_files(model, files, len(files), Options(), engine), len(files), engine, "photos"))
    return time.perf_counter() - start, predictions


def main() -> None:
    """Read the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", help="folder, or address such as s3://bucket/prefix")
    parser.add_argument("--model", type=Path, default=Path("export"), help="export folder (default: %(default)s)")
    parser.add_argument("--count", type=int, default=2000, help="photographs at most (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (default: %(default)s)")
    arguments = parser.parse_args()
    files = find_inputs([arguments.photos]).inputs[: arguments.count]

    start = time.perf_counter()
    connect()
    started = time.perf_counter() - start
    first, _ = timed("ray", arguments.model, files[:WARM_UP])
    print(f"{os.cpu_count()} cores; load of the last minute: {os.getloadavg()[0]:.1f}")
    print(f"start of Ray: {started:.1f} s; first {min(WARM_UP, len(files))} photographs: {first:.1f} s")
    print("\n| turn | local, photographs a second | ray | ratio |\n| ---: | ---: | ---: | ---: |")
    ratios = []
    for turn in range(1, arguments.repeats + 1):
        here, expected = timed("local", arguments.model, files)
        there, found = timed("ray", arguments.model, files)
        if found != expected:
            sys.exit("the engines gave different predictions")
        ratios.append(here / there)
        print(f"| {turn} | {len(files) / here:.1f} | {len(files) / there:.1f} | {ratios[-1]:.2f} |", flush=True)
    print(f"\nmedian ratio {statistics.median(ratios):.2f}; load of the last minute: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
