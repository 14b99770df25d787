"""The history keeps the weights of the best epoch and survives a checkpoint."""

import numpy as np

from facemask.training.history import HISTORY, History


def history(*losses: float) -> History:
    """Record epochs with these validation losses; the weights of an epoch are its number."""
    record = History()
    for epoch, loss in enumerate(losses, start=1):
        record.add((1.0, 0.5, loss, 0.5), [[np.full(1, epoch)], [np.full(1, -epoch)]])
    return record


def test_it_keeps_the_weights_of_the_lowest_validation_loss_and_counts_the_epochs_since() -> None:
    record = history(0.9, 0.5, 0.7, 0.6)
    assert [weights[0] for weights in record.best] == [2, -2]
    assert (record.epoch, record.epochs_since_best) == (4, 2)


def test_of_equal_epochs_the_first_is_the_best() -> None:
    assert history(0.5, 0.5).best[0][0] == 1


def test_before_the_first_epoch_there_are_no_weights() -> None:
    record = history()
    assert not record.best
    assert (record.epoch, record.epochs_since_best) == (0, 0)
    assert record.table().empty


def test_it_comes_back_from_a_checkpoint() -> None:
    record, restored = history(0.9, 1 / 3, 0.7), history()
    restored.restore(record.arrays())
    assert restored.rows == record.rows
    assert np.array_equal(restored.best, record.best)
    table = restored.table()
    assert list(table.columns) == list(HISTORY)
    assert list(table["epoch"]) == [1, 2, 3]
