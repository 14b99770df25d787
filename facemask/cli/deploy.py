"""Commands that bring the model to others: page, serve, publish-model."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from facemask.cli.options import (
    EXPORT,
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
from facemask.serve import settings as serving


def page(
    folder: Annotated[Path, typer.Option(help="Folder with the page.")] = serving.PAGE,
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
    rev: Rev = None,
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
    page: Annotated[Path, typer.Option(help="Folder with the browser page, shown at / if it is there.")] = serving.PAGE,
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
    margin: Margin = MARGIN,
    min_face: MinFace = MIN_FACE,
    min_score: MinScore = MIN_SCORE,
    small_faces: SmallFaces = False,
) -> None:
    """Answer over HTTP: images in, faces out.

    The documentation of the API is at /docs. Images are neither stored nor
    logged. A new model in the folder replaces the old one while the server
    runs.

    Exit codes: 1, there is no usable model, or the address cannot be used;
    2, invalid usage; 130, Ctrl-C; 143, SIGTERM, after the requests that had
    begun were answered.
    """
    from facemask.inference.predictor import available_cores
    from facemask.serve.server import serve as run_server

    folder = exported_model(model, rev)
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


def publish_model(
    repo: Annotated[str, typer.Argument(help="Model repository on the Hugging Face Hub, owner/name.")],
    model: ModelFolder = EXPORT,
    space: Annotated[
        str | None, typer.Option(help="Also publish the browser page, as this static Space, owner/name.")
    ] = None,
    page: Annotated[Path, typer.Option(help="Folder with the browser page, for --space.")] = serving.PAGE,
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
