"""The user of this process, whom records name."""

import getpass
import os


def process_user() -> str:
    """The user of the operating system, by name if it has one: a container's may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
