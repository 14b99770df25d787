"""Fetch one source into `data/raw/<source>.zip`, with a card that describes it."""

from pathlib import Path

from facemask.core.errors import FacemaskError
from facemask.core.stage_runner import run


def main(name: str) -> None:
    """Fetch the entry `name` of `sources`."""
    from facemask.core.files import write_json
    from facemask.core.params import FolderSource, load_params
    from facemask.data.sources import card, fetch
    from facemask.data.sources.folder import check_watched

    params = load_params()
    if name not in params.sources:
        raise FacemaskError(f"{name!r} is not an entry of `sources` in params.yaml: {', '.join(params.sources)}")
    source = params.sources[name]
    if isinstance(source, FolderSource):
        check_watched(name, source, params.data.own)
    left_out = fetch(source, Path(f"data/raw/{name}.zip"))
    write_json(Path(f"data/raw/{name}.json"), card(source, left_out))


if __name__ == "__main__":
    run(main)
