"""The command `facemask`."""

import json
import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facemask.core.errors import FacemaskError
from facemask.faces.defaults import MARGIN, MIN_FACE, MIN_SCORE
from facemask.inference.options import Options

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


class Findings(StrEnum):
    """How findings about new data are printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


class Faces(StrEnum):
    """What the pictures given to `predict` show."""

    FIND = "find"
    CROP = "crop"


EarlierModel = Annotated[
    str, typer.Argument(help="The earlier model: a branch, tag or commit of git, or a DVC experiment.")
]
LaterModel = Annotated[
    str | None, typer.Option("--with", help="The later model, likewise.", show_default="the work tree")
]
Printed = Annotated[Document, typer.Option("--format", help="How to print what was found.")]
Page = Annotated[Path | None, typer.Option(help="Also write a page with pictures to this file.")]


@app.command()
def predict(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders, 'patterns*.jpg' in quotes; - is stdin.")],
    model: Annotated[Path, typer.Option(help="Folder with an exported model.")] = Path("export"),
    rev: Annotated[
        str | None, typer.Option(help="Use the exported model of this branch, tag or commit instead, from DVC.")
    ] = None,
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
    from facemask.core.progress import track
    from facemask.inference import writers
    from facemask.inference.inputs import find_inputs, refuse_overwriting
    from facemask.inference.predictor import predict_files

    for path in output or []:
        if path.suffix.lower() not in writers.SUFFIXES:
            raise typer.BadParameter(f"{path} must end in {' or '.join(writers.SUFFIXES)}", param_hint="--output")
    files = find_inputs(inputs)
    refuse_overwriting(files, [*(output or []), *(pictures / file.mirrored for file in files if pictures)])
    options = Options(faces.value, margin, min_face, min_score, small_faces, pictures)
    if rev is not None:
        if model != Path("export"):
            raise typer.BadParameter("name either a revision or a folder (--model)", param_hint="--rev")
        from facemask.review.released_model import fetch_model
        from facemask.review.revisions import Revision

        model = fetch_model(Revision(Path(), rev))
    predictions = predict_files(model, files, options)
    # On a terminal the answers themselves show how far it is.
    shown = predictions if sys.stdout.isatty() else track(predictions, len(files), "predict", "files")
    with ExitStack() as stack:
        outputs = [stack.enter_context(writers.writing_to(path)) for path in output or []]
        outputs.append(writers.printing(layout.value, [file.name for file in files]))
        tally = writers.write_all(shown, outputs)
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
    from facemask.faces.detector import FaceDetector
    from facemask.inference.predictor import Classifier
    from facemask.inference.video.capture import SourceLost, VideoSource
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
    from facemask.inference import benchmark
    from facemask.inference.predictor import Classifier

    side = Classifier(model).image_size
    faces, unusable = benchmark.read_faces(images, side) if images else (benchmark.drawn_faces(side), 0)
    timings = benchmark.benchmark(model, benchmark.choose_formats(every), faces, rounds)
    processor = benchmark.processor()
    if unusable:
        print(f"{unusable} of {unusable + len(faces)} files could not be used", file=sys.stderr)
    if layout is Layout.JSON:
        figures = {"processor": processor, "side": side, "faces": len(faces), "timings": [vars(one) for one in timings]}
        print(json.dumps(figures, indent=2, ensure_ascii=False))
        return
    kind = "pictures" if images else "drawn faces"
    print(f"{processor}; {len(faces)} {kind} of {side} x {side} pixels\n")
    print(benchmark.table(timings), end="")


@app.command()
def summary() -> None:
    """Say where the model, the metrics and the report of the last run are, and the headline figures."""
    from facemask.summary import summarise_run

    print(summarise_run(Path()), end="")


@app.command()
def compare(
    rev: EarlierModel,
    other: LaterModel = None,
    output: Printed = Document.TEXT,
    html: Page = None,
) -> None:
    """Say whether one model is better than another, from their answers to the test images that both have.

    Ends with 0 whatever was found, and with 1 when the comparison could not be made.
    """
    from facemask.core.files import write_text
    from facemask.review import comparison_page
    from facemask.review.revisions import Revision

    compared = comparison_page.compare_revisions(Revision(Path(), rev), Revision(Path(), other))
    print({Document.TEXT: comparison_page.text, Document.MARKDOWN: comparison_page.markdown}[output](compared), end="")
    if html:
        write_text(html, comparison_page.html(compared, Path()))


@app.command()
def gate(
    rev: EarlierModel,
    other: LaterModel = None,
    if_comparable: Annotated[
        bool,
        typer.Option("--if-comparable", help="Pass if the earlier model has no answers, or none to the same images."),
    ] = False,
) -> None:
    """Fail if a figure fell by more than `gate` in params.yaml allows, and by more than chance explains.

    What is allowed is read from the earlier revision, so that a change can't open its own gate. Ends with 0 if the
    gate is open, and with 1 if it is closed or if the models can't be compared.
    """
    from facemask.review.gate import ask
    from facemask.review.revisions import Revision

    judgement = ask(Revision(Path(), rev), Revision(Path(), other), if_comparable)
    print(judgement.sentence)
    if not judgement.passed:
        raise typer.Exit(1)


@app.command()
def review(
    rev: Annotated[str, typer.Argument(help="What the change is to be merged into: a branch, tag or commit of git.")],
    other: Annotated[
        str | None, typer.Option("--with", help="The change, likewise.", show_default="the work tree")
    ] = None,
    output: Printed = Document.TEXT,
    html: Page = None,
) -> None:
    """Say what a change did: verdict, gate, settings, data, figures, curves.

    What can't be had, such as files of DVC in a fork without a remote, is said, and the rest is shown. Ends with 0
    whatever was found, and with 1 if git does not know a revision.
    """
    from facemask.core.files import write_text
    from facemask.review import review as reviewed
    from facemask.review.revisions import Revision

    found = reviewed.review_revisions(Revision(Path(), rev), Revision(Path(), other))
    print({Document.TEXT: reviewed.text, Document.MARKDOWN: reviewed.markdown}[output](found), end="")
    if html:
        write_text(html, reviewed.html(found, Path()))


@app.command()
def check_lock() -> None:
    """Say whether dvc.lock is what `dvc repro` would write; needs no data, cache or remote.

    Ends with 0 if it is, and with 1 if a stage would run again; the message says which, why, and what to do.
    """
    from facemask.review.lock_check import CURRENT, explain, stale_stages

    if stale := stale_stages(Path()):
        raise FacemaskError(explain(stale))
    print(CURRENT)


@app.command()
def new_data(
    what: Annotated[list[str], typer.Argument(help="Entries of `sources` in params.yaml, or one folder or zip.")],
    version: Annotated[
        int | None, typer.Option(help="Of a Kaggle set, instead of that in params.yaml.", show_default=False)
    ] = None,
    folders_of: Annotated[
        str | None,
        typer.Option(
            help="Entry of `sources` whose folder map holds for the folder or zip.",
            show_default="folders named as the classes",
        ),
    ] = None,
    layout: Annotated[Findings, typer.Option("--format", help="How to print what was found.")] = Findings.TEXT,
) -> None:
    """Say what new images would bring, before anyone trains.

    Finds copies of what is there, contradicting labels, junk, and drift
    against the training data. Nothing in the project is written.

    Ends with 0 whatever was found, and with 1 when it could not be checked.
    """
    from facemask.review import new_data_page
    from facemask.review.new_data import check_new_data

    found = check_new_data(what, version, folders_of)
    if layout is Findings.JSON:
        print(json.dumps(new_data_page.figures(found), indent=2, ensure_ascii=False))
    else:
        print({Findings.TEXT: new_data_page.text, Findings.MARKDOWN: new_data_page.markdown}[layout](found), end="")


@app.command()
def retrain(
    outcome: Annotated[Path | None, typer.Option(help="Write what came of it to this file, for `publish`.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Append the same to this file, as Markdown.")] = None,
) -> None:
    """Ask Kaggle for newer data, run the pipeline, and commit what changed on a branch of its own.

    If settings, lock and figures are as they were, there is nothing new. The
    checked out branch stays as it is. With a DVC remote, files are pulled from
    it and pushed to it.

    Ends with 0 whether there was news or not, and with 1 if a step failed.
    """
    from facemask.review.retrain import retrain as train_again

    result = train_again(Path(), outcome, summary)
    print(f"\n{result.title}\n\n{result.body}")
    if result.branch:
        print(f"\nThe branch {result.branch} has it.")
    if result.kind == "failed":
        raise typer.Exit(1)


@app.command()
def publish(outcome: Annotated[Path, typer.Argument(help="What `retrain --outcome` wrote.")]) -> None:
    """Tell GitHub what came of `retrain`: open a pull request, or an issue if it failed.

    Needs GITHUB_REPOSITORY (owner/name) and RETRAIN_TOKEN in the environment.
    What was told already is updated and not told twice.
    """
    from facemask.review.github import Place
    from facemask.review.github import publish as tell
    from facemask.review.retrain import read_outcome

    result = read_outcome(outcome)
    print(result.title if result.kind == "nothing" else tell(result, Path(), Place.from_environment()))


def main() -> None:
    """Run the command; what a person can mend is told in one line, without a traceback."""
    try:
        app()
    except FacemaskError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
