"""Redaction of secrets in messages and logs."""

import os
import re
from collections.abc import Collection

# 64 digits are left alone: no service in use here has such keys, and content hashes have to be readable. So has what
# DVC says of a file that it misses ("md5: " and 32 digits).
_LOOKS_SECRET = re.compile(
    r"(?<=\?)\S+|\b(?:Bearer|Basic) .*|\bKGAT_\w+|\b(?:gh[a-z]|github_pat|glpat)[_-][\w-]+|(?<=//)[^/\s@]+(?=@)"
    r"|(?<!\bmd5: )\b(?:[0-9a-fA-F]{32,63}|[0-9a-fA-F]{65,})\b"
)
_NAMED_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSPHRASE|CREDENTIAL|CONNECTION_STRING|(?:^|_)KEY(?:_ID)?$")
_SHORTEST = 6  # characters; hiding every "1" or "true" would leave nothing to read


def without_secrets(text: str, known: Collection[str] = ()) -> str:
    """Return `text` with `***` for the values of secret environment variables, for `known`, and for what looks secret.

    A variable is secret if its name says so (KAGGLE_API_TOKEN, AWS_SECRET_ACCESS_KEY). What looks secret are query
    strings, authorization headers, users in addresses, tokens of Kaggle, GitHub and GitLab, and long hexadecimal
    numbers other than of 64 digits and DVC's hashes.
    """
    named = (value for name, value in os.environ.items() if sounds_secret(name))
    for secret in sorted({*named, *known}, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "***")
    return _LOOKS_SECRET.sub("***", text)


def sounds_secret(name: str) -> bool:
    """Check whether a setting or variable of this name holds a secret."""
    return bool(_NAMED_SECRET.search(name.upper()))
