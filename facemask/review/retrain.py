"""Scheduled retraining: look for newer data, run the pipeline, commit on a new branch.

What counts as news is what git sees: the settings, `dvc.lock`, or a figure changed. It is committed on a branch named
after the content of `dvc.lock`, so that the same news has the same branch whenever it is found.
"""

import configparser
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from dvc.config import ConfigError
from dvc.exceptions import DvcException
from dvc.repo import Repo
from pydantic import BaseModel, ConfigDict, ValidationError

from facemask.core.errors import FacemaskError
from facemask.core.files import write_text
from facemask.core.params import KaggleSource, Params, load_params
from facemask.core.redaction import sounds_secret, without_secrets
from facemask.core.signals import exit_on_signal, handle_signals
from facemask.data.sources.versions import look_for_newer, with_settings
from facemask.review.lock_check import stale_stages

BRANCHES = "retrain/"
AGAIN = "facemask retrain"
WATCHED = ("params.yaml", "dvc.lock", "metrics", "plots")  # made or changed by a run, and kept in git

_LINES_KEPT = 400
_LINES_SHOWN = 12
_LINE_SHOWN = 500  # characters of each
_RUNNING = re.compile(r"^Running stage '([^']+)'")
_FAILED = re.compile(r"failed to reproduce '([^']+)'")
_UNKNOWN = "It was stopped, ran out of time or memory, or has a fault: its log says more."
_IDENTITY = {"user.name": "facemask retrain", "user.email": "retrain@facemask.invalid"}

Note = Callable[[str, str], None]


class Outcome(BaseModel):
    """Outcome of a run, for people and for `facemask publish`.

    Attributes:
        kind: whether there was news, or the run failed.
        title: of the pull request or of the issue; the same for every failure of one stage.
        body: Markdown.
        base: the branch that the run began on; "" if it began on none.
        branch: the branch with the news; "" if there is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["nothing", "changed", "failed"]
    title: str
    body: str
    base: str = ""
    branch: str = ""


class StepError(FacemaskError):
    """A step of the run failed."""

    def __init__(self, step: str, message: str, repeat: str) -> None:
        """Say which `step` failed ("in the stage train"), why, and with which command it can be repeated."""
        super().__init__(message)
        self.step = step
        self.repeat = repeat


def retrain(project: Path, outcome: Path | None = None, summary: Path | None = None) -> Outcome:
    """Look for newer data, run the pipeline, and commit the changes on a new branch.

    Afterwards the files that git has are as they were, whatever came of it.

    Args:
        project: the folder with `dvc.yaml`; it has to be the work tree's root.
        outcome: file for the outcome, as JSON. While the run lasts, it says that the run was stopped.
        summary: file that the outcome is appended to, as Markdown.

    Raises:
        FacemaskError: there is something that git does not have, or `project` is no place for a run.
    """
    if not _git(project, "rev-list", "--max-count=1", "--all"):
        raise FacemaskError(f"the git repository of {project.resolve()} has no commit yet: commit the project first")
    head, base = _git(project, "rev-parse", "HEAD"), _git(project, "branch", "--show-current")
    try:
        refuse_changes(project, [path for path in (outcome, summary) if path])
    except FacemaskError as error:
        _keep(outcome, _failure(StepError("before it began", str(error), AGAIN), base, head, [], []))
        raise

    def note(step: str, repeat: str) -> None:
        """Store what to report if the run is stopped in this step."""
        _keep(outcome, _failure(StepError(step, _UNKNOWN, repeat), base, head, [], []))

    note("before it came to an end", AGAIN)
    changes: list[str] = []
    try:
        with (
            handle_signals(exit_on_signal, signal.SIGTERM),
            _as_it_was(project, [base] if base else ["--detach", head]),
        ):
            result = _train_again(project, base, head, changes, note)
    except FacemaskError as error:
        known = error if isinstance(error, StepError) else StepError("outside the stages", str(error), AGAIN)
        result = _failure(known, base, head, changes, _remote_secrets(project))
    _keep(outcome, result)
    if summary:
        with summary.open("a", encoding="utf-8", newline="\n") as file:
            file.write(f"# {result.title}\n\n{result.body}\n")
    return result


def read_outcome(path: Path) -> Outcome:
    """Read what `retrain` wrote.

    Raises:
        FacemaskError: the file is missing or is no outcome.
    """
    try:
        return Outcome.model_validate_json(path.read_bytes())
    except OSError as error:
        raise FacemaskError(
            f"{path} cannot be read ({error.strerror}): `facemask retrain --outcome {path}` writes it"
        ) from error
    except ValidationError as error:
        raise FacemaskError(f"{path} is not an outcome file: `facemask retrain --outcome {path}` writes it") from error


def refuse_changes(project: Path, but: Sequence[Path] = ()) -> None:
    """Do nothing if git has everything that is in the work tree, `but` for these files.

    Raises:
        FacemaskError: there is something that git does not have, `project` is not the root of a work tree, or the
            branch is one that a run has made.
    """
    own = {path.resolve() for path in but}
    names = [line[3:] for line in _git(project, "status", "--porcelain", "--untracked-files=all").splitlines()]
    if changed := [name for name in names if (project / name).resolve() not in own]:
        shown = ", ".join(changed[:5]) + (" ..." if len(changed) > 5 else "")
        raise FacemaskError(
            f"the work tree has changes that git does not have ({shown}): commit them, or put them aside with `git "
            "stash --include-untracked`, and run again"
        )
    if (branch := _git(project, "branch", "--show-current")).startswith(BRANCHES):
        raise FacemaskError(f"the branch {branch} was made by a run: switch to the one to train for, such as main")
    if Path(_git(project, "rev-parse", "--show-toplevel")).resolve() != project.resolve():
        raise FacemaskError("the project is not the root of its git repository: run the command in a clone of its own")


def _train_again(project: Path, base: str, head: str, changes: list[str], note: Note) -> Outcome:
    """Do the work; add to `changes` what is changed in params.yaml, also when a later step fails."""
    params = load_params(project / "params.yaml")
    sentences = _update_params(project, params, changes)
    nothing = Outcome(kind="nothing", title="Nothing new", body=_bullets(sentences), base=base)
    # In a fresh clone without a remote all outs are missing. Making them again is no news, and not the same bytes
    # on every machine.
    if not stale_stages(project):
        return nothing
    remote = _has_remote(project)
    if remote:
        _run(project, note, "dvc", "pull", "--allow-missing")
    _run(project, note, "dvc", "repro", *(["--pull"] if remote else []))
    if not _git(project, "status", "--porcelain", "--", *WATCHED):
        return nothing
    if remote:
        _run(project, note, "dvc", "push", "--run-cache")
    title = f"Train again: {'; '.join(changes) if changes else 'the data or the figures changed'}"
    branch = _commit(project, title, [*sentences, f"Made by `facemask retrain` on {base or 'commit'} {head[:7]}."])
    body = f"{_bullets(sentences)}\n{_about_files(remote)}\n\n{_review(project, base or head[:10], branch)}"
    return Outcome(kind="changed", title=title, body=_clean(body, project), base=base, branch=branch)


def _update_params(project: Path, params: Params, changes: list[str]) -> list[str]:
    """Look for newer versions and write them into params.yaml; return a sentence for every set."""
    path = project / "params.yaml"
    sentences = []
    for name in params.data.sources:
        source = params.sources[name]
        if not isinstance(source, KaggleSource):
            continue
        try:
            found = look_for_newer(name, source)
            if found.settings:
                text = with_settings(path.read_bytes().decode("utf-8"), name, found.settings)
                path.write_bytes(text.encode("utf-8"))  # git looks after line ends, so none may change here
        except FacemaskError as error:
            raise StepError("when asking Kaggle for newer versions", str(error), AGAIN) from error
        print(found.sentence, flush=True)
        sentences.append(found.sentence)
        if found.settings:
            changes.append(f"sources.{name}.version {source.version} -> {found.settings['version']}")
    return sentences


def _has_remote(project: Path) -> bool:
    try:
        with Repo(str(project)) as repo:
            return bool(repo.config["core"].get("remote"))
    except (DvcException, ConfigError) as error:
        raise FacemaskError(
            f"the DVC project cannot be read ({error}): correct that file, or restore it with `git checkout`"
        ) from error


def _run(project: Path, note: Note, *command: str) -> None:
    """Run a DVC command and pass its output on, without secrets; call `note` for each stage that begins.

    Raises:
        StepError: it failed.
    """
    print(f"Running {' '.join(command)}", flush=True)
    known = _remote_secrets(project)
    lines: deque[str] = deque(maxlen=_LINES_KEPT)
    with subprocess.Popen(
        [sys.executable, "-P", "-m", *command],  # without -P a folder of the project could pass for a module
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            for raw in process.stdout or ():
                if begun := _RUNNING.match(raw):
                    note(f"in the stage {begun[1]}", f"dvc repro {begun[1]}")
                line = without_secrets(raw, known)
                print(line, end="", flush=True)
                lines.append(line)
        except BaseException:  # the run is stopped: then so is what it began, stages included
            os.killpg(process.pid, signal.SIGTERM)
            raise
    if process.returncode == 0:
        return
    if failed := _FAILED.search("".join(lines)):
        raise StepError(f"in the stage {failed[1]}", _last_words(lines), f"dvc repro {failed[1]}")
    raise StepError(f"in `{' '.join(command[:2])}`", _last_words(lines), " ".join(command))


def _last_words(lines: Sequence[str]) -> str:
    """Return the last lines of what the last stage that ran has printed."""
    begin = max((number for number, line in enumerate(lines) if _RUNNING.match(line)), default=0)
    said = [line.rstrip()[:_LINE_SHOWN] for line in list(lines)[begin:] if line.strip()]
    return "\n".join(said[-_LINES_SHOWN:])


def _commit(project: Path, title: str, reasons: Sequence[str]) -> str:
    """Commit the files that are watched on a branch named after `dvc.lock`, and return its name."""
    branch = BRANCHES + hashlib.sha256((project / "dvc.lock").read_bytes()).hexdigest()[:10]
    _git(project, "switch", "--quiet", "--force-create", branch)
    _git(project, "add", "--all", "--", *(name for name in WATCHED if (project / name).exists()))
    message = without_secrets("\n\n".join([title, *reasons]))
    _git(project, *_identity(project), "commit", "--quiet", "--no-verify", "--message", message)
    return branch


def _identity(project: Path) -> list[str]:
    """Return git options with a committer, if none is configured."""
    options = []
    for key, value in _IDENTITY.items():
        known = subprocess.run(["git", "config", key], cwd=project, capture_output=True, check=False).stdout
        options += [] if known.strip() else ["-c", f"{key}={value}"]
    return options


@contextmanager
def _as_it_was(project: Path, begin: Sequence[str]) -> Iterator[None]:
    """Restore the watched files and the checked-out branch afterwards."""
    try:
        yield
    finally:
        _git(project, "reset", "--quiet", "--", *WATCHED)
        if tracked := _git(project, "ls-files", "--", *WATCHED).splitlines():
            _git(project, "checkout", "--quiet", "--", *tracked)
        _git(project, "clean", "--quiet", "--force", "-d", "--", *WATCHED)
        _git(project, "switch", "--quiet", *begin)


def _review(project: Path, before: str, branch: str) -> str:
    from facemask.review.review import markdown, review_revisions
    from facemask.review.revisions import Revision

    try:
        return markdown(review_revisions(Revision(project, before), Revision(project, branch)))
    except FacemaskError as error:
        return f"The two runs could not be compared: {error}"


def _failure(error: StepError, base: str, head: str, changes: Sequence[str], known: Sequence[str]) -> Outcome:
    by_hand = [f"# in params.yaml: {change}" for change in changes]
    commands = "\n".join([f"git checkout {head}", *by_hand, error.repeat])
    body = (
        f"`facemask retrain` failed {error.step}, on {base or 'the commit'} {head[:7]}.\n\n"
        f"{_fenced(without_secrets(str(error), known))}\n\nTo repeat it:\n\n{_fenced(commands)}\n"
    )
    return Outcome(kind="failed", title=f"Retraining failed {error.step}", body=body, base=base)


def _keep(path: Path | None, outcome: Outcome) -> None:
    if path:
        write_text(path, outcome.model_dump_json(indent=2) + "\n")


def _bullets(sentences: Sequence[str]) -> str:
    return "".join(f"- {sentence}\n" for sentence in sentences) or "- no source is on Kaggle\n"


def _about_files(remote: bool) -> str:
    if remote:
        return "The data and the model are in the DVC remote: `dvc pull` on this branch fetches them."
    return (
        "No DVC remote is set up, so the data and the model stayed where this ran: `dvc repro` on this branch makes "
        "them again. `docs/remote.md` says how to set one up."
    )


def _fenced(text: str) -> str:
    """Return a code block that nothing in `text` can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _clean(text: str, project: Path) -> str:
    return without_secrets(text, _remote_secrets(project))


def _remote_secrets(project: Path) -> list[str]:
    """Return the credentials in `.dvc/config.local`, which is where DVC keeps those of remotes."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read(project / ".dvc" / "config.local", encoding="utf-8")
    except configparser.Error:
        return []
    return [value for section in config.sections() for key, value in config.items(section) if sounds_secret(key)]


def _git(project: Path, *arguments: str) -> str:
    english = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(["git", *arguments], cwd=project, env=english, capture_output=True, text=True, check=False)
    if done.returncode:
        if "not a git repository" in done.stderr:
            raise FacemaskError(
                f"{project.resolve()} is in no git repository: run the command in a clone of the project"
            )
        said = without_secrets(done.stderr.strip()) or f"ended with {done.returncode}"
        raise FacemaskError(f"`git {arguments[0]}` failed in {project.resolve()}: {said}")
    return done.stdout.rstrip("\n")
