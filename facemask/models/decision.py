"""Decision rule: the class with the lowest expected cost, or `uncertain` below its threshold."""

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
    """Decision rule with the parameters that the stage `evaluate` chose on the validation images.

    Attributes:
        temperature: divisor of the logits, for calibration. Exported models already include it.
        costs: cost of each answer, by true class and answer; 0 for correct ones.
        thresholds: probability of each class below which the answer is `uncertain`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(gt=0)
    costs: dict[str, dict[str, float]]
    thresholds: dict[str, float]

    @field_validator("costs")
    @classmethod
    def _costs_of_all_classes(cls, costs: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        if set(costs) != set(CLASSES) or any(set(row) != set(CLASSES) for row in costs.values()):
            raise ValueError(f"costs must have a value for each pair of {', '.join(CLASSES)}")
        return costs

    @field_validator("thresholds")
    @classmethod
    def _thresholds_of_all_classes(cls, thresholds: dict[str, float]) -> dict[str, float]:
        if set(thresholds) != set(CLASSES):
            raise ValueError(f"thresholds must have a value for each of {', '.join(CLASSES)}")
        return thresholds

    def choose(self, probabilities: Probabilities) -> NDArray[np.intp]:
        """Return the index of the class with the lowest expected cost, (n,), for probabilities (n, 3).

        With equal costs this is the most probable class. See Duda et al., Pattern Classification, 2001, section 2.2.
        """
        costs = np.array([[self.costs[actual][answer] for answer in CLASSES] for actual in CLASSES])
        return np.asarray((np.asarray(probabilities, dtype=np.float64) @ costs).argmin(axis=1))

    def is_certain(self, probabilities: Probabilities) -> NDArray[np.bool_]:
        """Return whether the chosen class reaches its threshold, bool (n,)."""
        chosen = self.choose(probabilities)
        thresholds = np.array([self.thresholds[name] for name in CLASSES])
        return np.asarray(np.asarray(probabilities)[np.arange(len(chosen)), chosen] >= thresholds[chosen])

    def answers(self, probabilities: Probabilities) -> list[str]:
        """Return the chosen class of each row of probabilities (n, 3), or `uncertain` below its threshold."""
        pairs = zip(self.choose(probabilities), self.is_certain(probabilities), strict=True)
        return [CLASSES[index] if certain else UNCERTAIN for index, certain in pairs]


def write_decision(path: Path, decision: Decision) -> None:
    """Write `models/decision.json`."""
    write_json(path, decision.model_dump())


def read_decision(path: Path) -> Decision:
    """Read `models/decision.json`.

    Raises:
        FacemaskError: the file is missing or invalid.
    """
    try:
        return Decision.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise FacemaskError(f"{path} is missing; run `dvc repro evaluate`") from error
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors())
        raise FacemaskError(f"{path} is invalid ({found}); run `dvc repro evaluate`") from error
