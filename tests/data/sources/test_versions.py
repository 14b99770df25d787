from collections.abc import Iterator
from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.core.params import KaggleSource, load_params
from facemask.data.sources.versions import Finding, look_for_newer, with_settings
from facemask.dataset.archive import Archive, content_hash
from tests.kaggle_server import NEWEST, STORE, KaggleServer, zipped

HANDLE = "somebody/face-masks"
PARAMS = Path(__file__).parents[3] / "params.yaml"


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """A Kaggle with one version of a set, for whoever comes without credentials."""
    with KaggleServer() as server:
        server.sets[HANDLE, 1] = zipped({"with_mask/1.jpg": b"one"})
        for name, value in server.environment(tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
            monkeypatch.delenv(name, raising=False)
        yield server


def look(version: int = 1, content: str | None = None) -> Finding:
    source = KaggleSource(kind="kaggle", handle=HANDLE, version=version, content=content)
    return look_for_newer("masks", source, pauses=[])


@pytest.mark.slow
def test_the_newest_version_is_no_news_and_nothing_is_fetched(kaggle: KaggleServer) -> None:
    assert look() == Finding("masks: version 1 of somebody/face-masks is the newest", {})
    assert kaggle.count(STORE) == 0


@pytest.mark.slow
def test_a_newer_version_with_other_files_is_news(kaggle: KaggleServer) -> None:
    kaggle.sets[HANDLE, 3] = zipped({"with_mask/1.jpg": b"another"})
    found = look()
    assert found.settings == {"version": "3"}
    assert found.sentence == "masks: somebody/face-masks has a newer version, 3 after 1"


@pytest.mark.slow
def test_a_newer_version_with_the_same_files_is_none(kaggle: KaggleServer) -> None:
    kaggle.sets[HANDLE, 2] = zipped({"with_mask/1.jpg": b"one"}, comment=b"packed anew")
    assert look() == Finding("masks: version 2 of somebody/face-masks has the same files as version 1", {})


@pytest.mark.slow
def test_a_pinned_content_is_pinned_anew_without_fetching_the_older_version(
    kaggle: KaggleServer, tmp_path: Path
) -> None:
    kaggle.sets[HANDLE, 2] = zipped({"with_mask/1.jpg": b"another"})
    (tmp_path / "2.zip").write_bytes(bytes(kaggle.sets[HANDLE, 2]))
    with Archive(tmp_path / "2.zip") as archive:
        content = content_hash(archive)
    assert look(content="0" * 64).settings == {"version": "2", "content": content}
    assert look(content=content).settings == {}
    assert kaggle.count(f"{STORE}{HANDLE}/1") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "Kaggle has no data set somebody/face-masks"),
        (401, "Kaggle requires valid credentials for somebody/face-masks"),
        (503, "Kaggle is busy or out of order"),
    ],
)
def test_why_kaggle_can_not_be_asked_is_said(kaggle: KaggleServer, status: int, said: str) -> None:
    kaggle.fail[NEWEST] = (status, "")
    with pytest.raises(FacemaskError, match=said):
        look()


@pytest.mark.slow
@pytest.mark.usefixtures("kaggle")
def test_no_network_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(FacemaskError, match=r"unreachable; could not ask for the newest version of somebody"):
        look()


@pytest.mark.slow
def test_a_token_is_used_and_never_shown(kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    kaggle.tokens = {"my-secret"}
    monkeypatch.setenv("KAGGLE_API_TOKEN", "my-secret")
    assert look().settings == {}
    kaggle.fail[NEWEST] = (500, "the moon; my-secret")
    with pytest.raises(FacemaskError) as error:
        look()
    assert "could not ask for the newest version of somebody/face-masks and said: the moon; ***" in str(error.value)


def test_only_the_values_change_in_the_projects_own_params(tmp_path: Path) -> None:
    before = PARAMS.read_bytes()
    content = "f" * 64
    text = with_settings(before.decode(), "vijaykumar1799", {"version": "12", "content": content})
    (tmp_path / "params.yaml").write_bytes(text.encode())
    changed = {new: old for new, old in zip(text.splitlines(), before.decode().splitlines(), strict=True) if new != old}
    assert list(changed) == ["    version: 12", f"    content: {content}"]
    source = load_params(tmp_path / "params.yaml").sources["vijaykumar1799"]
    assert isinstance(source, KaggleSource)
    assert (source.version, source.content) == (12, content)
    assert load_params(tmp_path / "params.yaml").model_copy(update={"sources": {}}) == load_params(PARAMS).model_copy(
        update={"sources": {}}
    )


def test_comments_quotes_line_ends_and_odd_layout_stay() -> None:
    text = 'é: 1 # ü\r\nsources: {a: {version: 1, "content": "x"},   b: {version:   1  }} # 1\r\n'
    assert with_settings(text, "b", {"version": "2"}) == text.replace("version:   1", "version:   2")
    with pytest.raises(FacemaskError, match="'content' of the source b is not written in the entry itself"):
        with_settings(text, "b", {"content": "y"})
