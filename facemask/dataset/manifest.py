"""Tables of all images, sorted by id: `data/images.csv` and `data/manifest.csv`.

| column | meaning |
| --- | --- |
| `id` | name in `data/images.zip`: `<source>/<class>/<path in the source's archive>` |
| `source` | entry of `sources` in `params.yaml` |
| `label` | one of `facemask.core.classes.CLASSES` |
| `width`, `height` | pixels, upright |
| `sha256` | of the file's bytes, hex |
| `format` | of the file, by its content: `JPEG`, `PNG` ... |
| `brightness` ... | what `facemask.dataset.image_stats` measures |
| `group` | manifest only: equal for images that show the same photograph (see `facemask.data.duplicates.grouping`) |
| `copies` | manifest only: number of images in the group |
| `flags` | manifest only: space-separated flags of `data.duplicates.conflicts` and `data.quality`, or none |
| `picture` | only if a source has boxes: the picture that a face was cut out of, `<source>/<path>`; empty for others |
| `attr_<name>` | what a source says of its images, such as `attr_hair`; empty where unknown |
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facemask.core.classes import CLASSES
from facemask.core.tables import TableSchema, text_columns
from facemask.dataset.image_stats import MEASURES

PICTURE = "picture"
ATTRIBUTE_PREFIX = "attr_"
CATALOGUE = TableSchema(
    {
        **text_columns("id", "source", "label"),
        "width": "int64",
        "height": "int64",
        **text_columns("sha256", "format"),
        **dict.fromkeys(MEASURES, "float64"),
    },
    stage="merge",
    key="id",
    choices={"label": CLASSES},
    optional=(PICTURE,),
    extra_prefix=ATTRIBUTE_PREFIX,
)
MANIFEST = dataclasses.replace(
    CATALOGUE, types={**CATALOGUE.types, "group": "str", "copies": "int64", "flags": "str"}, stage="group"
)
LEFT_OUT = TableSchema(text_columns("source", "path", "reason"), stage="merge")


def has_flag(table: pd.DataFrame, *flags: str) -> pd.Series:
    """Check which images have at least one of the flags: bool, with the index of `table`."""
    wanted = set(flags)
    return table["flags"].map(lambda words: not wanted.isdisjoint(words.split())).astype(bool)


def clusters(table: pd.DataFrame) -> pd.Series:
    """Cluster the images that belong on one side of a split: of one photograph, or faces cut out of one picture.

    Faces of one picture are different people, so they count one by one; but they share light, place and camera.

    Args:
        table: columns `group`, and `PICTURE` if there are such faces; empty or missing where an image is none.

    Returns:
        str, with the index of `table`: the smallest name of a group in the cluster; without pictures, the group.
    """
    groups = table["group"]
    if PICTURE not in table:
        return groups.rename("cluster")
    # A graph of groups and pictures, joined by the faces; groups are numbered in the order of their names.
    group, names = pd.factorize(groups, sort=True)
    picture, pictures = pd.factorize(table[PICTURE].replace("", None))
    cut_out = picture >= 0
    nodes = len(names) + len(pictures)
    ends = (group[cut_out], len(names) + picture[cut_out])
    _, component = connected_components(coo_array((np.ones(len(ends[0]), bool), ends), (nodes, nodes)), directed=False)
    of_group = component[: len(names)]
    smallest = np.full(nodes, len(names))
    np.minimum.at(smallest, of_group, np.arange(len(names)))
    return pd.Series(names[smallest[of_group[group]]], index=table.index, dtype=groups.dtype, name="cluster")
