"""GitHub: a pull request for a retraining with changes, an issue for a failed one."""

import base64
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests
from github import Auth, Github, GithubException, GithubRetry
from github.PullRequest import PullRequest
from github.Repository import Repository

from facemask.core.errors import FacemaskError
from facemask.core.redaction import without_secrets
from facemask.review.retrain import BRANCHES, Outcome

TOKEN = "RETRAIN_TOKEN"  # noqa: S105 - the name of a variable
_REPLACED = " (replaced by #"  # ends the title of a pull request that was closed for a newer one
_NEEDED = "it needs read and write access to contents, issues and pull requests of this repository"


@dataclass(frozen=True)
class Place:
    """A repository on GitHub, and the token to write to it.

    Attributes:
        name: `owner/repository`.
        api: address of the REST API.
        server: address of the site.
        token: of the bot.
    """

    name: str
    api: str
    server: str
    token: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Place":
        """Read the variables that GitHub sets, and `RETRAIN_TOKEN`.

        Raises:
            FacemaskError: one is missing, or is no address where it must be one.
        """
        name, token = environment.get("GITHUB_REPOSITORY", ""), environment.get(TOKEN, "").strip()
        if not name:
            raise FacemaskError(
                "GITHUB_REPOSITORY is not set: set it to owner/repository; docs/retrain.md says what to do on GitLab"
            )
        if not token:
            raise FacemaskError(f"{TOKEN} is not set: make a token for the bot, {_NEEDED} (docs/retrain.md)")
        api = environment.get("GITHUB_API_URL") or "https://api.github.com"
        if not api.startswith(("https://", "http://")):
            raise FacemaskError(
                f"GITHUB_API_URL is {api!r}, which is not a valid address; one looks like https://api.github.com"
            )
        return cls(name, api, environment.get("GITHUB_SERVER_URL") or "https://github.com", token)


def publish(outcome: Outcome, project: Path, place: Place) -> str:
    """Push the branch and open or update its pull request; or open or continue the issue about a failure.

    Args:
        outcome: of `facemask.review.retrain.retrain`, not of the kind "nothing".
        project: the repository that has the branch.
        place: where to.

    Returns:
        What was done, in a sentence.

    Raises:
        FacemaskError: GitHub is unreachable, does not know the token or the repository, or refuses.
    """
    # Ten attempts, as is usual there, take long when there is no network.
    retry = GithubRetry(total=3, backoff_factor=0.3)
    try:
        with Github(base_url=place.api, auth=Auth.Token(place.token), retry=retry) as github:
            repository = github.get_repo(place.name)
            if outcome.kind == "failed":
                return _report(repository, outcome)
            return _propose(repository, outcome, project, place)
    except GithubException as error:
        raise _refusal(error, place) from error
    except requests.RequestException as error:
        raise FacemaskError(f"{place.api} is unreachable: check the network and publish again") from error


def _refusal(error: GithubException, place: Place) -> FacemaskError:
    if error.status == requests.codes.unauthorized:
        return FacemaskError(f"GitHub does not know the token in {TOKEN}: renew it; {_NEEDED}")
    if error.status == requests.codes.not_found:
        return FacemaskError(f"the token in {TOKEN} does not see {place.name} on GitHub: {_NEEDED}")
    said = without_secrets(str(error.message or error.data), [place.token])
    if error.status == requests.codes.forbidden:
        return FacemaskError(f"the token in {TOKEN} may not do this, says GitHub ({said}): {_NEEDED}")
    return FacemaskError(
        f"GitHub refused with {error.status} ({said}): publish again later, or look at the token in {TOKEN}"
    )


def _report(repository: Repository, outcome: Outcome) -> str:
    for issue in repository.get_issues(state="open"):
        if issue.title == outcome.title and issue.pull_request is None:
            issue.create_comment(outcome.body)
            return f"It failed again; added to {issue.html_url}"
    issue = repository.create_issue(title=outcome.title, body=outcome.body)
    return f"It failed; opened {issue.html_url}"


def _propose(repository: Repository, outcome: Outcome, project: Path, place: Place) -> str:
    base = outcome.base or repository.default_branch
    head = f"{place.name.split('/')[0]}:{outcome.branch}"
    for pull in repository.get_pulls(state="all", head=head, base=base):
        if pull.state == "open":
            pull.edit(title=outcome.title, body=outcome.body)
            return f"The same news as before; updated {pull.html_url}"
        if pull.merged_at is None and _REPLACED not in pull.title:
            return f"The same news was turned down in {pull.html_url}; reopen that if you want it after all"
    _push(project, outcome.branch, place)
    pull = repository.create_pull(base=base, head=outcome.branch, title=outcome.title, body=outcome.body)
    replaced = _close_older(repository, pull, base)
    return f"Opened {pull.html_url}" + (f", which replaces {', '.join(replaced)}" if replaced else "")


def _close_older(repository: Repository, pull: PullRequest, base: str) -> list[str]:
    """Close the open pull requests of earlier runs: the newer one has all of their news."""
    closed = []
    for older in repository.get_pulls(state="open", base=base):
        own = older.head.repo is not None and older.head.repo.full_name == repository.full_name
        if own and older.head.ref.startswith(BRANCHES) and older.number != pull.number:
            older.edit(state="closed", title=f"{older.title}{_REPLACED}{pull.number})")
            closed.append(f"#{older.number}")
    return closed


def _push(project: Path, branch: str, place: Place) -> None:
    """Push a branch to `origin`, over an older one of that name.

    The token goes to git through the environment, so that it stands neither in the list of processes nor in a file.
    For an `origin` that is reached by SSH or is a folder, git does not look at it.
    """
    credentials = base64.b64encode(f"x-access-token:{place.token}".encode()).decode()
    settings = {f"http.{place.server}/.extraheader": f"Authorization: Basic {credentials}", "credential.helper": ""}
    environment = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    reference = f"refs/heads/{branch}"
    done = subprocess.run(
        ["git", "push", "--force", "--quiet", "--no-verify", "origin", f"{reference}:{reference}"],
        cwd=project,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = without_secrets(done.stderr.strip(), [place.token, credentials]) or f"ended with {done.returncode}"
        raise FacemaskError(
            f"git could not push {branch} to origin ({said}); if the token in {TOKEN} is the reason: {_NEEDED}"
        )
