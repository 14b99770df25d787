"""Fetch one source into `data/raw/<source>.zip`, with a card that describes it."""

from pathlib import Path

from facemask.core.errors import FacemaskError
from facemask.core.stage_runner import run


def main(name: str) -> None:
    """Fetch the entry `name` of `sources`."""
    from facemask.core.files import write_json
    from facemask.core.params import load_params
    from facemask.data.sources import card, fetch

    sources = load_params().sources
    if name not in sources:
        raise FacemaskError(f"{name!r} is not an entry of `sources` in params.yaml: {', '.join(sources)}")
    fetch(sources[name], Path(f"data/raw/{name}.zip"))
    write_json(Path(f"data/raw/{name}.json"), card(sources[name]))


if __name__ == "__main__":
    run(main)
