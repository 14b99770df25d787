"""Data diff of two revisions: images matched by content and by name.

An image is looked for four times, each time among those that are left: under the same name with the same content; with
the same content and label under another name (renamed); with the same content and another label (relabelled); under
the same name with other content (replaced). What is left then came or went. Of files with equal bytes, the first of one
revision in the order of names is matched with the first of the other, and so on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from facemask.core.classes import TITLES
from facemask.dataset.split import DROPPED, PARTS
from facemask.presentation.table import PART_TITLES, Kind, Table, count
from facemask.review.comparison import read_csv
from facemask.review.revisions import Revision

COLUMNS = ("id", "sha256", "source", "label", "part", "reason", "group")

_KEYS = (("id", "sha256"), ("sha256", "label"), ("sha256",), ("id",))
_UNKNOWN = "not said"


@dataclass(frozen=True)
class DataChanges:
    """The data of two revisions, brought together.

    All tables are sorted by id and have the text columns `COLUMNS`, "" where a revision does not say: `sha256` is of
    the file, `part` is one of `PARTS` or `DROPPED`, `reason` says why an image was dropped, `group` is the photograph.
    Tables of images that both revisions have are those of the later one, with `was_` before the name of each column for
    what the earlier one says, such as `was_label`.

    Attributes:
        before, after: every image of each revision.
        came, went: images that only the later, or only the earlier revision has.
        kept: images that both have; those that changed in some way are among them.
        contents_known: whether both revisions say what is in their files; if not, images are matched by name alone, so
            a renamed one came and went, and a replaced one is not noticed.
    """

    before: pd.DataFrame
    after: pd.DataFrame
    came: pd.DataFrame
    went: pd.DataFrame
    kept: pd.DataFrame
    contents_known: bool

    @property
    def replaced(self) -> pd.DataFrame:
        """Rows of `kept` with other content under the same name; they are in no other table."""
        return _differing(self.kept, "sha256")

    @property
    def relabelled(self) -> pd.DataFrame:
        """Rows of `kept` with the same content and another label."""
        return _differing(self._same, "label")

    @property
    def renamed(self) -> pd.DataFrame:
        """Rows of `kept` with the same content and label under another name."""
        renamed = _differing(self._same, "id")
        return renamed[~renamed["id"].isin(self.relabelled["id"])]

    @property
    def moved(self) -> pd.DataFrame:
        """Rows of `kept` that are in another part, or dropped for another reason."""
        elsewhere = _differing(self._same, "part")
        otherwise = _differing(self._same, "reason")  # of images in use there is none
        return self._same[self._same["id"].isin({*elsewhere["id"], *otherwise["id"]})]

    @property
    def tested_after_training(self) -> pd.DataFrame:
        """Rows of `moved` that the earlier model was trained on and that are in test now."""
        return self._same[(self._same["was_part"] == "train") & (self._same["part"] == "test")]

    @property
    def regrouped(self) -> pd.DataFrame:
        """Rows of `kept` that are copies of other images of `kept` than before; new copies don't count."""
        pairs = self._same[(self._same["group"] != "") & (self._same["was_group"] != "")]
        joined = pairs.groupby("group")["was_group"].transform("nunique") > 1
        parted = pairs.groupby("was_group")["group"].transform("nunique") > 1
        return pairs[joined | parted]

    @property
    def empty(self) -> bool:
        """Whether the data are the same: images, names, labels, parts and photographs."""
        changed = (self.came, self.went, self.relabelled, self.renamed, self.replaced, self.moved, self.regrouped)
        return all(table.empty for table in changed)

    @property
    def _same(self) -> pd.DataFrame:
        return self.kept.drop(index=self.replaced.index)


def compare_data(before: Revision, after: Revision) -> DataChanges:
    """Find out what came and went in `data/manifest.csv` and `data/split.csv`.

    Tables of older revisions may lack columns; what is not said can't have changed.

    Raises:
        MissingFileError: a revision does not have one of the tables, or its content is nowhere to be had.
        FacemaskError: a table is torn, or does not name its images.
    """
    return match(_read(before), _read(after))


def match(before: pd.DataFrame, after: pd.DataFrame) -> DataChanges:
    """Bring the images of two revisions together.

    Args:
        before: columns `COLUMNS`, text, "" where not known; each id once.
        after: likewise.
    """
    old, new = (table.sort_values("id", ignore_index=True) for table in (before, after))
    pairs = _matched(old, new)
    theirs = old.loc[pairs["old"]].add_prefix("was_").reset_index(drop=True)
    kept = pd.concat([new.loc[pairs["new"]].reset_index(drop=True), theirs], axis=1)
    return DataChanges(
        before=old,
        after=new,
        came=new.drop(index=pairs["new"]).reset_index(drop=True),
        went=old.drop(index=pairs["old"]).reset_index(drop=True),
        kept=kept.sort_values("id", ignore_index=True),
        contents_known=bool((old["sha256"] != "").all() and (new["sha256"] != "").all()),
    )


def sentence(changes: DataChanges) -> str:
    """Sum up what changed in one line, such as "412 images came (of 300 photographs, all of them new), 3 went"."""
    if changes.empty:
        return "the data is the same"
    known = set(changes.kept["group"])
    new = {group for group in changes.came["group"] if group not in known}
    told = [
        (changes.came, "came" + _of_photographs(changes.came, f", {_some(len(new), changes.came)} new")),
        (changes.went, "went" + _of_photographs(changes.went)),
        (changes.relabelled, "got another label"),
        (changes.replaced, "got other content under the same name"),
        (changes.renamed, "got another name"),
        (changes.moved, f"moved between parts{_warning(changes)}"),
        (changes.regrouped, "now count as copies of other photographs"),
    ]
    first, *others = [(len(table), words) for table, words in told if len(table)]
    return ", ".join([f"{count(first[0], 'image')} {first[1]}", *(f"{count(size)} {words}" for size, words in others)])


def tables(changes: DataChanges) -> dict[str, Table]:
    """Count what changed, in images and photographs, by title; a table with nothing in it is left out."""
    found = {
        "Images by source and class": _by_source_and_class(changes),
        "Images by part": _by_part(changes),
        "Other label": _pairs_counted(changes.relabelled, "label", TITLES),
        "Other content under the same name": _replaced(changes.replaced),
        "Moved between parts": _moved(changes),
        "Newly left out": _left_out(changes),
    }
    return {title: table for title, table in found.items() if table.rows}


def _read(revision: Revision) -> pd.DataFrame:
    """Read what a revision says of each image: columns `COLUMNS`, "" where it does not say."""
    manifest = read_csv(revision, "data/manifest.csv", ("id",)).drop_duplicates("id")
    split = read_csv(revision, "data/split.csv", ("id",)).drop_duplicates("id")
    table = manifest.merge(split, on="id", how="left", suffixes=("", "_of_split"))
    for column in COLUMNS:
        if column not in table:
            table[column] = ""
    return table[list(COLUMNS)].fillna("")


def _matched(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Match the images of two revisions: columns `old` and `new`, index labels of the tables, each once at most."""
    found = [pd.DataFrame({"old": [], "new": []}, dtype="int64")]
    for key in map(list, _KEYS):
        sides = []
        for table, taken in ((old, "old"), (new, "new")):
            left = table.drop(index=pd.concat(found)[taken])
            left = left[(left[key] != "").all(axis=1)]
            sides.append(left.assign(nth=left.groupby(key).cumcount(), place=left.index)[[*key, "nth", "place"]])
        pairs = sides[0].merge(sides[1], on=[*key, "nth"], suffixes=("_old", "_new"))
        found.append(pairs[["place_old", "place_new"]].set_axis(["old", "new"], axis=1))
    return pd.concat(found, ignore_index=True)


def _by_source_and_class(changes: DataChanges) -> Table:
    """Count images before and after; what is neither come nor gone changed its source or label."""
    places = sorted(
        {
            place
            for table in (changes.before, changes.after)
            for place in zip(table["source"], table["label"], strict=True)
        }
    )
    rows = [
        _source_row(
            changes, source or _UNKNOWN, TITLES.get(label, label or _UNKNOWN), {"source": source, "label": label}
        )
        for source, label in places
    ]
    if len(rows) > 1:
        rows.append(_source_row(changes, "All", "", {}))
    titles = ("Before", "Came", "Of photographs", "Went", "Other label or source", "After")
    kinds: tuple[tuple[str, Kind], ...] = (("Source", "name"), ("Class", "text"))
    return Table((*kinds, *((title, "number") for title in titles)), rows)


def _source_row(changes: DataChanges, source: str, label: str, place: dict[str, str]) -> tuple[str, ...]:
    before, came, went, after = (_where(t, place) for t in (changes.before, changes.came, changes.went, changes.after))
    other = len(after) - len(before) - len(came) + len(went)
    return (
        source,
        label,
        count(len(before)),
        count(len(came)),
        _photographs(came),
        count(len(went)),
        f"{other:+,}" if other else "0",
        count(len(after)),
    )


def _by_part(changes: DataChanges) -> Table:
    rows = []
    for part in (*PARTS, DROPPED):
        before, came, went, after = (
            _where(t, {"part": part}) for t in (changes.before, changes.came, changes.went, changes.after)
        )
        if len(before) or len(after):
            row = (count(len(before)), count(len(came)), count(len(went)), count(len(after)), _photographs(after))
            rows.append((PART_TITLES[part].capitalize(), *row))
    titles = ("Before", "Came", "Went", "After", "Photographs after")
    return Table((("Part", "text"), *((title, "number") for title in titles)), rows)


def _pairs_counted(table: pd.DataFrame, column: str, titles: dict[str, str]) -> Table:
    """Count images by what a column was and is."""
    rows = [
        (*(titles.get(value, value or _UNKNOWN) for value in values), count(len(images)), _photographs(images))
        for values, images in table.groupby([f"was_{column}", column])
    ]
    kinds: tuple[tuple[str, Kind], ...] = (("Was", "text"), ("Is", "text"), ("Images", "number"))
    return Table((*kinds, ("Photographs", "number")), rows)


def _moved(changes: DataChanges) -> Table:
    """Count images by the part in which they were and are, and why they moved."""
    moved = changes.moved.assign(why=reasons_of_moves(changes))
    rows = [
        (*(PART_TITLES.get(part, part or _UNKNOWN) for part in parts), why, count(len(images)), _photographs(images))
        for (*parts, why), images in moved.groupby(["was_part", "part", "why"])
    ]
    kinds: tuple[tuple[str, Kind], ...] = (("Was", "text"), ("Is", "text"), ("Why", "text"))
    return Table((*kinds, ("Images", "number"), ("Photographs", "number")), rows)


def reasons_of_moves(changes: DataChanges) -> list[str]:
    """Say for each row of `changes.moved` why it is in another part; `facemask.data.split` has the rule."""
    relabelled, regrouped = set(changes.relabelled["id"]), set(changes.regrouped["id"])
    lost, gained = set(changes.went["group"]) - {""}, set(changes.came["group"]) - {""}

    def why(row: dict[str, str]) -> str:
        if row["part"] == DROPPED:
            return row["reason"] or _UNKNOWN
        if row["was_part"] == DROPPED:
            return "no longer left out"
        if row["id"] in relabelled:
            return "it has another label"
        if row["id"] in regrouped:
            return "it counts as a copy of another photograph"
        if row["was_group"] in lost:
            return "copies of it went"
        if row["group"] in gained:
            return "copies of it came"
        return "number of photographs, or settings of the split"

    return [why(row) for row in changes.moved.to_dict("records")]


def _replaced(table: pd.DataFrame) -> Table:
    rows = [
        (source or _UNKNOWN, TITLES.get(label, label or _UNKNOWN), count(len(images)))
        for (source, label), images in table.groupby(["source", "label"])
    ]
    return Table((("Source", "name"), ("Class", "text"), ("Images", "number")), rows)


def _left_out(changes: DataChanges) -> Table:
    """Count the images that are dropped now and were not before, by reason."""
    came = changes.came[changes.came["part"] == DROPPED]
    fell = changes.moved[(changes.moved["part"] == DROPPED) & (changes.moved["was_part"] != DROPPED)]
    rows = [
        (reason or _UNKNOWN, count(int((came["reason"] == reason).sum())), count(int((fell["reason"] == reason).sum())))
        for reason in sorted({*came["reason"], *fell["reason"]})
    ]
    return Table((("Reason", "text"), ("Of those that came", "number"), ("Of those that were in use", "number")), rows)


def _differing(kept: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows for which the revisions say two things; one that says nothing contradicts nothing."""
    now, was = kept[column], kept[f"was_{column}"]
    return kept[(now != was) & (now != "") & (was != "")]


def _where(table: pd.DataFrame, place: dict[str, str]) -> pd.DataFrame:
    for column, value in place.items():
        table = table[table[column] == value]
    return table


def _photographs(table: pd.DataFrame) -> str:
    """Count photographs; "" where a revision does not say which images are copies of each other."""
    return count(table["group"].nunique()) if (table["group"] != "").all() else ""


def _of_photographs(table: pd.DataFrame, more: str = "") -> str:
    number = table["group"].nunique()
    return f" (of {count(number, 'photograph')}{more})" if (table["group"] != "").all() else ""


def _some(number: int, table: pd.DataFrame) -> str:
    everything = number == table["group"].nunique()
    return "all of them" if everything and number > 1 else "none of them" if not number else f"{count(number)} of them"


def _warning(changes: DataChanges) -> str:
    """Return what matters for comparing the figures of the two revisions."""
    leaked = changes.tested_after_training
    number: Sequence[str] = leaked["group"].unique()
    if leaked.empty:
        return ""
    return f" ({count(len(leaked))} from training to test, of {count(len(number), 'photograph')})"
