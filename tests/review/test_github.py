import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facemask.cli.app import app
from facemask.core.errors import FacemaskError
from facemask.review.github import Place, publish
from facemask.review.retrain import Outcome, read_outcome
from tests.github_server import TOKEN, GitHubServer
from tests.revisions_project import git

pytestmark = pytest.mark.slow  # talks to a server

BRANCH = "retrain/0123456789"
NEWS = Outcome(kind="changed", title="Train again: masks", body="it fell", base="main", branch=BRANCH)
FAILURE = Outcome(kind="failed", title="Retraining failed in the stage train", body="no room", base="main")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone with a branch that its origin, a bare repository, does not have yet."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "bare.git")
    git(tmp_path / "bare.git", "config", "http.receivepack", "true")
    git(tmp_path, "clone", "-q", str(tmp_path / "bare.git"), "work")
    work = tmp_path / "work"
    git(work, "commit", "-q", "--allow-empty", "-m", "one")
    git(work, "push", "-q", "origin", "HEAD:main")
    git(work, "branch", BRANCH)
    return work


@pytest.fixture
def github(project: Path) -> Iterator[GitHubServer]:
    """GitHub, and the clone's origin there."""
    with GitHubServer(project.parent / "bare.git") as server:
        git(project, "remote", "set-url", "origin", server.clone_url)
        yield server


def said(outcome: Outcome, project: Path, github: GitHubServer, **variables: str) -> str:
    return publish(outcome, project, Place.from_environment(github.variables | variables))


def fault(outcome: Outcome, project: Path, github: GitHubServer, **variables: str) -> str:
    with pytest.raises(FacemaskError) as error:
        said(outcome, project, github, **variables)
    assert TOKEN not in str(error.value)
    return str(error.value)


def branches(github: GitHubServer) -> list[str]:
    return git(github.bare, "branch", "--format=%(refname:short)").split()


def test_news_are_pushed_and_proposed_once(project: Path, github: GitHubServer) -> None:
    assert said(NEWS, project, github) == "Opened https://github.com/somebody/masks/pull/1"
    assert branches(github) == ["main", BRANCH]
    again = NEWS.model_copy(update={"body": "it rose"})
    assert said(again, project, github).startswith("The same news as before; updated https://github.com/somebody/")
    (pull,) = github.pulls
    assert (pull["title"], pull["body"], pull["base"]) == (NEWS.title, "it rose", "main")
    assert TOKEN not in str(github.requests)


def test_newer_news_replace_older_ones_but_nobody_elses(project: Path, github: GitHubServer) -> None:
    older = github.add({"title": "older", "body": "", "base": "main"}, head="retrain/older")
    another = github.add({"title": "by hand", "body": "", "base": "main"}, head="by-hand")
    fork = github.add({"title": "fork", "body": "", "base": "main"}, head="retrain/fork")
    fork["head"]["repo"]["full_name"] = "another/masks"
    assert said(NEWS, project, github).endswith(", which replaces #1")
    assert older["title"] == "older (replaced by #4)"
    assert [pull["state"] for pull in (older, another, fork, github.pulls[-1])] == ["closed", "open", "open", "open"]


def test_news_that_came_back_after_newer_ones_are_proposed_again(project: Path, github: GitHubServer) -> None:
    replaced = {"title": "first (replaced by #2)", "body": "", "base": "main", "state": "closed"}
    github.add(replaced, head=BRANCH)
    newer = github.add({"title": "second", "body": "", "base": "main"}, head="retrain/second")
    assert said(NEWS, project, github).endswith(", which replaces #2")
    assert (newer["state"], github.pulls[-1]["state"]) == ("closed", "open")


def test_news_that_were_turned_down_are_not_proposed_again(project: Path, github: GitHubServer) -> None:
    github.add({"title": "no", "body": "", "base": "main", "state": "closed"}, head=BRANCH)
    assert "turned down in https://github.com/somebody/masks/pull/1" in said(NEWS, project, github)
    assert len(github.pulls) == 1
    assert branches(github) == ["main"]


def test_news_that_were_merged_and_taken_back_are_proposed_again(project: Path, github: GitHubServer) -> None:
    merged = github.add({"title": "yes", "body": "", "base": "main", "state": "closed"}, head=BRANCH)
    merged["merged_at"] = "2026-01-01T00:00:00Z"
    assert said(NEWS, project, github).startswith("Opened ")


def test_a_failure_leaves_an_issue_and_the_next_one_a_comment(project: Path, github: GitHubServer) -> None:
    github.add({"title": FAILURE.title, "body": "", "base": "main"}, head="a-pull-request-of-that-title")
    assert said(FAILURE, project, github) == "It failed; opened https://github.com/somebody/masks/issues/2"
    assert said(FAILURE, project, github) == "It failed again; added to https://github.com/somebody/masks/issues/2"
    assert github.issues[2]["body"] == "no room"
    assert github.comments == [(2, "no room")]
    assert branches(github) == ["main"]


def test_another_stage_has_an_issue_of_its_own(project: Path, github: GitHubServer) -> None:
    said(FAILURE, project, github)
    said(FAILURE.model_copy(update={"title": "Retraining failed in the stage merge"}), project, github)
    assert len(github.issues) == 2


def test_nothing_new_is_said_without_any_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETRAIN_TOKEN", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    nothing = Outcome(kind="nothing", title="Nothing new", body="")
    (tmp_path / "outcome.json").write_text(nothing.model_dump_json())
    done = CliRunner().invoke(app, ["publish", str(tmp_path / "outcome.json")])
    assert (done.exit_code, done.output) == (0, "Nothing new\n")


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), ("{}", "is not an outcome file: `facemask retrain")]
)
def test_a_file_that_is_no_outcome_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "outcome.json").write_text(content)
    with pytest.raises(FacemaskError, match=words):
        read_outcome(tmp_path / "outcome.json")


def test_what_is_missing_is_named(project: Path, github: GitHubServer) -> None:
    assert fault(NEWS, project, github, RETRAIN_TOKEN="").startswith("RETRAIN_TOKEN is not set: make a token")
    assert "set it to owner/repository" in fault(NEWS, project, github, GITHUB_REPOSITORY="")
    wrong = fault(NEWS, project, github, GITHUB_API_URL="api.github.com")
    assert (
        wrong
        == "GITHUB_API_URL is 'api.github.com', which is not a valid address; one looks like https://api.github.com"
    )


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (
            "/repos/somebody/masks/issues",
            403,
            "may not do this, says GitHub (no access by ***): it needs read",
        ),
        ("/repos/somebody/masks", 404, "does not see somebody/masks on GitHub: it needs read and write access"),
        ("/repos/somebody/masks/issues", 422, "GitHub refused with 422 (no access by ***): publish again later"),
    ],
)
def test_why_github_refuses_is_said(project: Path, github: GitHubServer, path: str, status: int, words: str) -> None:
    github.fail[path] = (status, f"no access by {TOKEN}")
    assert words in fault(FAILURE, project, github)


def test_a_token_that_nobody_knows_is_called_so(project: Path, github: GitHubServer) -> None:
    assert "GitHub does not know the token in RETRAIN_TOKEN: renew it" in fault(
        FAILURE, project, github, RETRAIN_TOKEN="expired"
    )


def test_a_push_that_is_refused_is_told_with_what_git_said(project: Path, github: GitHubServer) -> None:
    git(github.bare, "config", "http.receivepack", "false")
    assert f"git could not push {BRANCH} to origin (" in fault(NEWS, project, github)
    assert not github.pulls


def test_no_network_is_called_so(project: Path, github: GitHubServer) -> None:
    nowhere = "http://127.0.0.1:9"
    assert fault(NEWS, project, github, GITHUB_API_URL=nowhere).startswith(f"{nowhere} is unreachable")


def test_the_token_is_not_kept_in_the_clone(project: Path, github: GitHubServer) -> None:
    said(NEWS, project, github)
    done = subprocess.run(["grep", "-r", TOKEN, str(project)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
