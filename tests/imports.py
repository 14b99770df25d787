"""Which files of the project a script imports, directly or through others: read from the source, nothing is run."""

import ast
from pathlib import Path


def project_files(script: Path, root: Path) -> set[str]:
    """Return `script` and every module of `facemask` it can reach, as posix paths relative to `root`.

    Imports inside functions count; those under `if TYPE_CHECKING:` don't, since they are never read at run time.
    """
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _imported(file, root)
    return {file.relative_to(root).as_posix() for file in seen}


def _imported(file: Path, root: Path) -> list[Path]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and "TYPE_CHECKING" in ast.dump(guard.test)
        for node in ast.walk(guard)
    }
    names: list[str] = []
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    found = []
    for name in names:
        parts = name.split(".")
        if parts[0] == "facemask":
            for length in range(1, len(parts) + 1):
                base = root.joinpath(*parts[:length])
                found += [path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()]
    return found


def only_docstring(file: Path) -> bool:
    """Whether a module has no code: the `__init__.py` of most packages, which changes no output."""
    return all(isinstance(node, ast.Expr) for node in ast.parse(file.read_text(encoding="utf-8")).body)
