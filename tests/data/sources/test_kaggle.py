import base64
import hashlib
import os
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from facemask.core.errors import FacemaskError
from facemask.core.params import KaggleSource
from facemask.data.sources import card, fetch
from facemask.data.sources.kaggle import cached
from facemask.dataset.archive import Archive, content_hash
from tests.kaggle_server import DOWNLOAD, INTROSPECT, METADATA, STORE, KaggleServer, zipped

pytestmark = pytest.mark.slow  # runs the real Kaggle client against a server

MASKS = {
    "FMD_DATASET/incorrect_mask/mc/1.jpg": b"chin",
    "FMD_DATASET/incorrect_mask/mmc/1.jpg": b"mouth and chin",
    "FMD_DATASET/with_mask/simple/1.jpg": random.Random(1).randbytes(50_000),
    "FMD_DATASET/without_mask/simple/1.jpg": random.Random(2).randbytes(50_000),
}
FOLDERS = {
    "FMD_DATASET/incorrect_mask": "mask_weared_incorrect",
    "FMD_DATASET/with_mask": "with_mask",
    "FMD_DATASET/without_mask": "without_mask",
}
HANDLE = "somebody/face-masks"


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """A Kaggle with one set in one version, for whoever comes without credentials."""
    with KaggleServer() as server:
        server.sets[HANDLE, 3] = zipped(MASKS)
        wanted = server.environment(tmp_path / "home")
        for name in os.environ.keys() - wanted.keys():
            monkeypatch.delenv(name)
        for name, value in wanted.items():
            monkeypatch.setenv(name, value)
        yield server


def source(content: str | None = None, version: int = 3, **folders: str) -> KaggleSource:
    return KaggleSource(
        kind="kaggle", handle=HANDLE, version=version, content=content, folders=folders or FOLDERS, licence="CC0"
    )


def fault(handle: str = HANDLE, version: int = 3) -> str:
    """What the user reads after two attempts without a pause."""
    with pytest.raises(FacemaskError) as error:
        cached(handle, version, pauses=[0.0])
    message = str(error.value)
    assert "\n" not in message
    assert "Traceback" not in message
    return message


@pytest.mark.usefixtures("kaggle")
def test_a_public_set_needs_no_account(tmp_path: Path) -> None:
    fetch(source(), tmp_path / "x.zip")
    with Archive(tmp_path / "x.zip") as archive:
        assert {name: archive.read(name) for name in archive.names} == MASKS
    assert (tmp_path / "home/cache/kaggle" / HANDLE / "3").is_dir()


def test_the_pinned_version_is_what_is_fetched(kaggle: KaggleServer, tmp_path: Path) -> None:
    kaggle.sets[HANDLE, 4] = zipped(MASKS | {"FMD_DATASET/with_mask/new.jpg": b"new"})
    fetch(source(), tmp_path / "3.zip")
    fetch(source(version=4), tmp_path / "4.zip")
    with Archive(tmp_path / "3.zip") as older, Archive(tmp_path / "4.zip") as newer:
        assert set(newer.names) - set(older.names) == {"FMD_DATASET/with_mask/new.jpg"}
    assert kaggle.count(f"{STORE}{HANDLE}/3") == kaggle.count(f"{STORE}{HANDLE}/4") == 1


@pytest.mark.parametrize("how", ["token", "token file", "home file", "name and key", "json"])
def test_credentials_that_the_client_knows_are_used(
    kaggle: KaggleServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    kaggle.tokens = {"KGAT_good", f"Basic {base64.b64encode(b'me:abc').decode()}"}
    files = tmp_path / "home/.kaggle"
    files.mkdir(parents=True)
    if how == "token":
        monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_good")
    elif how == "token file":
        (tmp_path / "token").write_text("KGAT_good\n")
        monkeypatch.setenv("KAGGLE_API_TOKEN", str(tmp_path / "token"))
    elif how == "home file":
        (files / "access_token").write_text("KGAT_good\n")
    elif how == "name and key":
        monkeypatch.setenv("KAGGLE_USERNAME", "me")
        monkeypatch.setenv("KAGGLE_KEY", "abc")
    else:
        (files / "kaggle.json").write_text('{"username": "me", "key": "abc"}')
    assert cached(HANDLE, 3, pauses=[]).is_file()


@pytest.mark.parametrize(
    "variables", [{}, {"KAGGLE_API_TOKEN": "KGAT_bad"}, {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "x"}]
)
def test_wrong_or_missing_credentials_are_called_so(
    kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    kaggle.tokens = {"KGAT_good"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert fault().startswith(f"Kaggle requires valid credentials for {HANDLE}: renew those")
    assert kaggle.count(METADATA) == 1


@pytest.mark.parametrize(("token", "status"), [("KGAT_expired", 401), ("with a\nline", 200)])
def test_a_token_that_does_not_even_get_asked_with_is_called_wrong(
    kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch, token: str, status: int
) -> None:
    kaggle.fail[INTROSPECT] = (status, "Unauthenticated")
    monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    assert "requires valid credentials" in fault()


def test_a_missing_consent_is_called_so(kaggle: KaggleServer) -> None:
    kaggle.fail[DOWNLOAD] = (403, "You must accept the terms of this dataset before you can download its files.")
    message = fault()
    assert "only to users who have accepted its terms" in message
    assert f"https://www.kaggle.com/datasets/{HANDLE}" in message
    assert kaggle.count(DOWNLOAD) == 1


@pytest.mark.parametrize("said", ["", "Permission 'datasets.get' was denied"])
def test_a_set_that_may_not_be_seen_is_called_so(kaggle: KaggleServer, said: str) -> None:
    kaggle.fail[METADATA] = (403, said)
    assert f"Kaggle denies access to {HANDLE}" in fault()


@pytest.mark.usefixtures("kaggle")
def test_a_set_that_does_not_exist_is_called_so() -> None:
    assert fault("somebody/nothing").startswith(
        "Kaggle has no data set somebody/nothing: look at https://www.kaggle.com"
    )


@pytest.mark.usefixtures("kaggle")
def test_a_version_that_does_not_exist_is_called_so() -> None:
    assert fault(version=7).startswith(f"Kaggle has no version 7 of {HANDLE}: look at https://www.kaggle.com")


@pytest.mark.usefixtures("kaggle")
def test_no_network_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fault().startswith(f"Kaggle is unreachable; could not fetch {HANDLE} version 3: check the network")


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_is_asked_again(kaggle: KaggleServer, status: int) -> None:
    kaggle.fail[DOWNLOAD] = (status, "")
    assert f"Kaggle is busy or out of order ({status}" in fault()
    assert kaggle.count(DOWNLOAD) == 2


def test_anything_else_is_shown_with_the_last_words_and_without_secrets(
    kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERBOSE", "1")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "my-secret")
    kaggle.newest_client = "99.0.0"
    kaggle.fail[METADATA] = (
        500,
        f"moon phase; my-secret; KGAT_0a1b; {'0f' * 16}; http://store/x?sig=0a1b; Bearer 0a1b",
    )
    message = fault()
    assert "the kaggle client could not fetch somebody/face-masks version 3 and said: moon phase; ***; ***;" in message
    printed = message + "".join(capfd.readouterr())
    for secret in ("my-secret", "0a1b", "0f0f"):
        assert secret not in printed
    assert "outdated" not in printed


def test_the_client_is_not_heard_when_all_is_well(kaggle: KaggleServer, capfd: pytest.CaptureFixture[str]) -> None:
    kaggle.newest_client = "99.0.0"
    cached(HANDLE, 3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ranges", [True, False], ids=["resumed", "repeated"])
def test_a_download_that_breaks_off_is_taken_up_again(kaggle: KaggleServer, ranges: bool) -> None:
    content = random.Random(5).randbytes(3 * 2**20)
    kaggle.sets[HANDLE, 3] = zipped(MASKS | {"big.png": content})
    kaggle.break_off = deque([2_500_000])
    kaggle.ranges = ranges
    with Archive(cached(HANDLE, 3, pauses=[])) as archive:
        assert archive.read("big.png") == content
    assert [span for path, span in kaggle.requests if path.startswith(STORE)] == ["", f"bytes={2 * 2**20}-"]


def test_a_connection_that_hangs_is_given_up(kaggle: KaggleServer) -> None:
    kaggle.go_on.clear()
    with pytest.raises(FacemaskError, match="nothing came from Kaggle for 3 s: check the network"):
        cached(HANDLE, 3, pauses=[], stall=3.0)
    assert kaggle.count(STORE) == 1


def test_a_download_that_was_damaged_once_is_repeated(kaggle: KaggleServer) -> None:
    damages = deque([lambda content: content[:2000] + b"DAMAGED!" + content[2008:]])
    kaggle.damage = lambda content: damages.popleft()(content) if damages else content  # type: ignore[assignment]
    with Archive(cached(HANDLE, 3, pauses=[0.0])) as archive:
        assert {name: archive.read(name) for name in archive.names} == MASKS
    assert kaggle.count(STORE) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:2000] + b"DAMAGED!" + content[2008:],
        lambda content: content[: len(content) // 2],
    ],
    ids=["altered", "truncated"],
)
def test_a_damaged_archive_is_called_so_and_not_kept(kaggle: KaggleServer, tmp_path: Path, damage: type[bytes]) -> None:
    kaggle.damage = damage
    assert fault().startswith("what came from Kaggle is damaged: ")
    assert not [path for path in (tmp_path / "home/cache").rglob("*") if path.is_file() and path.name != ".lock"]
    assert kaggle.count(STORE) == 2


def test_a_set_with_a_path_outside_is_refused_at_once_and_not_kept(kaggle: KaggleServer, tmp_path: Path) -> None:
    kaggle.sets[HANDLE, 3] = zipped({"../outside.jpg": b"x"})
    assert "'../outside.jpg' leads out of the archive" in fault()
    assert kaggle.count(STORE) == 1
    assert not list((tmp_path / "home/cache").rglob("*.zip"))


def test_what_is_in_the_cache_is_not_fetched_again(kaggle: KaggleServer, tmp_path: Path) -> None:
    fetch(source(), tmp_path / "1.zip")
    kaggle.requests.clear()
    fetch(source(), tmp_path / "2.zip")
    assert kaggle.requests == []
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


@pytest.mark.parametrize("harm", ["altered", "emptied"])
def test_a_damaged_file_in_the_cache_is_fetched_again(
    kaggle: KaggleServer, capsys: pytest.CaptureFixture[str], harm: str
) -> None:
    path = cached(HANDLE, 3)
    good = path.read_bytes()
    path.write_bytes({"altered": good[:-1] + b"?", "emptied": b""}[harm])
    assert cached(HANDLE, 3).read_bytes() == good
    assert kaggle.count(STORE) == 2
    assert capsys.readouterr().err.count(f"{path} is damaged: fetching it again") == 1
    assert [file.name for file in path.parent.glob("*.zip")] == [path.name]


def test_two_processes_fetch_the_same_set_once(kaggle: KaggleServer, tmp_path: Path) -> None:
    kaggle.go_on.clear()
    call = [sys.executable, "-c", f"from facemask.data.sources.kaggle import cached; print(cached({HANDLE!r}, 3))"]
    project = Path(__file__).parents[3]
    with (tmp_path / "told").open("w") as told:
        processes = [
            subprocess.Popen(call, cwd=project, stdout=subprocess.PIPE, stderr=told, text=True) for _ in range(2)
        ]
        deadline = time.monotonic() + 120
        while "waiting for another process" not in (tmp_path / "told").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        kaggle.go_on.set()
        answers = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(answers) == 1
    assert kaggle.count(STORE) == 1


@pytest.mark.usefixtures("kaggle")
def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FACEMASK_CACHE", str(tmp_path / "file/cache"))
    assert "set FACEMASK_CACHE to a folder that is writable and has enough space" in fault()


@pytest.mark.usefixtures("kaggle")
def test_the_pinned_content_is_accepted(tmp_path: Path) -> None:
    lines = "".join(f"{hashlib.sha256(MASKS[name]).hexdigest()}  {name}\n" for name in sorted(MASKS))
    fetch(source(content=hashlib.sha256(lines.encode()).hexdigest()), tmp_path / "x.zip")
    assert (tmp_path / "x.zip").is_file()


@pytest.mark.usefixtures("kaggle")
def test_other_content_than_pinned_is_an_error_with_both_hashes(tmp_path: Path) -> None:
    with Archive(cached(HANDLE, 3)) as archive:
        right = content_hash(archive)
    with pytest.raises(FacemaskError) as error:
        fetch(source(content="0" * 64), tmp_path / "x.zip")
    assert f"it is {right}, expected was {'0' * 64}" in str(error.value)
    assert "set `content` of the source to the new value" in str(error.value)
    assert not (tmp_path / "x.zip").exists()


@pytest.mark.usefixtures("kaggle")
def test_a_folder_that_the_set_does_not_have_is_an_error_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(FacemaskError) as error:
        fetch(source(FMD_DATASET="with_mask", Masken="with_mask"), tmp_path / "x.zip")
    assert "has no folder Masken: correct `folders`" in str(error.value)
    assert "FMD_DATASET/incorrect_mask/mc, FMD_DATASET/incorrect_mask/mmc," in str(error.value)
    assert not (tmp_path / "x.zip").exists()


def test_the_card_says_where_the_set_comes_from() -> None:
    assert card(source()) == {
        "kind": "kaggle",
        "folders": FOLDERS,
        "licence": "CC0",
        "origin": "Kaggle somebody/face-masks, version 3",
    }
