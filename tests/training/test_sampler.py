"""The sampler balances classes, sources and photographs, and any epoch can be repeated by itself."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from facemask.core.classes import CLASSES
from facemask.core.params import TrainParams
from facemask.dataset.synthetic import SOURCE as SYNTHETIC
from facemask.training.sampler import sample_epoch, samples_per_epoch


def images(photographs: dict[str, list[int]], source: str = "s") -> pd.DataFrame:
    """List the images of data in which each class has photographs with so many copies."""
    rows = [
        (label, source, f"{source} {label} {number}")
        for label, copies in photographs.items()
        for number, count in enumerate(copies)
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["label", "source", "group"])


def settings(**changes: Any) -> TrainParams:
    return TrainParams.model_validate({"batch_size": 1, **changes})


def epochs(table: pd.DataFrame, count: int, **changes: Any) -> list[NDArray[np.int64]]:
    """Draw epochs, of as many draws as there are images if nothing else is said."""
    asked = settings(**{"draws": len(table), **changes})
    return [sample_epoch(table, asked, epoch) for epoch in range(count)]


INFLATED = {"mask_weared_incorrect": [48] * 65, "with_mask": [1] * 3000, "without_mask": [1] * 2500 + [2] * 100}


@pytest.mark.parametrize("class_balance", [True, False])
def test_an_epoch_has_as_many_draws_as_asked_for(class_balance: bool) -> None:
    assert len(epochs(images(INFLATED), 1, class_balance=class_balance, draws=5000)[0]) == 5000


@pytest.mark.parametrize(
    ("count", "draws", "batch_size", "expected"),
    [(1000, 6000, 32, 1984), (9000, 6000, 32, 5984), (9000, 6000, 8, 6000), (31, 6000, 32, 32), (5, 1, 4, 4)],
)
def test_an_epoch_draws_whole_batches_no_more_than_asked_for_and_an_image_twice_at_most(
    count: int, draws: int, batch_size: int, expected: int
) -> None:
    asked = settings(draws=draws, batch_size=batch_size)
    assert samples_per_epoch(count, asked) == expected
    assert len(sample_epoch(images({"with_mask": [1] * count}), asked, 0)) == expected


def test_each_class_gets_an_equal_share_of_an_epoch_however_many_images_it_has() -> None:
    table = images({"mask_weared_incorrect": [1] * 20, "with_mask": [1] * 200, "without_mask": [1] * 83})
    drawn = table.iloc[epochs(table, 1)[0]]
    assert dict(drawn["label"].value_counts()) == dict.fromkeys(CLASSES, 101)


TWO_SOURCES = [
    images({"mask_weared_incorrect": [1] * 40, "with_mask": [1] * 100, "without_mask": [1] * 60}, "one"),
    images({"mask_weared_incorrect": [1] * 300, "with_mask": [1] * 100}, "other"),
]


def test_each_source_of_a_class_gets_an_equal_share_of_it() -> None:
    table = pd.concat(TWO_SOURCES, ignore_index=True)
    for drawn in epochs(table, 2, source_balance=True):
        assert dict(table.iloc[drawn][["label", "source"]].value_counts()) == {
            ("mask_weared_incorrect", "one"): 100,
            ("mask_weared_incorrect", "other"): 100,
            ("with_mask", "one"): 100,
            ("with_mask", "other"): 100,
            ("without_mask", "one"): 200,
        }


def test_without_source_balance_a_source_counts_by_its_photographs() -> None:
    table = pd.concat(TWO_SOURCES, ignore_index=True)
    drawn = table.iloc[epochs(table, 1, source_balance=False, draws=510)[0]]
    assert dict(drawn[["label", "source"]].value_counts()) == {
        ("mask_weared_incorrect", "one"): 20,
        ("mask_weared_incorrect", "other"): 150,
        ("with_mask", "one"): 85,
        ("with_mask", "other"): 85,
        ("without_mask", "one"): 170,
    }


def test_drawn_masks_get_their_part_of_what_a_source_of_photographs_gets() -> None:
    table = pd.concat([*TWO_SOURCES, images({"with_mask": [1] * 50}, SYNTHETIC)], ignore_index=True)
    drawn = table.iloc[epochs(table, 1, draws=900, drawn_masks=0.5)[0]]
    of_class = drawn.loc[drawn["label"] == "with_mask", "source"].value_counts()
    assert dict(of_class) == {"one": 120, "other": 120, SYNTHETIC: 60}
    drawn = table.iloc[epochs(table, 1, draws=650, drawn_masks=2.0, source_balance=False, class_balance=False)[0]]
    of_class = drawn.loc[drawn["label"] == "with_mask", "source"].value_counts()
    assert of_class.max() - of_class.min() <= 1  # 100, 100, and 50 that count twice


def test_without_any_balance_every_photograph_comes_once() -> None:
    table = pd.concat(TWO_SOURCES, ignore_index=True)
    (drawn,) = epochs(table, 1, source_balance=False, class_balance=False)
    assert sorted(drawn) == list(range(600))


def test_sources_share_a_class_equally_also_where_classes_do_not_share_an_epoch_equally() -> None:
    table = pd.concat(TWO_SOURCES, ignore_index=True)
    drawn = table.iloc[epochs(table, 1, source_balance=True, class_balance=False)[0]]
    assert dict(drawn[["label", "source"]].value_counts()) == {
        ("mask_weared_incorrect", "one"): 170,
        ("mask_weared_incorrect", "other"): 170,
        ("with_mask", "one"): 100,
        ("with_mask", "other"): 100,
        ("without_mask", "one"): 60,
    }


def test_without_class_balance_48_copies_count_as_one_photograph_of_its_class() -> None:
    table = images({"mask_weared_incorrect": [48] * 10, "with_mask": [1] * 200, "without_mask": [8] * 40})
    drawn = table.iloc[epochs(table, 1, class_balance=False)[0]]
    assert dict(drawn["label"].value_counts()) == {  # 1,000 draws for 250 photographs
        "mask_weared_incorrect": 40,
        "with_mask": 800,
        "without_mask": 160,
    }


def test_a_photograph_with_48_copies_is_drawn_as_often_as_one_with_a_single_copy() -> None:
    table = images({"mask_weared_incorrect": [48, 1, 1, 10], "with_mask": [3] * 20, "without_mask": [60]})
    drawn = table.iloc[epochs(table, 1)[0]]
    assert dict(drawn.loc[drawn["label"] == "mask_weared_incorrect", "group"].value_counts()) == {
        f"s mask_weared_incorrect {number}": 15 for number in range(4)
    }
    assert set(drawn.loc[drawn["label"] == "with_mask", "group"].value_counts()) == {3}


def test_where_images_are_sampled_each_file_counts() -> None:
    table = images({"mask_weared_incorrect": [48, 1, 1, 10], "with_mask": [3] * 20, "without_mask": [60]})
    for drawn in epochs(table, 3, sampling="image"):
        assert sorted(drawn) == list(range(180))


def test_all_copies_of_a_photograph_are_seen_before_one_is_seen_again() -> None:
    table = images({"mask_weared_incorrect": [48, 5, 1], "with_mask": [1] * 70, "without_mask": [1] * 70})
    seen: dict[str, list[int]] = {}
    drawn = np.concatenate(epochs(table, 3))
    for image, photograph in zip(drawn, table["group"].iloc[drawn], strict=True):
        seen.setdefault(photograph, []).append(image)
    for photograph, draws in seen.items():
        times = pd.Series(draws).value_counts().reindex(table.index[table["group"] == photograph], fill_value=0)
        assert times.max() - times.min() <= 1, photograph


def test_what_one_epoch_leaves_out_of_a_large_class_the_next_one_shows() -> None:
    table = images({"mask_weared_incorrect": [1] * 10, "with_mask": [1] * 100, "without_mask": [1] * 10})
    drawn = table.iloc[np.concatenate(epochs(table, 5))]  # 5 times 40 draws for 100 photographs
    assert set(drawn.loc[drawn["label"] == "with_mask"].index.value_counts()) == {2}
    assert (drawn["label"] == "with_mask").sum() == 200


def test_epochs_of_fewer_draws_than_images_show_all_of_them_in_the_end() -> None:
    table = images({name: [1] * 100 for name in CLASSES})
    assert sorted(np.concatenate(epochs(table, 10, draws=30))) == list(range(300))


def test_with_equal_classes_and_no_copies_every_image_comes_once_an_epoch_in_an_order_of_its_own() -> None:
    first, second = epochs(images({name: [1] * 30 for name in CLASSES}), 2)
    assert sorted(first) == sorted(second) == list(range(90))
    assert list(first) != list(second)


def test_an_epoch_can_be_repeated_by_itself_and_depends_on_the_seed() -> None:
    table = images({"mask_weared_incorrect": [7, 2], "with_mask": [1] * 30, "without_mask": [2] * 8})
    alone = sample_epoch(table, settings(draws=len(table)), 3)
    assert np.array_equal(epochs(table, 4)[3], alone)
    assert not np.array_equal(epochs(table, 4, seed=2)[3], alone)


def test_draws_are_positions_whatever_the_table_calls_its_rows() -> None:
    table = images({"mask_weared_incorrect": [7, 2], "with_mask": [1] * 30, "without_mask": [2] * 8})
    renamed = table.set_index(np.arange(1000, 1000 + len(table))[::-1])
    assert np.array_equal(sample_epoch(renamed, settings(), 1), sample_epoch(table, settings(), 1))


def test_the_first_copy_that_is_seen_is_not_always_the_first_file() -> None:
    table = images({"with_mask": [10] * 20})
    (round_of_all,) = epochs(table, 1)
    assert len({image % 10 for image in round_of_all}) == 10
    first_seen = {image // 10: image % 10 for image in reversed(round_of_all)}
    assert len(set(first_seen.values())) > 3


def test_a_group_that_stands_in_two_classes_is_a_photograph_of_each() -> None:
    table = pd.DataFrame({"label": ["with_mask", "without_mask", "without_mask"] * 4, "source": "s", "group": "g1"})
    (drawn,) = epochs(table, 1, class_balance=False)
    assert np.isin(drawn, [0, 3, 6, 9]).sum() == 6
