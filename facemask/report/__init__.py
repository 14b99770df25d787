"""The report of a run: one HTML page, a Markdown summary and a model card, all made from what other stages wrote."""
