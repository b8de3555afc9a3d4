"""Read a key or a token from the environment for a header of a request."""


def header_secret(text: str) -> str:
    """The secret without surrounding spaces: a file of it often ends with a line feed.

    Raises ValueError, without the secret, if it has characters that a header cannot have: HTTP clients would show it then.
    """
    secret = text.strip()
    if not (secret.isascii() and secret.isprintable()):
        raise ValueError("must be printable ASCII")
    return secret
