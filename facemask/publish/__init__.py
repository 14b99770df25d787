"""Publishing the model: its card with metadata, and the upload to the Hugging Face Hub."""
