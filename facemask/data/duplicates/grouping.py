"""Grouping of images that show the same photograph."""

import errno
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet
from threadpoolctl import threadpool_limits

from facemask.core.errors import FacemaskError
from facemask.core.params import EngineKind, GroupParams
from facemask.core.progress import track
from facemask.core.tables import TableSchema, text_columns
from facemask.data.duplicates.keypoint_file import KeypointFile
from facemask.data.duplicates.local_features import Keypoints, find_keypoints, mirrored
from facemask.data.duplicates.retrieval import find_candidates
from facemask.data.duplicates.verification import align
from facemask.dataset.archive import Archive, Archives
from facemask.dataset.decode import decode
from facemask.dataset.manifest import PICTURE
from facemask.engine.mapping import map_ordered

LINKS = TableSchema(
    {**text_columns("first", "second"), "mirrored": "bool", "matches": "int64", "agreement": "float64"}, stage="group"
)

# Among fewer images a copy is higher up in the list.
_IMAGES_PER_CANDIDATE = 100
_FEWEST_CANDIDATES = 8
_BATCH = 1024
_WORKERS = 2  # more gain nothing: the work is of many small steps between which Python's lock is held

# Tried on photographs of faces: different people who look alike agree by 0.45 to 0.54, frames of one film by 0.6 at
# most; nine in ten heavy copies agree by more than 0.55 with another copy, two in three by more than 0.65.
_CERTAIN = 0.65
_LIKELY = 0.55
_DOUBTFUL = 0.45
_FEW = 2  # images

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def find_links(
    archive: Archive | Archives,
    table: pd.DataFrame,
    settings: GroupParams,
    scratch: Path,
    among: Collection[str] | None = None,
    engine: EngineKind = "local",
) -> pd.DataFrame:
    """Find pairs of images that show the same photograph.

    Files of equal bytes are looked at once, and are no pair here. Neither are faces cut out of one picture: where their
    crops overlap, they would look like copies, and they are different people. Pairs whose images already hang together
    by certain links are not looked at, so the links tell what the groups are, and are not all there are.

    Args:
        archive: holds the images.
        table: one row per image, with the columns `id` and `sha256`, and the picture of faces that were cut out.
        settings: the number of candidates, and the seed.
        scratch: a folder; on its disk are up to 40 KB for each image, as long as this runs, in files without names that
            are gone when it ends, however it ends.
        among: ids; only pairs with one of them at least are looked at. None looks at all pairs.
        engine: where local features are computed.

    Returns:
        The columns of `LINKS`: two ids; whether one is the mirror image; the number of keypoints that match; how
        well the two agree (see `facemask.data.duplicates.verification.Alignment`), 0.45 and more.

    Raises:
        FacemaskError: there is no room on the disk, or an image cannot be read.
    """
    distinct = table.sort_values("id").drop_duplicates("sha256")
    ids = distinct["id"].tolist()
    per_image = min(settings.candidates, max(len(ids) // _IMAGES_PER_CANDIDATE, _FEWEST_CANDIDATES))
    # Small matrices by the thousand: BLAS would spend its time on waking threads.
    with _on_disk(scratch), KeypointFile(scratch) as keypoints, threadpool_limits(limits=1, user_api="blas"):
        _read(archive, ids, keypoints, engine)
        candidates = find_candidates(keypoints, per_image, settings.seed, scratch)
        if among is not None:
            places = {place for place, name in enumerate(ids) if name in among}
            candidates = candidates[candidates["first"].isin(places) | candidates["second"].isin(places)]
        links = _verify(keypoints, _of_two_pictures(candidates, distinct))
    return pd.DataFrame(
        [(ids[first], ids[second], *rest) for first, second, *rest in links], columns=LINKS.columns
    ).sort_values(["first", "second", "mirrored"], ignore_index=True)


@contextmanager
def _on_disk(folder: Path) -> Iterator[None]:
    """Say what to do where there is no room for the local features."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise FacemaskError(
            f"no space left on the disk of {folder.resolve()} for the local features, up to 40 KB an image: free some, "
            "then run the command again"
        ) from error


def _of_two_pictures(candidates: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    if PICTURE not in images or candidates.empty:
        return candidates
    picture = pd.factorize(images[PICTURE].replace("", pd.NA))[0]  # -1 for none
    first, second = picture[candidates["first"]], picture[candidates["second"]]
    return candidates[(first != second) | (first < 0)]


def _read(archive: Archive | Archives, ids: Sequence[str], keypoints: KeypointFile, engine: EngineKind) -> None:
    def find(content: bytes) -> Keypoints:
        return find_keypoints(decode(content))

    files = (archive.read(name) for name in ids)
    found = map_ordered(engine, lambda: find, files, threads=os.cpu_count() or 1, weigh=len)
    for points in track(found, total=len(ids), desc="looking for local features"):
        keypoints.append(points)


def _verify(keypoints: KeypointFile, candidates: pd.DataFrame) -> list[tuple[int, int, bool, int, float]]:
    joined = DisjointSet(range(len(keypoints)))

    def look(pair: tuple[int, int, bool]) -> tuple[int, float]:
        first, second, as_mirrored = pair
        other = mirrored(keypoints[second]) if as_mirrored else keypoints[second]
        alignment = align(keypoints[first], other)
        return (alignment.matches, alignment.agreement) if alignment else (0, 0.0)

    links = []
    pairs = zip(candidates["first"], candidates["second"], candidates["mirrored"], strict=True)
    shown = iter(track(pairs, total=len(candidates), desc="comparing", unit="pairs"))
    with ThreadPoolExecutor(_WORKERS) as pool:
        while batch := list(islice(shown, _BATCH)):
            # A batch at a time, so that which pairs are passed over does not depend on how fast the threads are.
            open_pairs = [pair for pair in batch if not joined.connected(pair[0], pair[1])]
            for (first, second, as_mirrored), (matches, agreement) in zip(
                open_pairs, pool.map(look, open_pairs), strict=True
            ):
                if agreement >= _DOUBTFUL:
                    links.append((first, second, as_mirrored, matches, agreement))
                if agreement >= _CERTAIN:
                    joined.merge(first, second)
    return links


def connect(table: pd.DataFrame, links: pd.DataFrame) -> pd.Series:
    """Group linked images.

    A likely link joins an image, or two, to a group. It does not join two larger groups: heaps of copies of one
    photograph have many links between them, and a single one is a chance likeness, over which everything would melt
    into one. That takes a certain link, or two likely ones. Of doubtful links it takes two as well, and they only
    lead an image into a group that has shown itself to be one: two people who look alike are not joined by them.

    Args:
        table: one row per image, with the columns `id` and `sha256`.
        links: as `find_links` gives them.

    Returns:
        str, with the index of `table`: the name of the image's group, made of the smallest SHA-256 in it, so that it
        depends on the members of the group alone. Files of equal bytes are in one group.
    """
    numbers, contents = pd.factorize(table["sha256"], sort=True)
    of_id = pd.Series(numbers, table["id"])
    ends = np.sort(np.column_stack([of_id[links[end]].to_numpy(np.int64) for end in ("first", "second")]), axis=1)
    witnesses = pd.DataFrame({"first": ends[:, 0], "second": ends[:, 1], "agreement": links["agreement"].to_numpy()})
    witnesses = witnesses.sort_values(["agreement", "first", "second"], ascending=[False, True, True])
    # Two pictures, linked as they are and mirrored, are one witness.
    best_first = list(witnesses.drop_duplicates(["first", "second"]).itertuples(index=False, name=None))
    groups = DisjointSet(range(len(contents)))
    before = 0
    while groups.n_subsets != before:  # each group that grew may now be one to which others belong
        before = groups.n_subsets
        best_first = _join_linked(groups, best_first)
    every = np.arange(len(contents))
    roots = np.array([groups[number] for number in every], np.int64)
    smallest = every.copy()
    np.minimum.at(smallest, roots, every)
    names = pd.Series(contents[smallest[roots[numbers]]], table.index, "str", name="group")
    return "g" + names.str[:16]


def _join_linked(groups: DisjointSet, links: Sequence[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Go through the links once, best first, and join groups; return the links that join none."""
    evidence: defaultdict[tuple[int, int], float] = defaultdict(float)
    left = []
    for link in links:
        one, other, agreement = groups[link[0]], groups[link[1]], link[2]
        if one == other:
            continue
        pair = (min(one, other), max(one, other))
        evidence[pair] += _weight(agreement, *sorted((groups.subset_size(one), groups.subset_size(other))))
        if evidence[pair] >= 1:
            groups.merge(one, other)
        else:
            left.append(link)
    return left


def _weight(agreement: float, smaller: int, larger: int) -> float:
    """Weigh the evidence of one link for joining groups of `smaller` and `larger` images; 1 is enough."""
    if agreement >= _CERTAIN:
        return 1.0
    if agreement >= _LIKELY:
        return 1.0 if smaller <= _FEW else 0.5
    return 0.5 if smaller <= _FEW and larger > 1 else 0.0
