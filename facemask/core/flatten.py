"""Nested settings as dotted names, such as `train.dropout`."""

import json
from collections.abc import Mapping
from typing import Any


def dotted(settings: Any, prefix: str = "") -> dict[str, str]:
    """Name every setting by its dotted path; values are written as JSON."""
    if not isinstance(settings, Mapping):
        return {prefix.removesuffix("."): json.dumps(settings, ensure_ascii=False, default=str)}
    return {name: value for key, part in settings.items() for name, value in dotted(part, f"{prefix}{key}.").items()}


def differing(old: Any, new: Any) -> list[tuple[str, str, str]]:
    """List name, old and new value of each setting that differs; "" where there is none."""
    before, after = dotted(old), dotted(new)
    return [
        (name, before.get(name, ""), after.get(name, ""))
        for name in {**after, **before}
        if before.get(name) != after.get(name)
    ]
