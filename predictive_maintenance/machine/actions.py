"""The actions of several exceeded operating limits as one list."""

from collections.abc import Iterable


def merged_actions(actions: Iterable[str]) -> str:
    """The actions as a list in words, each once: "lower torque or speed, and replace the tool"; '' if there are none.

    An action with alternatives is left out if one of these is needed in any case: "replace the tool or lower the torque"
    beside "replace the tool".
    """
    unique = tuple(dict.fromkeys(actions))
    needed = [
        action for action in unique if not any(other != action and other in action.split(" or ") for other in unique)
    ]
    *others, last = needed or [""]
    return f"{', '.join(others)}, and {last}" if others else last
