"""The packages of `facemask` are ordered; each imports only itself and those before it (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = (
    "core",
    "engine",
    "faces",
    "dataset",
    "presentation",
    "models",
    "data",
    "training",
    "export",
    "evaluation",
    "inference",
    "web",
    "serve",
    "report",
    "review",
    "publish",
)


def upward_imports(library: Path) -> Iterator[str]:
    """Name the imports from a package into a higher one, or into a module that lies in none, as "a.b -> c.d"."""
    height = {name: place for place, name in enumerate(ORDER)}
    for file in sorted(library.rglob("*.py")):
        module = file.relative_to(library.parent).with_suffix("").parts
        own = height.get(module[1], len(ORDER))
        for name in _imports(file):
            parts = name.split(".")
            if parts[0] == library.name and len(parts) > 1 and height.get(parts[1], len(ORDER)) > own:
                yield f"{'.'.join(module)} -> {name}"


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from facemask import review` names the package among the imported names.
            names = [alias.name for alias in node.names] if node.module == "facemask" else []
            yield from (f"{node.module}.{name}" for name in names) if names else [node.module]


def test_no_package_imports_a_higher_one() -> None:
    assert list(upward_imports(ROOT / "facemask")) == []


def test_every_package_has_its_place_in_the_order() -> None:
    packages = {folder.name for folder in (ROOT / "facemask").iterdir() if (folder / "__init__.py").is_file()}
    assert packages == {*ORDER, "cli"}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from facemask.review.gate import evaluate_gate", "facemask.training.trainer -> facemask.review.gate"),
        ("import facemask.review.gate", "facemask.training.trainer -> facemask.review.gate"),
        ("from facemask import report", "facemask.training.trainer -> facemask.report"),
        ("from facemask.cli import app", "facemask.training.trainer -> facemask.cli"),
    ],
)
def test_an_import_of_a_higher_package_is_reported_with_both_names(line: str, found: str, tmp_path: Path) -> None:
    module = tmp_path / "facemask" / "training" / "trainer.py"
    module.parent.mkdir(parents=True)
    module.write_text(
        f"from facemask.core.errors import FacemaskError\n\n\ndef train():\n    {line}\n", encoding="utf-8"
    )
    assert list(upward_imports(tmp_path / "facemask")) == [found]


def test_a_lower_package_and_the_own_one_may_be_imported(tmp_path: Path) -> None:
    module = tmp_path / "facemask" / "training" / "trainer.py"
    module.parent.mkdir(parents=True)
    module.write_text("from facemask.core import errors\nfrom facemask.training import timer\n", encoding="utf-8")
    assert list(upward_imports(tmp_path / "facemask")) == []
