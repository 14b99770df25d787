"""Source `sample`: portraits drawn by this project, so that everything runs without an account.

`draw_sample` yields the files; `attribute_rows` tells what is on them without drawing anything.
"""

import csv
import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.signals import handle_signals
from facemask.data.sources.sample.plan import Plan, plan_portrait
from facemask.data.sources.sample.planted import Planted, make_planted, plan_planted
from facemask.data.sources.sample.portraits import draw_portrait

ATTRIBUTES = (
    "path",
    "skin_tone",
    "age",
    "beard",
    "glasses",
    "head_covering",
    "hair",
    "pose",
    "hand",
    "scarf",
    "background",
    "light",
    "sharpness",
    "mask_type",
    "wear",
    "planted",
    "planted_of",
)
# Below this many files, starting processes takes longer than drawing.
_WORTH_A_POOL = 60
_CHUNK = 12


def draw_sample(per_class: int, seed: int, workers: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield (member name, file bytes): portraits in one folder per class, planted files, then `attributes.csv`.

    Args:
        per_class: portraits per class, at least 1; planted files come on top.
        seed: the same (per_class, seed) gives the same bytes, whatever `workers` is. The portraits of a smaller
            `per_class` are the first of a larger one.
        workers: processes; all cores if None.

    More than one worker needs the main thread, and the usual `if __name__ == "__main__"` guard in a script that calls
    this.

    Raises:
        FacemaskError: at the first file, if `per_class`, `seed` or `workers` is out of range.
    """
    if per_class < 1 or seed < 0 or (workers is not None and workers < 1):
        raise FacemaskError(
            f"the sample needs per_class >= 1, seed >= 0 and workers >= 1, not per_class={per_class}, seed={seed}, "
            f"workers={workers}: change them in params.yaml"
        )
    items = _items(per_class, seed)
    names = [_name(item) for item in items]
    workers = workers or os.cpu_count() or 1
    if workers == 1 or len(items) < _WORTH_A_POOL:
        for name, item in zip(names, items, strict=True):
            yield name, _make(item, seed)
    else:
        # Spawned, because a process forked after OpenCV has started its threads can wait for them for ever.
        # One OpenCV thread in each: the processes already fill the cores.
        with ProcessPoolExecutor(workers, get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
            # The workers, which start here, inherit this: on Ctrl-C only this process ends the work.
            with handle_signals(signal.SIG_IGN, signal.SIGINT):
                drawn = pool.map(_make, items, [seed] * len(items), chunksize=_CHUNK)
            yield from zip(names, drawn, strict=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ATTRIBUTES, lineterminator="\n")
    writer.writeheader()
    writer.writerows(attribute_rows(per_class, seed))
    yield "attributes.csv", text.getvalue().encode()


def attribute_rows(per_class: int, seed: int) -> list[dict[str, str]]:
    """Return the rows of `attributes.csv`, keyed by `ATTRIBUTES`, without drawing."""
    return [_row(item) for item in _items(per_class, seed)]


def _items(per_class: int, seed: int) -> list[Plan | Planted]:
    portraits = [plan_portrait(label, i, seed) for label in CLASSES for i in range(per_class)]
    return [*portraits, *plan_planted(per_class, seed)]


def _make(item: Plan | Planted, seed: int) -> bytes:
    return draw_portrait(item, seed) if isinstance(item, Plan) else make_planted(item, seed)


def _name(item: Plan | Planted) -> str:
    extension = item.format if isinstance(item, Plan) else item.extension
    return f"{item.label}/{item.index:04d}.{extension}"


def _row(item: Plan | Planted) -> dict[str, str]:
    shown = item if isinstance(item, Plan) else item.source
    same = ("age", "beard", "glasses", "head_covering", "pose", "background", "light", "sharpness", "mask_type", "wear")
    return {
        "path": _name(item),
        "skin_tone": str(shown.skin_tone),
        "hair": "covered" if shown.head_covering in ("hijab", "turban") else shown.hair,
        "hand": "yes" if shown.hand else "no",
        "scarf": "yes" if shown.scarf else "no",
        "planted": "" if isinstance(item, Plan) else item.kind,
        "planted_of": "" if isinstance(item, Plan) or item.kind in ("text", "empty") else _name(item.source),
        **{key: getattr(shown, key) for key in same},
    }
