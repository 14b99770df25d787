"""Using a trained model on photographs and video."""
