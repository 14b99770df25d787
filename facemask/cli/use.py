"""Commands that use a trained model: predict, watch, page, serve, benchmark, summary, publish-model."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facemask.core.errors import FacemaskError
from facemask.faces.defaults import MARGIN, MIN_FACE, MIN_SCORE
from facemask.inference.options import Options
from facemask.serve import settings as serving

EXPORT = Path("export")
PAGE = Path("web")

ModelFolder = Annotated[Path, typer.Option(help="Folder with an exported model.")]


class PredictionFormat(StrEnum):
    """Formats in which predictions are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class TimingFormat(StrEnum):
    """Formats in which timings are printed."""

    TABLE = "table"
    JSON = "json"


class FaceMode(StrEnum):
    """Whether to detect faces, or to treat each image as one cropped face."""

    FIND = "find"
    CROP = "crop"


def predict(
    inputs: Annotated[list[str], typer.Argument(help="Images, folders, quoted patterns ('*.jpg'), or - for stdin.")],
    model: ModelFolder = EXPORT,
    rev: Annotated[
        str | None, typer.Option(help="Use the exported model of this branch, tag or commit instead, from DVC.")
    ] = None,
    faces: Annotated[
        FaceMode, typer.Option(help="Detect faces in photographs, or treat each image as one cropped face.")
    ] = FaceMode.FIND,
    layout: Annotated[PredictionFormat, typer.Option("--format", help="Output format.")] = PredictionFormat.TABLE,
    output: Annotated[
        list[Path] | None, typer.Option(help="Also write the predictions to this .json or .csv file; repeatable.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for copies of the images with marked faces.")] = None,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="Margin added on each side of a found face, as a share of its size.")
    ] = MARGIN,
    min_face: Annotated[
        int, typer.Option(min=1, help="Minimum face size in pixels; smaller faces are reported as 'too small'.")
    ] = MIN_FACE,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Minimum score of the face detector.")] = MIN_SCORE,
    small_faces: Annotated[
        bool, typer.Option("--small-faces", help="Also find faces of half the size; at least twice as slow.")
    ] = False,
) -> None:
    """Find the faces in photographs and classify each.

    Exit codes: 0, every file was processed (also those without a face);
    1, some files could not be used (the others are still processed), or
    there is no model; 2, invalid usage.
    """
    from facemask.core.progress import track
    from facemask.inference import writers
    from facemask.inference.inputs import find_inputs, refuse_overwriting
    from facemask.inference.predictor import predict_files

    outputs = output or []
    for path in outputs:
        if path.suffix.lower() not in writers.SUFFIXES:
            raise typer.BadParameter(f"{path} must end in {' or '.join(writers.SUFFIXES)}", param_hint="--output")
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
    refuse_overwriting(files, [pictures / file.mirrored for file in files if pictures and not file.problem])
    predictions = predict_files(_exported_model(model, rev), files, options)
    # On a terminal the printed predictions are progress enough.
    shown = predictions if sys.stdout.isatty() else track(predictions, len(files), "predict", "files")
    with ExitStack() as stack:
        opened = [stack.enter_context(writers.writing_to(path)) for path in outputs]
        opened.append(writers.printing(layout.value, [file.name for file in files]))
        tally = writers.write_all(shown, opened)
    _remark([*found.remarks, *tally.remarks()])
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


def page(
    folder: Annotated[Path, typer.Option(help="Folder with the page.")] = PAGE,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 for any free one.")] = 8765,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Open the browser page, which finds and classifies faces by itself.

    Serves the folder on 127.0.0.1, for this machine only, until Ctrl-C. The
    page uploads nothing: photographs and camera pictures stay in the browser.
    """
    import webbrowser

    from facemask.web.server import address, make_server

    with make_server(folder, port) as server:
        print(f"{address(server)}  (Ctrl-C ends it)", flush=True)
        if open_browser:
            webbrowser.open(address(server))
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def serve(
    model: ModelFolder = EXPORT,
    rev: Annotated[
        str | None, typer.Option(help="Use the exported model of this branch, tag or commit instead, from DVC.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every one.")] = serving.HOST,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")] = serving.PORT,
    api_key: Annotated[
        str,
        typer.Option(
            envvar="FACEMASK_API_KEY",
            help="Key that clients must send. Others can read it on the command line: better set the variable.",
            show_default="none",
        ),
    ] = "",
    revision: Annotated[
        str,
        typer.Option(
            envvar="FACEMASK_REVISION",
            help="Git revision of the model, to be named in answers.",
            show_default="of --rev",
        ),
    ] = "",
    page: Annotated[Path, typer.Option(help="Folder with the browser page, shown at / if it is there.")] = PAGE,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Images worked on at the same time.", show_default="number of cores")
    ] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="Maximum size of a request.")] = serving.MAX_BYTES,
    max_megapixels: Annotated[
        float, typer.Option(min=0.001, help="Maximum size of an image.")
    ] = serving.MAX_MEGAPIXELS,
    max_faces: Annotated[int, typer.Option(min=1, help="Maximum number of faces in an image.")] = serving.MAX_FACES,
    max_images: Annotated[int, typer.Option(min=1, help="Maximum number of images in a request.")] = serving.MAX_IMAGES,
    max_waiting: Annotated[
        int, typer.Option(min=0, help="Maximum number of requests that wait for others.")
    ] = serving.MAX_WAITING,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds in which a request must arrive, and in which it must be answered.")
    ] = serving.TIMEOUT,
    faces: Annotated[
        FaceMode, typer.Option(help="What to do with images of requests that do not say it.")
    ] = FaceMode.FIND,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="Margin added on each side of a found face, as a share of its size.")
    ] = MARGIN,
    min_face: Annotated[
        int, typer.Option(min=1, help="Minimum face size in pixels; smaller faces are reported as 'too small'.")
    ] = MIN_FACE,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Minimum score of the face detector.")] = MIN_SCORE,
    small_faces: Annotated[
        bool, typer.Option("--small-faces", help="Also find faces of half the size; at least twice as slow.")
    ] = False,
) -> None:
    """Answer over HTTP: images in, faces out.

    The documentation of the API is at /docs. Images are neither stored nor
    logged. A new model in the folder replaces the old one while the server
    runs.

    Exit codes: 1, there is no usable model, or the address cannot be used;
    2, invalid usage; 130, Ctrl-C; 143, SIGTERM, after the requests that had
    begun were answered.
    """
    try:
        from facemask.inference.predictor import available_cores
        from facemask.serve.server import serve as run_server
    except ModuleNotFoundError as error:
        raise FacemaskError(f"{error.name} is missing; run `pip install 'facemask-pipeline[serve]'`") from error

    folder = _exported_model(model, rev)
    options = Options(
        faces=faces.value,
        margin=margin,
        min_face=min_face,
        min_score=min_score,
        small_faces=small_faces,
        max_megapixels=max_megapixels,
        max_faces=max_faces,
    )
    stopped_by = run_server(
        serving.Settings(
            model=folder,
            options=options,
            limits=serving.Limits(max_bytes, max_images, max_waiting, timeout),
            threads=threads or available_cores(),
            host=host,
            port=port,
            api_key=api_key,
            revision=revision or (folder.name if rev else ""),  # the cache has a folder for each commit
            page=page,
        )
    )
    raise typer.Exit(128 + stopped_by)


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


def publish_model(
    repo: Annotated[str, typer.Argument(help="Model repository on the Hugging Face Hub, owner/name.")],
    model: ModelFolder = EXPORT,
    space: Annotated[
        str | None, typer.Option(help="Also publish the browser page, as this static Space, owner/name.")
    ] = None,
    page: Annotated[Path, typer.Option(help="Folder with the browser page, for --space.")] = PAGE,
    branch: Annotated[str, typer.Option(help="Branch of the model repository; a Space shows `main` only.")] = "main",
    message: Annotated[str, typer.Option(help="Message of the commit.")] = "Publish the model",
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the model, as the Hub names it.",
            show_default="apache-2.0; unknown if a data set states no licence",
        ),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Create private repositories.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print files, sizes and cards; contact nobody.")] = False,
) -> None:
    """Publish exported model and model card on the Hugging Face Hub.

    Sends the files of the export and the card, no data and no photographs.
    A second run sends only what changed.

    Needs a token with write access: HF_TOKEN, or `hf auth login`.
    """
    from facemask.core.params import load_params
    from facemask.publish import hub, model_card

    for name in filter(None, (repo, space)):
        hub.check_repo(name)
    run = model_card.read_run(Path(), model, load_params().data.sources)
    for name in model_card.unstated_licences(run):
        print(
            f"warning: {name} states no licence: ask its authors whether a model trained on it may be published",
            file=sys.stderr,
        )
    licence = licence or model_card.default_licence(run)
    card = model_card.hub_card(run, repo, licence)
    uploads = [hub.Upload(repo, "model", card, hub.export_files(model), branch)]
    if space:
        uploads.append(hub.Upload(space, "space", hub.space_card(space, repo, licence), hub.page_files(page, model)))
    for upload in uploads:
        print(hub.describe(upload) if dry_run else hub.push(upload, message, private))


def _remark(remarks: Sequence[str]) -> None:
    from facemask.inference.writers import printable

    print("".join(f"{printable(remark)}\n" for remark in remarks), end="", file=sys.stderr)


def _exported_model(folder: Path, rev: str | None) -> Path:
    """Return the folder of the export to use: `folder`, or that of the revision `rev` fetched from DVC."""
    if rev is None:
        return folder
    if folder != EXPORT:
        raise typer.BadParameter("--rev and --model both name a model: give one of them", param_hint="--rev")
    from facemask.review.released_model import fetch_model
    from facemask.review.revisions import Revision

    return fetch_model(Revision(Path(), rev))
