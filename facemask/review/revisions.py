"""Files of the project in a git revision, from git or DVC."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.api import DVCFileSystem
from dvc.config import ConfigError
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo
from dvc.scm import NoSCM, SCMError, map_scm_exception
from dvc_data.index import DataIndexDirError

from facemask.core.errors import FacemaskError

WORK_TREE = "the work tree"


class MissingFileError(FacemaskError):
    """A revision does not have a file, or its content is nowhere to be had."""


class Revision:
    """The files of the project in one git revision, or in the work tree.

    What git has is read from git. What DVC has is read from the DVC cache, else from the remote; nothing is checked out
    and nothing is written. In the work tree, a file that DVC tracks and that is not there is read in the same way.

    Attributes:
        name: what to call the revision, such as "main (1a2b3c4)" or "the work tree".
        sha: of the commit; "" for the work tree.
    """

    def __init__(self, project: Path, rev: str | None) -> None:
        """Find the revision.

        Args:
            project: the folder with `.dvc`; the git repository may begin above it.
            rev: whatever git can resolve, or the name of a DVC experiment; None for the work tree.

        Raises:
            FacemaskError: `project` is no DVC project in a git repository, or git does not know the revision.
        """
        try:
            with Repo(project) as here:
                if isinstance(here.scm, NoSCM):
                    raise SCMError("DVC was told to do without git")
                root, config = Path(here.root_dir), _storage(here)
                folder = root.relative_to(here.scm.root_dir)
        except NotDvcRepoError as error:
            raise FacemaskError(
                f"{project.resolve()} is not a DVC project: run the command in the project's folder"
            ) from error
        except SCMError as error:
            raise FacemaskError(
                f"{project.resolve()} is in no git repository, so it has no revisions: run the command in a clone of "
                "the project"
            ) from error
        except (DvcException, ConfigError) as error:
            raise FacemaskError(
                f"the DVC project cannot be read ({error}): correct that file, or restore it with `git checkout`"
            ) from error
        if root != project.resolve():
            raise FacemaskError(f"the DVC project begins in {root}: run the command there")
        # Without its own factory DVC would read a project below the root of git without the remotes set up here.
        factory = partial(Repo, config=config)
        self._files = DVCFileSystem(root, rev=rev, subrepos=True, config=config, repo_factory=factory)
        try:
            with map_scm_exception():
                self.sha = str(self._files.repo.get_rev()) if rev else ""
            if rev == "":
                raise SCMError("an empty name")
        except (SCMError, AttributeError) as error:  # the latter where git knows the name, but as that of a file
            raise FacemaskError(
                f"git does not know the revision {rev!r} here: check the name, or run `git fetch` first (in a shallow "
                "clone `git fetch --unshallow`)"
            ) from error
        self.name = f"{rev} ({self.sha[:7]})" if rev else WORK_TREE
        self._folder = PurePosixPath(folder.as_posix()) if rev else PurePosixPath()

    def read(self, path: str) -> bytes:
        """Return the content of a file.

        Args:
            path: relative to the project, with forward slashes.

        Raises:
            MissingFileError: the revision does not have the file, or DVC can't get at its content.
            FacemaskError: the revision's own DVC files are broken.
        """
        return bytes(self._asked(path, self._files.read_bytes))

    def names(self, path: str) -> list[str]:
        """Return the names of the files and folders in a folder, sorted.

        Args:
            path: relative to the project, with forward slashes.

        Raises:
            MissingFileError: the revision does not have the folder, or DVC can't get at the list of what is in it.
            FacemaskError: the revision's own DVC files are broken.
        """
        return sorted(PurePosixPath(one).name for one in self._asked(path, partial(self._files.ls, detail=False)))

    def _asked(self, path: str, question: Callable[[str], Any]) -> Any:
        """Query the file system about a path, and turn failures into messages."""
        place = str(self._folder / path)
        try:
            return question(place)
        except (FileNotFoundError, DataIndexDirError) as error:
            raise MissingFileError(self._why_missing(path, place)) from error
        except DvcException as error:
            raise FacemaskError(f"{self.name}: {path} cannot be read ({error}); choose another revision") from error
        except Exception as error:  # whatever the client of the remote raises: there is one for every kind of storage
            raise MissingFileError(
                f"{path} of {self.name} cannot be fetched ({error!r}); check the remote with `dvc status --cloud`"
            ) from error

    def _why_missing(self, path: str, place: str) -> str:
        try:
            made = bool(self._files.info(place).get("dvc_info", {}).get("md5"))
        except FileNotFoundError:
            made = False
        if made:
            return (
                f"{path} of {self.name} is in neither the DVC cache nor a remote that can be reached: look at `dvc "
                "remote list`, and have `dvc push` run where the file was made"
            )
        if self.sha:
            return f"{self.name} has no {path}; choose a revision with a finished run, its dvc.lock committed"
        return f"{self.name} has no {path}; run `dvc repro` or `dvc pull`"


def _storage(repo: Repo) -> dict[str, dict[str, object]]:
    """Return where the work tree keeps its files: a revision may be older than the remote, or its cache elsewhere.

    Paths in it are absolute already; those in the revision's own configuration could not be resolved.
    """
    storage = {section: dict(repo.config[section]) for section in ("core", "remote") if repo.config.get(section)}
    return {**storage, "cache": {**repo.config["cache"], "dir": os.fspath(repo.cache.local_cache_dir)}}
