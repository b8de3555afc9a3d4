"""JSON as it should be, read in a fifth of pydantic's time.

The words are those of schemas.py, and stand there alone. What is refused here may be judged by pydantic, which names all
that is wrong with a body, and not just the first of it.
"""

from collections.abc import Callable
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

import msgspec


def msgspec_decoder(words: type, many: bool = False) -> Callable[[bytes], Any | None]:
    """Reads a body as a struct with the fields of `words`, a typed dict, or as a list of such; None for any other body.

    A field that is not required is None where it is left out.
    """
    fields: list[Any] = []
    for name, kind in get_type_hints(words, include_extras=True).items():
        optional = get_origin(kind) is NotRequired
        fields.append((name, get_args(kind)[0], None) if optional else (name, kind))
    struct = msgspec.defstruct(words.__name__, fields, kw_only=True, forbid_unknown_fields=True, gc=False)
    kind = list[struct] if many else struct  # type: ignore[valid-type]
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

    def decoded(body: bytes) -> Any | None:
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    return decoded
