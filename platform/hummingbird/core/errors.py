"""The one error that is shown to users as a sentence instead of a traceback."""


class InputError(Exception):
    """What the user gave cannot be used. The message is one line and says what to do instead."""
