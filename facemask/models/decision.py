"""From probabilities to an answer: the class with the lowest expected cost, or `uncertain`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.files import write_json

UNCERTAIN = "uncertain"

Probabilities = NDArray[np.float64] | NDArray[np.float32]


class Decision(BaseModel):
    """How answers are made from a model's probabilities; what the stage `evaluate` chose on the part val.

    Attributes:
        temperature: by which the logits are divided, so that the probabilities are calibrated. The exported models have
            this inside; it stands here for the record.
        costs: by true class, then by answer, what the answer costs; 0 where it is right.
        thresholds: for each class, the probability below which it is no answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(gt=0)
    costs: dict[str, dict[str, float]]
    thresholds: dict[str, float]

    @field_validator("costs")
    @classmethod
    def _costs_of_all_classes(cls, costs: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        if set(costs) != set(CLASSES) or any(set(row) != set(CLASSES) for row in costs.values()):
            raise ValueError(f"costs are needed for each of {', '.join(CLASSES)}, by each of them")
        return costs

    @field_validator("thresholds")
    @classmethod
    def _thresholds_of_all_classes(cls, thresholds: dict[str, float]) -> dict[str, float]:
        if set(thresholds) != set(CLASSES):
            raise ValueError(f"a threshold is needed for each of {', '.join(CLASSES)}")
        return thresholds

    def choose(self, probabilities: Probabilities) -> NDArray[np.intp]:
        """Return the index of the class with the lowest expected cost, (n,), for probabilities (n, 3).

        With equal costs this is the likeliest class. Method: R. Duda et al., Pattern Classification, 2001, chapter 2.2.
        """
        costs = np.array([[self.costs[actual][said] for said in CLASSES] for actual in CLASSES])
        return np.asarray((np.asarray(probabilities, dtype=np.float64) @ costs).argmin(axis=1))

    def is_certain(self, probabilities: Probabilities) -> NDArray[np.bool_]:
        """Tell, (n,), where the chosen class reaches its threshold."""
        chosen = self.choose(probabilities)
        thresholds = np.array([self.thresholds[name] for name in CLASSES])
        return np.asarray(np.asarray(probabilities)[np.arange(len(chosen)), chosen] >= thresholds[chosen])

    def answers(self, probabilities: Probabilities) -> list[str]:
        """Return the chosen class of each row of probabilities (n, 3), or `uncertain` below its threshold."""
        pairs = zip(self.choose(probabilities), self.is_certain(probabilities), strict=True)
        return [CLASSES[place] if certain else UNCERTAIN for place, certain in pairs]


def write_decision(path: Path, decision: Decision) -> None:
    """Write `models/decision.json`."""
    write_json(path, decision.model_dump())


def read_decision(path: Path) -> Decision:
    """Read `models/decision.json`.

    Raises:
        FacemaskError: the file is missing or is not what the stage writes.
    """
    try:
        return Decision.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise FacemaskError(f"{path} is missing; run `dvc repro evaluate`") from error
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors())
        raise FacemaskError(f"{path} can't be used ({found}); run `dvc repro evaluate`") from error
