"""Upload to the Hugging Face Hub: a model repository, and a static Space for the browser page."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperationAdd, HfApi, SpaceCardData, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import disable_progress_bars, validate_repo_id

from facemask.core.errors import FacemaskError
from facemask.core.redaction import without_secrets
from facemask.export.formats import FORMATS
from facemask.faces.detector import DETECTOR_FILE

CARD = "README.md"
MAIN = "main"
LABELS = "labels.json"
_PAGE = "index.html"
_NEEDED = "a token with write access, in HF_TOKEN or from `hf auth login`"


@dataclass(frozen=True)
class Upload:
    """Files for one repository.

    Attributes:
        repo: `owner/name`.
        kind: of the repository.
        card: content of its README.md.
        files: path in the repository -> local file.
        branch: to commit to.
    """

    repo: str
    kind: Literal["model", "space"]
    card: str
    files: dict[str, Path]
    branch: str = MAIN


def check_repo(repo: str) -> None:
    """Check the name of a repository.

    Raises:
        FacemaskError: it is not `owner/name` as the Hub allows them.
    """
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise FacemaskError(f"{repo!r} cannot be the name of a repository: {error}") from error
    if "/" not in repo:
        raise FacemaskError(f"{repo!r} has no owner: give owner/name, where the owner is you or an organisation")


def export_files(export: Path) -> dict[str, Path]:
    """List the files of an exported model; nothing else that lies in the folder is among them.

    Returns:
        Path in the repository -> local file.

    Raises:
        FacemaskError: a format is missing.
    """
    found: dict[str, Path] = {}
    for name in (*FORMATS.values(), LABELS):
        path = export / name
        if path.is_dir():
            found |= {file.relative_to(export).as_posix(): file for file in path.rglob("*") if file.is_file()}
        elif path.is_file():
            found[name] = path
        else:
            raise FacemaskError(f"{path} is missing; run `dvc repro export`")
    if (export / DETECTOR_FILE).is_file():  # not every export has it: `export.face_detector` decides
        found[DETECTOR_FILE] = export / DETECTOR_FILE
    return dict(sorted(found.items()))


def page_files(page: Path, export: Path) -> dict[str, Path]:
    """List the files of the browser page, without hidden ones and without a README.md: the Space has its own.

    Args:
        page: its folder.
        export: folder of the exported model, which the page has to contain.

    Returns:
        Path in the repository -> local file.

    Raises:
        FacemaskError: the folder is missing, has no `index.html`, or contains another model.
    """
    if not (page / _PAGE).is_file():
        raise FacemaskError(f"{page / _PAGE} is missing: give the folder of the browser page with --page")
    names = {file.relative_to(page): file for file in sorted(page.rglob("*")) if file.is_file()}
    labels = (export / LABELS).read_bytes()
    if other := [file for file in names.values() if file.name == LABELS and file.read_bytes() != labels]:
        raise FacemaskError(f"{other[0]} is of another model than {export}: make the page again")
    return {
        name.as_posix(): file
        for name, file in names.items()
        if name.as_posix() != CARD and not any(part.startswith(".") for part in name.parts)
    }


def space_card(space: str, model: str, licence: str) -> str:
    """Write the README.md that makes a repository a static Space.

    Args:
        space: `owner/name` of the Space.
        model: `owner/name` of the model that the page shows.
        licence: identifier of the licence on the Hub.
    """
    data = SpaceCardData(
        title=space.split("/")[-1], sdk="static", app_file=_PAGE, models=[model], license=licence, pinned=False
    )
    text = f"Browser page of the model `{model}`. A static Space has no server: the model runs in the browser."
    return f"---\n{data.to_yaml()}\n---\n\n{text}\n"


def describe(upload: Upload) -> str:
    """List the files of an upload with their sizes, then its README.md."""
    sizes = {CARD: len(upload.card.encode()), **{name: file.stat().st_size for name, file in upload.files.items()}}
    lines = [
        f"{upload.kind} {upload.repo}, branch {upload.branch}: {len(sizes)} files, {sum(sizes.values()):,} bytes",
        "",
    ]
    lines += [f"{size:>12,}  {name}" for name, size in sizes.items()]
    return "\n".join([*lines, "", f"{CARD}:", "", upload.card])


def push(upload: Upload, message: str, private: bool = False) -> str:
    """Create the repository and the branch if they are missing, and commit the files in one commit.

    Contents that the Hub has already are not sent again; if nothing differs, there is no commit. Other files in the
    repository are left alone.

    Args:
        upload: what to send.
        message: of the commit.
        private: whether only the owner may see the repository.

    Returns:
        What was done, in a sentence.

    Raises:
        FacemaskError: there is no token or it is refused, the Hub is unreachable or refuses, or the repository is
            public although it should be private.
    """
    token = get_token()
    if token is None:
        raise FacemaskError(f"there is no Hugging Face token: this needs {_NEEDED}")
    if not sys.stderr.isatty():
        disable_progress_bars()
    api = HfApi(token=token)
    try:
        sdk = "static" if upload.kind == "space" else None
        # Public is not asked for, so that an organisation's own default applies.
        api.create_repo(upload.repo, repo_type=upload.kind, private=private or None, space_sdk=sdk, exist_ok=True)
        if upload.branch != MAIN:
            api.create_branch(upload.repo, repo_type=upload.kind, branch=upload.branch, exist_ok=True)
        before = api.repo_info(upload.repo, repo_type=upload.kind, revision=upload.branch)
        if private and not before.private:
            raise FacemaskError(
                f"{upload.repo} exists and is public: make it private in its settings on the Hub, or omit --private"
            )
        operations = [CommitOperationAdd(CARD, upload.card.encode())]
        operations += [CommitOperationAdd(name, file) for name, file in upload.files.items()]
        commit = api.create_commit(
            upload.repo, operations, commit_message=message, repo_type=upload.kind, revision=upload.branch
        )
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise _explain(error, upload, api.endpoint, token) from error
    if commit.oid == before.sha:
        return f"{upload.kind} {upload.repo}: nothing new"
    return f"{upload.kind} {upload.repo}: published, {commit.commit_url}"


def _explain(error: Exception, upload: Upload, address: str, token: str) -> FacemaskError:
    """Say in a sentence why an upload failed.

    Errors of requests are `HfHubHTTPError` if the Hub answered, else `HTTPError`. The two ways of sending large files
    have others: Xet raises `OSError`, LFS wraps the error in a `RuntimeError`. Refused metadata is a `ValueError`.
    """
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        return _explain(error.__cause__, upload, address, token)
    if isinstance(error, OfflineModeIsEnabled):
        return FacemaskError("HF_HUB_OFFLINE is set, so nothing can be published: unset it")
    what = f"the {upload.kind} {upload.repo}"
    if not isinstance(error, HfHubHTTPError):
        said = " ".join(without_secrets(str(error), [token]).split())
        if isinstance(error, ValueError):
            return FacemaskError(
                f"Hugging Face refuses the {CARD} of {what} ({said}): is --licence a licence it knows?"
            )
        return FacemaskError(
            f"sending {what} to {address} failed ({said}): check the network, and HF_ENDPOINT if set, and publish again"
        )
    status = error.response.status_code
    if status == 401:
        return FacemaskError(f"Hugging Face refuses the token: this needs {_NEEDED}")
    said = without_secrets(error.server_message or str(error).partition("\n")[0], [token])
    if status == 403:
        return FacemaskError(f"the token may not write to {what} ({said}): this needs {_NEEDED}")
    if status == 404:
        return FacemaskError(f"Hugging Face does not show {what} ({said}): check the name, and the token's rights")
    return FacemaskError(f"Hugging Face refused {what} with {status}: {said}")
