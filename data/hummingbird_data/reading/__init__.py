"""From a source file to clips, in a child process with limits."""
