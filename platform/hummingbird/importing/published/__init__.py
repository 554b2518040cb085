"""One module a published format, each with its ``FORMAT``: a file put here is a format that the verb takes."""
