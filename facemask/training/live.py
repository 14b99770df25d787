"""Live curves of a running training, written by DVCLive (https://dvc.org/doc/dvclive)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facemask.core.errors import FacemaskError
from facemask.training.history import HISTORY, History

OnEpoch = Callable[[History], None]


@contextmanager
def live_curves(enabled: bool, folder: Path) -> Iterator[OnEpoch]:
    """Yield a function that adds the new epochs of a history to the page `folder/report.html`.

    Args:
        enabled: if false, the function does nothing.
        folder: not a pipeline output; what an earlier training left in it is replaced.

    Raises:
        FacemaskError: DVCLive is not installed.
    """
    if not enabled:
        yield lambda _: None
        return
    with _live_class()(str(folder), report="html", save_dvc_exp=False, dvcyaml=None) as live:
        shown = 0

        def show(history: History) -> None:
            nonlocal shown
            for figures in history.rows[shown:]:  # several, when an interrupted training resumes
                for name, value in zip(HISTORY[1:], figures, strict=True):
                    live.log_metric(name, value)
                live.next_step()
            shown = history.epoch

        yield show


def _live_class() -> Any:
    try:
        from dvclive import Live
    except ModuleNotFoundError as error:
        raise FacemaskError(
            "train.live in params.yaml needs DVCLive, which is not installed: run "
            "pip install 'facemask-pipeline[live]', or set train.live to false"
        ) from error
    return Live
