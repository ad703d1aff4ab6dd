"""The README shows what happens."""

import pathlib
import re

from tests.models import defaults_of_jax

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text()


def test_the_example_of_the_readme_prints_what_it_says(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    with defaults_of_jax():
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out == code.rpartition("# ")[2]


def test_the_files_that_the_readme_links_to_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    root = pathlib.Path(__file__).parents[1]
    assert links
    assert [link for link in links if not (root / link).exists()] == []
