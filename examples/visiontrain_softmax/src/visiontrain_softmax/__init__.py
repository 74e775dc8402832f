"""Softmax regression for visiontrain. The host imports `plugin`, the environment imports `trainer`."""
