"""Trainers, each with one defect, named after it."""
