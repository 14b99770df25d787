import pytest

from facemask.core.redaction import without_secrets


@pytest.mark.parametrize("name", ["KAGGLE_API_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "DB_PASSWORD"])
def test_the_value_of_a_secret_variable_is_hidden(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "open sesame")
    assert without_secrets("it said open sesame.") == "it said ***."


def test_other_variables_and_short_values_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYBOARD", "open sesame")
    monkeypatch.setenv("A_TOKEN", "true")
    assert without_secrets("open sesame is true") == "open sesame is true"


def test_what_is_known_is_hidden_whole_if_one_secret_begins_like_another() -> None:
    assert without_secrets("abcdefgh abcdef", ["abcdef", "abcdefgh"]) == "*** ***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("get http://store/x?sig=0a1b now", "get http://store/x?*** now"),
        ("Authorization: Basic eDp5", "Authorization: ***"),
        ("https://bot:pass@store/x", "https://***@store/x"),
        ("KGAT_0a1b, ghp_0a1B, github_pat_0a_1b, glpat-0a1b", "***, ***, ***, ***"),
        (f"key {'0f' * 16}", "key ***"),
        (f"content {'0f' * 32}", f"content {'0f' * 32}"),
        (f"Missing cache files: md5: {'0f' * 16}", f"Missing cache files: md5: {'0f' * 16}"),
        ("train 1a2b3c4, 8,982 images", "train 1a2b3c4, 8,982 images"),
    ],
)
def test_what_looks_secret_is_hidden_and_content_hashes_are_not(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
