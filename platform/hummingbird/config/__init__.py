"""The settings tree, how it is loaded, and the command line that every verb shares."""
