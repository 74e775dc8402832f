"""Hugging Face transformers, as a framework of visiontrain."""
