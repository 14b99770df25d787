"""What every other package stands on: classes, settings, errors, files, progress."""
