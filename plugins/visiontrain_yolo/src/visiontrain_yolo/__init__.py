"""Ultralytics for visiontrain: detection and its relatives."""
