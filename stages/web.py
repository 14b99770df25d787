"""Write the browser page with the exported model; off unless `web.enabled`."""

from pathlib import Path

from facemask.core.stage_runner import run


def main() -> None:
    """Read the export and the licence; write `web/`, with a notice only if disabled."""
    from facemask.core.params import load_params
    from facemask.web.bundle import write_notice, write_page

    if load_params().web.enabled:
        write_page(Path("export"), Path("LICENSE"), Path("web"))
    else:
        write_notice(Path("web"))


if __name__ == "__main__":
    run(main)
