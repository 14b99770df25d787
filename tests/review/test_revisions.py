"""Files of another revision are read from git, the DVC cache or the remote; else the message says what to do."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

from facemask.core.errors import FacemaskError
from facemask.core.files import write_text
from facemask.review.revisions import WORK_TREE, MissingFileError, Revision
from tests.revisions_project import OUTS, commit_run, git, make_project, predictions, push, wrong

pytestmark = pytest.mark.slow  # runs real dvc repositories

PREDICTIONS = "data/predictions.csv"
FIRST = wrong("with_mask", [1], "without_mask")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project `work`, of two runs, and the DVC remote `store`."""
    folder = tmp_path_factory.mktemp("made")
    project = make_project(folder)
    write_text(project / "notes.txt", "old")
    commit_run(project, predictions(FIRST), "first", {"seed": 1})
    push(project)
    write_text(project / "notes.txt", "new")
    commit_run(project, predictions({}), "second", {"seed": 2})
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy of the project to do things to; its remote is the shared one."""
    return Path(shutil.copytree(made / "work", tmp_path / "work", symlinks=True))


def read(project: Path, rev: str | None, path: str = PREDICTIONS) -> str:
    return Revision(project, rev).read(path).decode()


def as_csv(answers: dict[str, str]) -> str:
    return predictions(answers).to_csv(index=False)


def empty_cache(project: Path) -> None:
    shutil.rmtree(project / ".dvc" / "cache")


@pytest.mark.parametrize("rev", ["first", "HEAD~1", "main~1"])
def test_files_of_git_and_of_dvc_are_read_as_they_were(project: Path, rev: str) -> None:
    assert read(project, rev) == as_csv(FIRST)
    assert read(project, rev, "notes.txt") == "old"


def test_the_work_tree_is_read_as_it_lies_there(project: Path) -> None:
    write_text(project / PREDICTIONS, "changed by hand")
    assert read(project, None) == "changed by hand"
    assert read(project, "HEAD") == as_csv({})


def test_a_revision_is_named_by_what_was_asked_for_and_its_commit(project: Path) -> None:
    sha = git(project, "rev-parse", "first")
    assert Revision(project, "first").name == f"first ({sha[:7]})"
    assert Revision(project, "first").sha == sha
    assert Revision(project, None).name == WORK_TREE


def test_what_is_only_in_the_remote_is_read_from_there_and_nothing_is_written(project: Path) -> None:
    empty_cache(project)
    (project / PREDICTIONS).unlink()
    assert read(project, "first") == as_csv(FIRST)
    assert not (project / PREDICTIONS).exists()
    assert git(project, "status", "--porcelain") == ""


def test_a_clone_without_any_data_reads_its_own_files_from_the_remote_too(project: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(project), "origin.git")
    git(tmp_path, "clone", "-q", "-b", "main", str(tmp_path / "origin.git"), "clone")
    git(tmp_path / "clone", "checkout", "-q", "first")
    assert not any((tmp_path / "clone" / out).exists() for out in OUTS)
    assert read(tmp_path / "clone", None) == read(tmp_path / "clone", "first") == as_csv(FIRST)


def test_a_branch_of_a_fork_is_read_once_it_is_fetched(project: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(project), "fork")
    git(tmp_path / "fork", "checkout", "-qb", "idea", "first")
    git(project, "remote", "add", "fork", str(tmp_path / "fork"))
    with pytest.raises(FacemaskError, match=r"git does not know the revision 'fork/idea' here.*git fetch"):
        Revision(project, "fork/idea")
    git(project, "fetch", "-q", "fork")
    assert read(project, "fork/idea") == as_csv(FIRST)
    git(project, "fetch", "-q", str(tmp_path / "fork"), "idea")
    assert read(project, "FETCH_HEAD") == as_csv(FIRST)


def test_a_dvc_experiment_is_a_revision(project: Path) -> None:
    write_text(project / "notes.txt", "an idea")
    with Repo(str(project)) as repo:
        repo.experiments.save(name="idea", force=True)
    git(project, "checkout", "-q", "--", "notes.txt")
    assert read(project, "idea", "notes.txt") == "an idea"
    assert read(project, "idea") == as_csv({})


def test_a_remote_that_was_set_up_after_the_revision_or_only_here_is_used(project: Path, made: Path) -> None:
    write_text(project / ".dvc" / "config", "")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "without remote")
    local = f"[core]\n    remote = here\n['remote \"here\"']\n    url = {made / 'store'}\n"
    write_text(project / ".dvc" / "config.local", local)
    git(project, "checkout", "-q", "first", "--", "dvc.lock")
    git(project, "commit", "-qm", "the first results again")
    empty_cache(project)
    assert read(project, "HEAD") == as_csv(FIRST)


def test_a_project_below_the_root_of_git_is_read_too(tmp_path: Path) -> None:
    project = make_project(tmp_path, below="models/masks")
    commit_run(project, predictions(FIRST), "first", {})
    push(project)
    commit_run(project, predictions({}), "second", {})
    assert read(project, "first") == as_csv(FIRST)
    empty_cache(project)
    assert read(project, "first") == as_csv(FIRST)
    assert read(project, "first", "params.yaml") == "{}\n"
    with pytest.raises(FacemaskError, match=r"the DVC project begins in .*masks: run the command there"):
        Revision(project / "data", "first")


def test_results_that_were_never_pushed_are_asked_for(project: Path) -> None:
    empty_cache(project)
    with pytest.raises(MissingFileError, match=r"in neither the DVC cache nor a remote.*have `dvc push` run"):
        read(project, "second")


def test_without_any_remote_the_message_is_the_same(project: Path) -> None:
    write_text(project / ".dvc" / "config", "")
    git(project, "commit", "-qam", "without remote")
    empty_cache(project)
    with pytest.raises(MissingFileError, match="in neither the DVC cache nor a remote"):
        read(project, "HEAD")


def test_a_revision_without_the_file_says_so(project: Path) -> None:
    git(project, "rm", "-q", "--cached", "dvc.lock")
    git(project, "commit", "-qm", "no results")
    for path in (PREDICTIONS, "nothing.csv"):
        with pytest.raises(MissingFileError, match=rf"HEAD \(\w+\) has no {path}; choose a revision with a"):
            read(project, "HEAD", path)
    with pytest.raises(MissingFileError, match=r"the work tree has no nothing.csv; run `dvc repro` or `dvc pull`"):
        read(project, None, "nothing.csv")


def test_a_revision_from_before_dvc_has_no_results(project: Path) -> None:
    git(project, "checkout", "-q", "--orphan", "beginning")
    git(project, "rm", "-rqf", "--cached", ".")
    git(project, "commit", "-qm", "nothing", "--allow-empty")
    git(project, "checkout", "-qf", "main")
    with pytest.raises(MissingFileError, match=r"has no data/predictions.csv; choose a revision"):
        read(project, "beginning")


def test_a_revision_with_broken_dvc_files_is_refused_in_a_sentence(project: Path) -> None:
    write_text(project / "dvc.yaml", "stages: [")
    git(project, "commit", "-qam", "broken")
    git(project, "checkout", "-q", "first", "--", "dvc.yaml")
    with pytest.raises(FacemaskError, match=r"HEAD .*data/predictions.csv cannot be read .*choose another revision"):
        read(project, "HEAD")


@pytest.mark.parametrize("rev", ["nope", "", "first:notes.txt", "--help"])
def test_an_unknown_revision_is_refused(project: Path, rev: str) -> None:
    with pytest.raises(FacemaskError, match="git does not know the revision"):
        Revision(project, rev)


def test_a_folder_without_dvc_or_without_git_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(FacemaskError, match="is not a DVC project"):
        Revision(tmp_path / "bare", "HEAD")
    (tmp_path / "alone").mkdir()
    Repo.init(str(tmp_path / "alone"), no_scm=True).close()
    for rev in ("HEAD", None):
        with pytest.raises(FacemaskError, match="is in no git repository"):
            Revision(tmp_path / "alone", rev)


def test_a_git_repository_without_a_commit_knows_no_revision(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    with pytest.raises(FacemaskError, match="git does not know the revision 'HEAD'"):
        Revision(project, "HEAD")
