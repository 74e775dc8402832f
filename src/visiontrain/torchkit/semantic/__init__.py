"""Models of any framework that say of each pixel what class it is of: what a plugin adds is the model."""
