"""The command `facemask`."""

import json
import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facemask.errors import FacemaskError
from facemask.options import MARGIN, MIN_FACE, MIN_SCORE, Options

app = typer.Typer(
    help="Tell a face mask worn right from one worn wrong and from none.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Format(StrEnum):
    """How answers are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Layout(StrEnum):
    """How measured times are printed."""

    TABLE = "table"
    JSON = "json"


class Document(StrEnum):
    """How a comparison is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"


class Faces(StrEnum):
    """What the pictures given to `predict` show."""

    FIND = "find"
    CROP = "crop"


@app.command()
def predict(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders, 'patterns*.jpg' in quotes; - is stdin.")],
    model: Annotated[Path, typer.Option(help="Folder with an exported model.")] = Path("export"),
    faces: Annotated[Faces, typer.Option(help="Find faces in photos, or take pictures of one face each.")] = Faces.FIND,
    layout: Annotated[Format, typer.Option("--format", help="How to print the answers.")] = Format.TABLE,
    output: Annotated[
        list[Path] | None, typer.Option(help="Also write the answers to this file, .json or .csv; may be repeated.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for copies with the faces marked.")] = None,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="Around a found face, on each side, as a share of it.")
    ] = MARGIN,
    min_face: Annotated[
        int, typer.Option(min=1, help="Pixels; smaller faces are 'too small' to answer for.")
    ] = MIN_FACE,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Of the face detector.")] = MIN_SCORE,
    small_faces: Annotated[
        bool, typer.Option("--small-faces", help="Find faces of half the size too; takes twice as long or more.")
    ] = False,
) -> None:
    """Find the faces in photos, and say how each wears a mask.

    Ends with 0 when all files were answered, a photo without a face included;
    1 when some could not be used (the others are answered all the same) or
    there is no model; 2 when the command was mistyped.
    """
    from facemask import answers
    from facemask.inputs import find_inputs, refuse_overwriting
    from facemask.predict import predict_files
    from facemask.progress import track

    for path in output or []:
        if path.suffix.lower() not in answers.SUFFIXES:
            raise typer.BadParameter(f"{path} must end in {' or '.join(answers.SUFFIXES)}", param_hint="--output")
    files = find_inputs(inputs)
    refuse_overwriting(files, [*(output or []), *(pictures / file.mirrored for file in files if pictures)])
    options = Options(faces.value, margin, min_face, min_score, small_faces, pictures)
    predictions = predict_files(model, files, options)
    # On a terminal the answers themselves show how far it is.
    shown = predictions if sys.stdout.isatty() else track(predictions, len(files), "predict", "files")
    with ExitStack() as stack:
        writers = [stack.enter_context(answers.writing_to(path)) for path in output or []]
        writers.append(answers.printing(layout.value, [file.name for file in files]))
        tally = answers.write_all(shown, writers)
    print("".join(f"{remark}\n" for remark in tally.remarks()), end="", file=sys.stderr)
    if tally.unusable:
        raise typer.Exit(1)


@app.command()
def watch(
    source: Annotated[str, typer.Argument(help="Video file, number of a camera (0), or address (rtsp://, http://).")],
    model: Annotated[Path, typer.Option(help="Folder with an exported model.")] = Path("export"),
    output: Annotated[Path | None, typer.Option(help="Video to write, .mp4 or .webm, with the faces marked.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the video in a window; q ends it.")] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="Print the counts as JSON, a line each.")] = False,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds from one count to the next.")] = 1.0,
    every: Annotated[int, typer.Option(min=1, help="Look at every n-th picture only.")] = 1,
) -> None:
    """Follow the faces of a video, and count who wears a mask.

    Prints, by answer, how many faces are in view and how many people were seen.

    Nothing is stored or sent: pictures are in memory while they are looked
    at, and only --output writes a file.

    Ends with 0 when the video ends or the window is closed, 1 on an error,
    3 when the source stops too early, 130 on Ctrl-C and 143 on SIGTERM. In
    all cases but 1 the last counts are printed and the video is kept.
    """
    from facemask.faces import FaceDetector
    from facemask.predict import Classifier
    from facemask.video import SourceLost, VideoSource
    from facemask.watch import Watcher, describe, stop_on_signal, watch_video

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


@app.command()
def benchmark(
    model: Annotated[Path, typer.Option(help="Folder with an exported model.")] = Path("export"),
    images: Annotated[
        list[str] | None,
        typer.Option(help="Face crop, or folder with face crops; may be repeated.", show_default="drawn faces"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also run Keras and the SavedModel, with TensorFlow.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each format; more are surer.")] = 10,
    layout: Annotated[Layout, typer.Option("--format", help="How to print the figures.")] = Layout.TABLE,
) -> None:
    """Time the exported formats on this machine, side by side.

    Milliseconds are those of one face. `cpu ms` is how long the processor was
    busy with it, all threads together: the figure to go by where other
    programs run. `same answer` compares with the format tflite.
    """
    from facemask import latency
    from facemask.predict import Classifier

    side = Classifier(model).image_size
    faces, unusable = latency.read_faces(images, side) if images else (latency.drawn_faces(side), 0)
    timings = latency.benchmark(model, latency.choose_formats(every), faces, rounds)
    processor = latency.processor()
    if unusable:
        print(f"{unusable} of {unusable + len(faces)} files could not be used", file=sys.stderr)
    if layout is Layout.JSON:
        figures = {"processor": processor, "side": side, "faces": len(faces), "timings": [vars(one) for one in timings]}
        print(json.dumps(figures, indent=2, ensure_ascii=False))
        return
    kind = "pictures" if images else "drawn faces"
    print(f"{processor}; {len(faces)} {kind} of {side} x {side} pixels\n")
    print(latency.table(timings), end="")


@app.command()
def summary() -> None:
    """Say where the model, the metrics and the report of the last run are, and the headline figures."""
    from facemask.summary import summarise_run

    print(summarise_run(Path()), end="")


@app.command()
def compare(
    rev: Annotated[str, typer.Argument(help="The earlier model: a branch, tag or commit of git, or a DVC experiment.")],
    other: Annotated[
        str | None, typer.Option("--with", help="The later model, likewise.", show_default="the work tree")
    ] = None,
    output: Annotated[Document, typer.Option("--format", help="How to print what was found.")] = Document.TEXT,
    html: Annotated[Path | None, typer.Option(help="Also write a page with pictures to this file.")] = None,
) -> None:
    """Say whether one model is better than another, from their answers to the test images that both have.

    Ends with 0 whatever was found, and with 1 when the comparison could not be made.
    """
    from facemask import compare_page
    from facemask.outs import write_text
    from facemask.revisions import Revision

    compared = compare_page.compare_revisions(Revision(Path(), rev), Revision(Path(), other))
    print({Document.TEXT: compare_page.text, Document.MARKDOWN: compare_page.markdown}[output](compared), end="")
    if html:
        write_text(html, compare_page.html(compared, Path()))


def main() -> None:
    """Run the command; what a person can mend is told in one line, without a traceback."""
    try:
        app()
    except FacemaskError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
