"""timm for visiontrain: image classifiers."""
