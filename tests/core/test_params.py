"""Settings are checked before work starts, and what is wrong is named by its path."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from facemask.core.classes import CLASSES
from facemask.core.errors import FacemaskError
from facemask.core.params import KaggleSource, Params, load_params

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def load(settings: Any, folder: Path) -> Params:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return load_params(path)


def put(settings: dict[str, Any], key: str, value: Any) -> None:
    *groups, last = key.split(".")
    for group in groups:
        settings = settings[group]
    settings[last] = value


def test_the_committed_params_are_valid_and_train_on_drawn_faces_on_one_device() -> None:
    params = load_params(ROOT / "params.yaml")
    assert params.data.sources == ["sample"]
    assert params.train.distribution == "one"
    assert params.train.epochs <= 20


def test_as_committed_nothing_doubtful_is_used_and_no_leak_is_let_pass() -> None:
    params = load_params(ROOT / "params.yaml")
    assert (params.split.contradictions, params.split.junk, params.split.leaks.limit) == ("drop", "drop", 0)
    assert params.train.sampling == "photograph"


def test_settings_of_one_level_may_be_left_out_and_are_then_as_committed(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    committed = load(settings, tmp_path)
    for key in ("merge", "group", "split", "render"):
        settings[key] = {}
    assert load(settings, tmp_path) == committed


@pytest.mark.parametrize("name", ["andrewmvd", "wobot"])
def test_an_annotated_set_is_an_entry_with_the_margin_of_prediction_that_nothing_uses(name: str) -> None:
    params = load_params(ROOT / "params.yaml")
    source = params.sources[name]
    assert isinstance(source, KaggleSource)
    assert source.boxes is not None
    assert set(source.boxes.classes.values()) - {None} == set(CLASSES)
    assert (source.boxes.margin, source.boxes.min_face) == (None, None)
    assert name not in params.data.sources


def test_both_kaggle_sets_of_the_mission_are_entries() -> None:
    handles = {getattr(source, "handle", None) for source in load_params(ROOT / "params.yaml").sources.values()}
    assert {"vijaykumar1799/face-mask-detection", "shiekhburhan/face-mask-dataset"} <= handles


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("train.image_siez", 224, "train.image_siez: there is no such setting"),
        ("train.augmentation.flip", 1.5, "train.augmentation.flip: Input should be less than or equal to 1, not 1.5"),
        ("train.image_size", 31, "train.image_size: Input should be greater than or equal to 32, not 31"),
        ("train.image_size", "224", "train.image_size: Input should be a valid integer, not '224'"),
        ("train.epochs", 21, "train.epochs: Input should be less than or equal to 20, not 21"),
        ("train.head", {"epochs": 2}, "train.head: there is no such setting"),
        ("train.views", 0, "train.views: Input should be greater than or equal to 1, not 0"),
        ("train.engine", "openvino", "train.engine: Input should be 'auto', 'onnxruntime' or 'tensorflow'"),
        ("train.distribution", "two", "train.distribution: Input should be 'one', 'mirrored' or 'workers'"),
        ("split.val", 0.85, "split: val and test together leave less than 0.1 for training"),
        ("split.test", 0, "split.test: Input should be greater than 0"),
        ("split.contradictions", "keep", "split.contradictions: Input should be 'drop' or 'majority', not 'keep'"),
        ("split.junk", True, "split.junk: Input should be 'drop' or 'keep', not True"),
        ("split.leaks.similarity", 1.2, "split.leaks.similarity: Input should be less than or equal to 1, not 1.2"),
        ("split.leaks.limit", -1, "split.leaks.limit: Input should be greater than or equal to 0, not -1"),
        ("split.leaks", None, "split.leaks: settings are expected below this key"),
        ("robustness.images", -1, "robustness.images: Input should be greater than or equal to 0, not -1"),
        ("group.candidates", 0, "group.candidates: Input should be greater than or equal to 1, not 0"),
        ("group.junk.blured", 0.1, "group.junk.blured: there is no such setting"),
        ("group.junk.posterised", 9, "group.junk.posterised: Input should be less than or equal to 8, not 9"),
        ("group.junk.too_small", 2.5, "group.junk.too_small: Input should be a valid integer"),
        ("render.kinds.nose_otu", 0.1, "render.kinds.nose_otu: Input should be 'right', 'right_low', 'nose_out', "),
        ("render.kinds.right", -1, "render.kinds.right: Input should be greater than or equal to 0, not -1"),
        ("render.kinds", {"right": 0}, "render.kinds: one share at least must be above 0; faces: 0 turns drawing off"),
        ("render.kinds", {}, "render.kinds: one share at least must be above 0"),
        ("render.kinds", None, "render.kinds: settings are expected below this key"),
        ("render.styles", {"silk": 1}, "render.styles.silk: Input should be 'surgical', 'cloth', 'printed', "),
        ("render.styles", {"cloth": 0}, "render.styles: one share at least must be above 0"),
        ("render.face_shield", 1.5, "render.face_shield: Input should be less than or equal to 1, not 1.5"),
        ("merge.sheet_images_per_class", 8, "merge.sheet_images_per_class: there is no such setting"),
        ("train.sampling", "group", "train.sampling: Input should be 'photograph' or 'image', not 'group'"),
        ("backbone.source", "wheels", "backbone.source: Input should be 'wheel', 'keras' or 'none', not 'wheels'"),
        ("data.sources", [], "data.sources"),
        ("data.sources", ["sample", "sample"], "data.sources: a source is named twice"),
        ("data.sources", ["mine"], "data.sources names 'mine', which is not an entry of sources: "),
        ("sources.own.paht", "x", "sources.own.paht: there is no such setting"),
        ("sources.own.path", "", "sources.own.path: String should have at least 1 character"),
        ("sources.own.folders", {"good": "masked"}, "folder 'good' leads to 'masked', which is none of mask_weared"),
        ("sources.own.folders", {"../x": "with_mask"}, "folder '../x' must be a plain relative path"),
        ("sources.own.folders", {"/x": "with_mask"}, "folder '/x' must be a plain relative path"),
        ("sources.own.kind", "ftp", "sources.own: `kind` must say what the source is: kaggle, folder or sample"),
        ("sources.own", {"path": "x"}, "sources.own: `kind` must say what the source is"),
        ("sources.own", None, "sources.own"),
        ("sources.own.boxes", {"format": "voc"}, "sources.own.boxes.images: this setting is missing"),
        (
            "sources.andrewmvd.boxes.format",
            "xml",
            "sources.andrewmvd.boxes.format: Input should be 'voc', 'coco', 'yolo' or",
        ),
        (
            "sources.andrewmvd.boxes.images",
            "../x",
            "boxes.images: '../x' must be a plain path from the root of the set",
        ),
        (
            "sources.andrewmvd.boxes.classes",
            {"a": "b"},
            "boxes.classes: 'a' leads to 'b', which is none of mask_weared",
        ),
        ("sources.andrewmvd.boxes.classes", {0: "with_mask"}, "text is expected, not 0; put it in quotes"),
        (
            "sources.andrewmvd.boxes.names",
            "x.txt",
            "sources.andrewmvd.boxes: names is for the format yolo: leave it out",
        ),
        ("sources.andrewmvd.boxes.columns", {}, "sources.andrewmvd.boxes: columns is for the format csv: leave it out"),
        ("sources.andrewmvd.boxes.margin", -1, "sources.andrewmvd.boxes.margin: Input should be greater than or equal"),
        ("sources.andrewmvd.folders", {"a": "with_mask"}, "sources.andrewmvd: of folders and boxes only one can say"),
        ("sources.own.folders", None, "sources.own.folders: settings are expected below this key"),
        ("sources.own.folders", {True: "with_mask"}, "text is expected, not True; put it in quotes"),
        ("sources.own.folders", {"a": True}, "sources.own.folders.a: text is expected, not True; put it in quotes"),
        ("sources.My Photos", {"kind": "sample"}, "sources.My Photos: a source's name consists of small letters"),
        ("train", None, "train: settings are expected below this key"),
        ("sources.vijaykumar1799.version", 0, "sources.vijaykumar1799.version: Input should be greater than or equal"),
        (
            "sources.vijaykumar1799.handle",
            "no-slash",
            "sources.vijaykumar1799.handle: a handle is what follows kaggle.com/datasets/",
        ),
        ("sources.vijaykumar1799.content", "abc", "sources.vijaykumar1799.content: a content hash consists of 64"),
        ("sources.sample.per_class", 0, "sources.sample.per_class: Input should be greater than or equal to 1"),
        ("extra", {}, "extra: there is no such setting"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_path_of_its_key(
    settings: dict[str, Any], tmp_path: Path, key: str, value: Any, said: str
) -> None:
    put(settings, key, value)
    with pytest.raises(FacemaskError) as refused:
        load(settings, tmp_path)
    assert said in str(refused.value)


def test_all_wrong_settings_are_told_at_once(settings: dict[str, Any], tmp_path: Path) -> None:
    put(settings, "train.batch_size", 0)
    put(settings, "report.wrong_images", -1)
    with pytest.raises(FacemaskError) as refused:
        load(settings, tmp_path)
    assert "train.batch_size" in str(refused.value)
    assert "report.wrong_images" in str(refused.value)


@pytest.mark.parametrize("group", ["merge", "group", "split", "report"])
def test_a_missing_group_is_named(settings: dict[str, Any], tmp_path: Path, group: str) -> None:
    del settings[group]
    with pytest.raises(FacemaskError, match=f"{group}: this setting is missing"):
        load(settings, tmp_path)


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("data: [", encoding="utf-8")
    with pytest.raises(FacemaskError, match=r"params\.yaml is not valid YAML"):
        load_params(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(FacemaskError, match="the file as a whole"):
        load_params(path)


def test_a_missing_file_says_where_to_run_the_command(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError, match="run the command in the project's folder"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["1e-3", "1.0e-3", "0.001", "1E-3"])
def test_a_learning_rate_may_be_written_as_people_write_it(settings: dict[str, Any], tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    put(settings, "train.learning_rate", "RATE")
    path.write_text(yaml.safe_dump(settings).replace("RATE", text), encoding="utf-8")
    assert load_params(path).train.learning_rate == 0.001


def test_own_photographs_need_one_entry_with_a_path_only(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["sources"]["mine"] = {"kind": "folder", "path": "data/own"}
    settings["data"]["sources"] = ["mine"]
    assert load(settings, tmp_path).sources["mine"].kind == "folder"


@pytest.mark.parametrize("path", ["data/own", "data/own/office", "./data/own/../own/office"])
def test_own_photographs_lie_where_dvc_looks(settings: dict[str, Any], tmp_path: Path, path: str) -> None:
    settings["sources"]["mine"] = {"kind": "folder", "path": path}
    settings["data"]["sources"] = ["mine"]
    assert load(settings, tmp_path).data.own == "data/own"


@pytest.mark.parametrize("path", ["/photos", "data/own2", "data/own/../photos", "~/photos", "data"])
def test_own_photographs_where_dvc_does_not_look_are_refused(
    settings: dict[str, Any], tmp_path: Path, path: str
) -> None:
    settings["sources"]["mine"] = {"kind": "folder", "path": path}
    load(settings, tmp_path)  # not in use: nothing depends on it
    settings["data"]["sources"] = ["mine"]
    with pytest.raises(
        FacemaskError, match=r"sources\.mine\.path is .*, outside data\.own \(data/own\), .*: set data\.own"
    ):
        load(settings, tmp_path)
    put(settings, "data.own", str(Path(path).expanduser()))
    load(settings, tmp_path)


def test_the_watched_folder_is_written_as_dvc_reads_it(settings: dict[str, Any], tmp_path: Path) -> None:
    put(settings, "data.own", "~/photos")
    with pytest.raises(FacemaskError, match=r"data\.own: DVC does not know ~: write the whole path"):
        load(settings, tmp_path)


def test_the_home_of_somebody_unknown_is_said_to_be_unknown(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["sources"]["mine"] = {"kind": "folder", "path": "~nobody-of-that-name/photos"}
    with pytest.raises(FacemaskError, match=r"sources\.mine\.path: the home folder in '~nobody.*' is not known"):
        load(settings, tmp_path)
