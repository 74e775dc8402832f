"""What trainers that are built on torchkit let a person choose: the options' types, defaults and contradictions.

Standard library only: a plugin's host half declares them, its worker half trains with them.
"""
