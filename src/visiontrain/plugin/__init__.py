"""Frameworks that other distributions add: what they declare, and how they are found."""
