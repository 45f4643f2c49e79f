import pytest

from polyreel.cli import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines, so a token is needed"),
        (["--token-file", "no-such-file"], "no-such-file: no such file or directory"),
        ([], "library is no index: it has no index.json; make one with `polyreel index`"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_one_line(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "library", *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_short_token_is_refused(capsys, tmp_path):
    (tmp_path / "token").write_text("guess\n")
    assert main(["serve", "library", "--host", "0.0.0.0", "--token-file", str(tmp_path / "token")]) == 2
    assert "the token has 5 characters; expected 16 or more" in capsys.readouterr().err
