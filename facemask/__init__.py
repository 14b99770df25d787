"""Face-mask classification: the library behind the pipeline stages and the command `facemask`."""
