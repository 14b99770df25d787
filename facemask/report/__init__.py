"""The report of a run: HTML page, Markdown summary and model card."""
