"""Texts of unknown origin as people read them."""


def printable(text: str) -> str:
    """The text on one line, without control characters and repeated spaces."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
