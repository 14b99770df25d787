"""Commands that use a trained model: predict, watch, benchmark, summary."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from enum import StrEnum
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facemask.cli.options import (
    EXPORT,
    EngineName,
    FaceMode,
    Margin,
    MinFace,
    MinScore,
    ModelFolder,
    Rev,
    SmallFaces,
    exported_model,
)
from facemask.faces.defaults import MARGIN, MIN_FACE, MIN_SCORE
from facemask.inference.options import Options

if TYPE_CHECKING:
    from facemask.inference.inputs import Found


class PredictionFormat(StrEnum):
    """Formats in which predictions are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class TimingFormat(StrEnum):
    """Formats in which timings are printed."""

    TABLE = "table"
    JSON = "json"


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders, quoted patterns ('*.jpg'), addresses (s3://bucket/prefix), or - for stdin."
        ),
    ],
    model: ModelFolder = EXPORT,
    rev: Rev = None,
    faces: Annotated[
        FaceMode, typer.Option(help="Detect faces in photographs, or treat each image as one cropped face.")
    ] = FaceMode.FIND,
    layout: Annotated[PredictionFormat, typer.Option("--format", help="Output format.")] = PredictionFormat.TABLE,
    output: Annotated[
        list[Path] | None, typer.Option(help="Also write the predictions to this .json or .csv file; repeatable.")
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(
            help="Instead of printing the predictions, write them to this folder as Parquet files; those of an earlier "
            "run are kept and not made again."
        ),
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for copies of the images with marked faces.")] = None,
    engine: Annotated[
        EngineName, typer.Option(help="Work in threads of this process, or on the Ray cluster at RAY_ADDRESS.")
    ] = EngineName.LOCAL,
    margin: Margin = MARGIN,
    min_face: MinFace = MIN_FACE,
    min_score: MinScore = MIN_SCORE,
    small_faces: SmallFaces = False,
) -> None:
    """Find the faces in photographs and classify each.

    Exit codes: 0, every file was processed (also those without a face);
    1, some files could not be used (the others are still processed), or
    there is no model; 2, invalid usage.
    """
    from facemask.core.progress import track
    from facemask.inference import writers
    from facemask.inference.inputs import STANDARD_INPUT, find_inputs, refuse_overwriting
    from facemask.inference.predictor import predict_files

    outputs = output or []
    for path in outputs:
        if path.suffix.lower() not in writers.SUFFIXES:
            raise typer.BadParameter(f"{path} must end in {' or '.join(writers.SUFFIXES)}", param_hint="--output")
    if parquet and (outputs or pictures):
        raise typer.BadParameter("neither --output nor --pictures can be used with it", param_hint="--parquet")
    if STANDARD_INPUT in inputs and (parquet or engine is not EngineName.LOCAL):
        raise typer.BadParameter("neither --parquet nor --engine ray can be used with -", param_hint="INPUTS")
    options = Options(
        faces=faces.value,
        margin=margin,
        min_face=min_face,
        min_score=min_score,
        small_faces=small_faces,
        pictures=pictures,
    )
    found = find_inputs(inputs, outputs)
    files = found.inputs
    if parquet:
        _predict_to_parquet(parquet, exported_model(model, rev), found, options, engine)
        return
    refuse_overwriting(files, [pictures / file.mirrored for file in files if pictures and not file.problem])
    predictions = predict_files(exported_model(model, rev), files, len(files), options, engine.value)
    # On a terminal the printed predictions are progress enough.
    shown = predictions if sys.stdout.isatty() else track(predictions, len(files), "predict", "files")
    with ExitStack() as stack:
        opened = [stack.enter_context(writers.writing_to(path)) for path in outputs]
        opened.append(writers.printing(layout.value, [file.name for file in files]))
        tally = writers.write_all(shown, opened)
    _remark([*found.remarks, *tally.remarks()])
    if tally.unusable:
        raise typer.Exit(1)


def _predict_to_parquet(folder: Path, model: Path, found: "Found", options: Options, engine: EngineName) -> None:
    from facemask.core.progress import track
    from facemask.inference.shards import ShardFolder

    shards = ShardFolder(folder, model, found.inputs, options)
    done = chain(repeat(None, shards.there), shards.complete(engine.value))
    for _ in track(done, len(found.inputs), "predict", "files"):
        pass
    tally = shards.count()
    _remark([shards.describe(), *found.remarks, *tally.remarks()])
    if tally.unusable:
        raise typer.Exit(1)


def watch(
    source: Annotated[str, typer.Argument(help="Video file, camera number (0), or address (rtsp://, http://).")],
    model: ModelFolder = EXPORT,
    output: Annotated[
        Path | None, typer.Option(help="Video to write, .mp4, .mov, .mkv or .webm, with marked faces.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the video in a window; q closes it.")] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="Print the counts as JSON, one object per line.")] = False,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two counts.")] = 1.0,
    every: Annotated[int, typer.Option(min=1, help="Process every n-th frame only.")] = 1,
) -> None:
    """Follow the faces in a video or camera stream and count them by class.

    Prints how many faces of each class are in view, and how many people were
    seen so far.

    Nothing is stored or sent: frames stay in memory while they are processed,
    and only --output writes a file.

    Exit codes: 0, the video ended or the window was closed; 1, an error;
    3, the source stopped too early or is damaged; 130, Ctrl-C; 143, SIGTERM.
    In all cases but 1 the last counts are printed and the output video is
    kept.
    """
    from facemask.faces.detector import FaceDetector
    from facemask.inference.predictor import Classifier
    from facemask.inference.video.frame import SourceLost
    from facemask.inference.video.source import VideoSource
    from facemask.inference.video.watch import Watcher, describe, stop_on_signal, watch_video

    watcher = Watcher(FaceDetector(model), Classifier(model))
    video = VideoSource(source, every)
    with stop_on_signal() as stop:
        try:
            for counts in watch_video(video, watcher, stop, interval, output, show):
                print(json.dumps(vars(counts)) if json_lines else describe(counts, video.seconds), flush=True)
        except SourceLost as lost:
            print(f"error: {lost}", file=sys.stderr)
            raise typer.Exit(3) from lost
    if stop.number:
        raise typer.Exit(128 + stop.number)


def benchmark(
    model: ModelFolder = EXPORT,
    images: Annotated[
        list[str] | None,
        typer.Option(help="Face crop, or folder of face crops; repeatable.", show_default="drawn faces"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also time Keras and the SavedModel, with TensorFlow.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions per format; more give more stable figures.")] = 10,
    layout: Annotated[TimingFormat, typer.Option("--format", help="Output format.")] = TimingFormat.TABLE,
) -> None:
    """Time the exported formats on this machine.

    Times are milliseconds per face. `cpu ms` is processor time over all
    threads: use it where other programs are running. `same answer` compares
    the predicted classes with those of the format tflite.
    """
    from facemask.inference import benchmark as timing
    from facemask.inference.predictor import Classifier

    side = Classifier(model).image_size
    faces, remarks = timing.read_faces(images, side) if images else (timing.drawn_faces(side), [])
    timings = timing.benchmark(model, timing.choose_formats(every), faces, rounds)
    processor = timing.processor()
    _remark(remarks)
    if layout is TimingFormat.JSON:
        figures = {"processor": processor, "side": side, "faces": len(faces), "timings": [vars(one) for one in timings]}
        print(json.dumps(figures, indent=2, ensure_ascii=False))
        return
    kind = "pictures" if images else "drawn faces"
    print(f"{processor}; {len(faces)} {kind} of {side} x {side} pixels\n")
    print(timing.table(timings), end="")


def summary() -> None:
    """Print the headline figures of the last run, and where its files are."""
    from facemask.summary import summarise_run

    print(summarise_run(Path()), end="")


def _remark(remarks: Sequence[str]) -> None:
    from facemask.inference.writers import printable

    print("".join(f"{printable(remark)}\n" for remark in remarks), end="", file=sys.stderr)
