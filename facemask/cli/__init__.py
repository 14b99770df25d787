"""The command-line interface: `app` registers the commands, one module per group defines them."""
