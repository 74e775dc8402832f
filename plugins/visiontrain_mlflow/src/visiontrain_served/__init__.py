"""What a logged model is served by. It is copied into the model: neither visiontrain nor torch is there."""
