"""The program `structkit-migrate`: what it prints and writes, its exit codes, and files that it cannot read."""

import os
import pathlib
import re
import stat
import subprocess
import sys

import pytest

from structkit._migrate.command import main, python_files

BEFORE = """\
from flax import struct


@struct.dataclass
class A:
    x: float


@struct.dataclass(unsafe_hash=True)
class B:
    x: float
"""
AFTER = """\
from flax import struct
from structkit import Struct


class A(Struct):
    x: float


@struct.dataclass(unsafe_hash=True)
class B:
    x: float
"""
DIFF = """\
--- a/a.py
+++ b/a.py
@@ -1,8 +1,8 @@
 from flax import struct
+from structkit import Struct
{blank}
{blank}
-@struct.dataclass
-class A:
+class A(Struct):
     x: float
{blank}
{blank}
""".format(blank=" ")
LEFT = "left: B stays as it is: structs have no option unsafe_hash=True; write __hash__ and drop the option\n"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name, text):
    folder = os.path.dirname(name)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(name, "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def read(name):
    with open(name, "rb") as file:
        return file.read().decode()


def test_it_prints_a_diff_and_writes_nothing(capsys):
    write("a.py", BEFORE)
    assert main(["a.py"]) == 1
    shown = capsys.readouterr()
    assert shown.out == DIFF
    assert shown.err == f"a.py:9: {LEFT}1 of 1 files to rewrite, 1 places for you\n"
    assert read("a.py") == BEFORE


def test_write_changes_the_files_and_gives_the_lines_of_the_new_text(capsys):
    write("a.py", "import os\nfrom flax import struct\n" + BEFORE.partition("\n")[2].replace("class A", "# A\nclass A"))
    os.chmod("a.py", 0o751)
    assert main(["a.py", "--write"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"a.py:11: {LEFT}1 of 1 files rewritten, 1 places for you\n"
    assert read("a.py").splitlines()[10] == "@struct.dataclass(unsafe_hash=True)"
    assert stat.S_IMODE(os.stat("a.py").st_mode) == 0o751
    assert os.listdir() == ["a.py"]


def test_the_diff_can_be_applied(capsys):
    for name, text in {"a.py": BEFORE, "b.py": BEFORE.rstrip("\n"), "c/c.py": "\n" + BEFORE + "\n\n"}.items():
        write(name, text)
    main(["."])
    write("changes.patch", capsys.readouterr().out)
    subprocess.run(["git", "apply", "changes.patch"], check=True)
    assert read("a.py") == AFTER
    assert read("b.py") == AFTER.rstrip("\n")
    assert read("c/c.py") == "\n" + AFTER + "\n\n"


def test_nothing_left_to_a_person_is_exit_code_0(capsys):
    write("a.py", "import jax\n")
    assert main(["a.py"]) == 0
    assert capsys.readouterr().err == "0 of 1 files to rewrite, 0 places for you\n"


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("broken.py", "class A(:\n    pass\n", "not read: line 2: "),
        ("returns.py", b"x = 1\ry = 2\r", "not read: "),
        ("latin.py", b"x = '\xff'\n", "not read: "),
        ("cookie.py", b"# coding: no-such\nx = 1\n", "not read: "),
        ("zeros.py", b"\0\0\0", "not read: "),
        ("picture.png", b"\x89PNG\r\n\x1a\n\xff", "not read: "),
        ("deep.py", "x = " + "(" * 5000 + ")" * 5000 + "\n", "not read: it is nested too deeply"),
    ],
)
def test_what_is_no_python_is_named_and_the_others_go_on(name, content, reason, capsys):
    write(name, content)
    write("a.py", BEFORE)
    assert main([name, "a.py"]) == 2
    shown = capsys.readouterr()
    assert shown.out == DIFF
    lines = shown.err.splitlines()
    assert lines[0].startswith(f"{name}: {reason}")
    assert len(lines) == 3


def test_a_path_that_is_not_there_is_named(capsys):
    write("a.py", BEFORE)
    assert main(["none.py", "a.py"]) == 2
    assert capsys.readouterr().err.startswith("none.py: not read: No such file or directory\n")


def test_a_file_that_cannot_be_written_is_named(capsys, monkeypatch):
    write("folder/a.py", BEFORE)

    def refuse(*names):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    assert main(["folder", "--write"]) == 2
    assert "folder/a.py: not written: Permission denied\n" in capsys.readouterr().err
    assert os.listdir("folder") == ["a.py"]
    assert read("folder/a.py") == BEFORE


def test_folders_are_searched_without_hidden_ones_environments_and_caches(tmp_path):
    for name in ("b/a.py", "b/.hidden/a.py", "b/__pycache__/a.py", "b/venv/lib/a.py", "b/c/a.py", "b/a.txt", "b/a.pyi"):
        write(name, "")
    write("b/venv/pyvenv.cfg", "")
    os.symlink("..", "b/c/loop")
    found = [path.as_posix() for path in python_files([tmp_path / "b", tmp_path / "b/c/a.py"])]
    assert found == [f"{tmp_path}/b/a.py", f"{tmp_path}/b/c/a.py"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-8"])
def test_encodings_are_kept(encoding):
    cookie = "# -*- coding: latin-1 -*-\n" if encoding == "latin-1" else ""
    write("a.py", (cookie + BEFORE.replace("class A:", "class A:  # é")).encode(encoding))
    main(["a.py", "--write"])
    with open("a.py", "rb") as file:
        assert file.read() == (cookie + AFTER.replace("class A(Struct):", "class A(Struct):  # é")).encode(encoding)


def test_the_page_shows_what_the_command_prints(capsys):
    page = (pathlib.Path(__file__).parents[2] / "docs" / "migrate-command.md").read_text(encoding="utf-8")
    before, diff, listed = re.findall(r"^```(?:python|diff|console)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    write("particles.py", before)
    assert main(["particles.py"]) == 1
    assert capsys.readouterr() == (diff, listed)


def test_without_libcst_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "libcst", None)
    assert main(["a.py"]) == 2
    assert capsys.readouterr().err == "structkit-migrate needs libcst: pip install 'structkit-jax[migrate]'\n"


def test_the_help_says_what_the_exit_codes_mean(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "exit codes:" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
