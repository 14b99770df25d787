"""Answer over HTTP: `facemask serve`."""
