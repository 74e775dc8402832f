"""What the conformance kit checks, a subject a module."""
