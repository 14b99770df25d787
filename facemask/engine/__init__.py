"""Where independent pieces of work run: in threads of this process, or as tasks of a Ray cluster."""
