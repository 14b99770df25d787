"""Check that `dvc.lock` is current, without data, cache or remote."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.output import Output
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from dvc.stage import PipelineStage

from facemask.core.errors import FacemaskError
from facemask.core.flatten import differing

LOCK = "dvc.lock"
CURRENT = f"{LOCK} is current: no stage needs to run again."
REPAIR = "Run `dvc repro`, then commit dvc.lock, metrics/ and plots/."


@dataclass(frozen=True)
class Stale:
    """A stage that `dvc repro` would run again.

    Attributes:
        stage: its name, such as "train" or "download@sample".
        reasons: what differs from `dvc.lock`, in words.
    """

    stage: str
    reasons: tuple[str, ...]


def stale_stages(project: Path) -> list[Stale]:
    """List the stages whose entry in `dvc.lock` is not current, in the order in which they run.

    It is what `dvc repro --dry --allow-missing` goes by: outs and data that are not here, because they are in the DVC
    cache of somebody else, are taken to be what `dvc.lock` says. Two things are looked at more closely: a file of git
    that is missing counts as changed, and data that is not here must be named alike by the stage that makes it and by
    every stage that reads it, wherever in the pipeline.

    Stages that come after one of them run again only if its outs change, and are not listed for that.

    Raises:
        FacemaskError: there is no DVC project, or its files cannot be read.
    """
    _refuse_conflict(project / LOCK)
    try:
        with Repo(str(project)) as repo, repo.lock:
            made = {out.fs_path: out for out in repo.index.outs}
            stages = [stage for stage in plan_repro(repo.index.graph) if isinstance(stage, PipelineStage)]
            found = [Stale(stage.name, tuple(_reasons(stage, made))) for stage in stages]
    except NotDvcRepoError as error:
        raise FacemaskError(
            f"{project.resolve()} is not a DVC project: run the command in the project's folder"
        ) from error
    except DvcException as error:
        raise FacemaskError(
            f"the pipeline cannot be read ({error}): correct that file, or restore it with `git checkout`"
        ) from error
    return [one for one in found if one.reasons]


def explain(stale: list[Stale]) -> str:
    """Explain which stage is the first to run again, why, and what to do."""
    first, *others = stale
    because: dict[tuple[str, ...], list[str]] = {}
    for one in others:
        because.setdefault(one.reasons, []).append(one.stage)
    lines = [f"{LOCK} is not current: the stage {first.stage} must run again, because {_listed(first.reasons)}."]
    lines += [f"So must {_listed(names, len(names))}, because {_listed(why)}." for why, names in because.items()]
    return "\n".join([*lines, REPAIR])


def _refuse_conflict(lock: Path) -> None:
    try:
        text = lock.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if not (lock.parent / "dvc.yaml").exists():
            raise FacemaskError(
                f"{lock.parent.resolve()} has no dvc.yaml: run the command in the project's folder"
            ) from error
        raise FacemaskError(f"{lock} is missing: the pipeline was never run here. {REPAIR}") from error
    except UnicodeDecodeError as error:
        raise FacemaskError(
            f"{lock} is damaged, it is not UTF-8 text: restore it with `git checkout {LOCK}`. {REPAIR}"
        ) from error
    if any(line.startswith(("<<<<<<< ", ">>>>>>> ")) for line in text.splitlines()):
        raise FacemaskError(
            f"{lock} holds a merge conflict: take either version (`git checkout --ours {LOCK}`). {REPAIR}"
        )


def _reasons(stage: PipelineStage, made: dict[str, Output]) -> Iterator[str]:
    """Return the differences of a stage from its entry in `dvc.lock`."""
    if not any(entry.hash_info for entry in (*stage.deps, *stage.outs)):
        yield f"{LOCK} has no entry of it"
        return
    if stage.changed_stage():
        yield "its command in dvc.yaml changed"
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            if dep.status():
                keys = [name for name, *_ in differing(dep.hash_info.value, dep.read_params())]
                yield f"{_listed(keys) or 'a setting'} in {dep.def_path} changed"
        else:
            yield from _about(dep, made)
    for out in stage.outs:
        if not out.use_cache and out.status():
            yield f"{out.def_path} is {'missing' if not out.exists else 'not what the stage wrote'}"
        elif out.use_cache and out.exists and out.changed_checksum():
            yield f"{out.def_path} is not what the stage wrote"


def _about(dep: Output, made: dict[str, Output]) -> Iterator[str]:
    """Check whether an input of a stage has changed; a missing one is judged by its producer.

    A folder that is empty, or lies outside the project and is missing, is taken to be what it was: photographs of one's
    own need not be in every clone.
    """
    if dep.exists:
        if dep.status() and not _is_empty(dep):
            yield f"{dep.def_path} changed"
        return
    maker = made.get(dep.fs_path)
    if maker is not None:
        if maker.hash_info != dep.hash_info:
            yield f"it read another {dep.def_path} than {LOCK} names as that of {maker.stage.name}"
    elif dep.is_in_repo and not any(_within(path, dep.fs_path) for path in made):
        yield f"{dep.def_path} is missing"


def _is_empty(dep: Output) -> bool:
    return dep.isdir() and not any(dep.repo.dvcignore.find(dep.fs, dep.fs_path))


def _within(path: str, other: str) -> bool:
    """Check whether one of two paths is a folder that contains the other."""
    return Path(path).is_relative_to(other) or Path(other).is_relative_to(path)


def _listed(items: Collection[str], most: int = 6) -> str:
    """Write "a, b and c"; of a long list, the first few."""
    shown = list(items)[:most]
    if more := len(items) - len(shown):
        shown.append(f"{more} more")
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))
