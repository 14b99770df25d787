"""Default settings of face detection; imports nothing, so that `--help` stays quick."""

MARGIN = 0.2  # on each side of a face, as a share of its box; how it was chosen: docs/predict.md
MIN_SCORE = 0.65  # of the detector
MIN_FACE = 24  # pixels, of a face's box
