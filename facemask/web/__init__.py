"""The browser page: its files, the runtime, and a local server."""
