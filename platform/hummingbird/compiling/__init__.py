"""Compiling: a model and a device to a package that a server loads in seconds."""
