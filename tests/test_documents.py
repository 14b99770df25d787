"""What the documents quote is what the committed results say."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.main import get_group

from facemask.cli.app import app
from facemask.summary import summarise_run
from tests.test_packages import ORDER

ROOT = Path(__file__).parents[1]


def test_the_readme_quotes_the_summary_of_the_committed_run(tmp_path: Path) -> None:
    # The committed metrics, not those of the work tree: another machine's run may differ in the last images.
    shown = subprocess.run(
        ["git", "show", "HEAD:metrics/details/evaluation.json"], cwd=ROOT, capture_output=True, check=False
    )
    if shown.returncode != 0:
        pytest.skip("no git repository with results")
    (tmp_path / "metrics/details").mkdir(parents=True)
    (tmp_path / "metrics/details" / "evaluation.json").write_bytes(shown.stdout)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for line in summarise_run(tmp_path).splitlines():
        assert f"    {line}\n" in readme


@pytest.mark.parametrize(
    "document", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md")), ids=lambda path: path.name
)
def test_every_file_that_a_document_links_to_is_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


def test_every_command_has_a_page_with_its_output() -> None:
    overview = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `facemask ([a-z-]+).*\]\(([a-z-]+\.md)\) \|$", overview, re.MULTILINE)
    assert [command for command, _ in rows] == list(get_group(app).commands)
    for command, page in rows:
        shown = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert re.search(rf"^    \$ facemask {command}\b.*(\n    .*)?\n    [^$]", shown, re.MULTILINE), (command, page)


def test_the_architecture_lists_the_packages_in_their_order() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z]+)` \|", page, re.MULTILINE) == list(ORDER)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_hooks_run_the_checks_of_the_gate() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    gate = {line.strip().removeprefix("$(BIN)/").removesuffix(" .") for line in recipe[1].splitlines()}
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    entries = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    hooks = {entry.removeprefix(".venv/bin/").removesuffix(" --force-exclude") for entry in entries}
    assert gate <= hooks, "a check of `make lint` that no hook runs"
