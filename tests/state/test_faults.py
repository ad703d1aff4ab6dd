"""What goes wrong around a file: kills, full disks, two savers, links, folders, rights."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from structkit import state
from structkit.errors import StateError
from structkit.state import _writing
from tests.models import run_python
from tests.state.trees import Layer, Net, net, same

PART = _writing._SUFFIX


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tree"


def refused(path, tree=1) -> str:
    """The text of the error, without the file's name."""
    with pytest.raises(StateError) as caught:
        state.save(path, tree)
    where, text = str(caught.value).split(": ", 1)
    assert where == str(path)
    return text


def test_places_that_are_none_for_a_file_are_refused_in_words(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    link = "is a symbolic link, which saving would replace by a file; save to where it leads, {}, or remove it"
    assert refused(tmp_path / "folder") == "is a folder; name a file in it"
    assert refused(tmp_path / "link") == link.format(tmp_path / "file")
    assert refused(tmp_path / "dangling") == link.format(tmp_path / "nowhere")
    assert refused(tmp_path / "pipe") == "is no ordinary file; choose another name"
    assert refused(tmp_path / "none" / "file") == (
        "cannot be written: No such file or directory; make its folder first"
    )
    assert refused(tmp_path / "file" / "file") == (
        "cannot be written: Not a directory; what is named as its folder is none; choose another"
    )
    assert refused(tmp_path / ("x" * 300)) == "cannot be written: File name too long; choose a shorter name"
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file", "folder", "link", "pipe"]
    state.save(tmp_path / ("x" * 250), 1)


def test_what_is_none_to_read_is_refused_in_words(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    texts = {
        tmp_path: "is a folder; name a file that state.save has written",
        tmp_path / "pipe": "is no ordinary file; name a file that state.save has written",
        tmp_path / "none": "cannot be read: No such file or directory; check the name",
    }
    for path, text in texts.items():
        for read in (lambda path: state.load(path, 1), state.inspect):
            with pytest.raises(StateError) as caught:
                read(path)
            assert str(caught.value) == f"{path}: {text}"


@pytest.mark.parametrize("name", ["a\0b", "\ud800"], ids=ascii)
def test_what_is_no_name_of_a_file_is_refused_in_words(name):
    for use in (state.inspect, lambda path: state.load(path, 1), lambda path: state.save(path, 1)):
        with pytest.raises(StateError) as caught:
            use(name)
        assert str(caught.value) == f"{name!a}: is no name of a file: no file system takes it; choose another name"


def test_the_old_file_stays_where_its_folder_cannot_be_opened(file):
    state.save(file, 1)
    # The lowest number that is free: one descriptor, for the new file.
    free = os.dup(0)
    os.close(free)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, limits[1]))
    try:
        text = refused(file, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert text == "cannot be written: Too many open files; see to the disk and the folder, and save again"
    assert state.load(file, 1) == 1
    assert os.listdir(file.parent) == [file.name]


def test_what_is_saved_and_loaded_while_the_interpreter_ends_is_there(file):
    shown = run_python(f"""
        import atexit
        import numpy as np
        from structkit import state

        @atexit.register
        def last():
            tree = [np.arange(5_000_000.0), np.ones(300_000)]
            state.save({str(file)!r}, tree)
            state.save({str(file)!r}, tree)
            print(*[found.sum() for found in state.load({str(file)!r}, tree)])
    """)
    assert shown == "12499997500000.0 300000.0\n"


def test_a_link_is_followed_when_it_is_read(file, tmp_path):
    state.save(file, [1])
    (tmp_path / "link").symlink_to(file.name)
    assert state.load(tmp_path / "link", list) == [1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_is_refused_in_words(tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert refused(tmp_path / "file") == (
            "cannot be written: Permission denied; ask for the rights to read its folder and to write to it"
        )
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_without_rights_is_refused_in_words():
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    file = folder / "tree"
    state.save(file, 1)
    file.chmod(0o600)
    os.seteuid(65534)
    try:
        assert (
            refused(file)
            == "cannot be written: Permission denied; ask for the rights to read its folder and to write to it"
        )
        with pytest.raises(StateError, match="cannot be read: Permission denied; see to the disk and to its rights"):
            state.load(file, 1)
    finally:
        os.seteuid(0)
    assert state.load(file, 1) == 1
    shutil.rmtree(folder)


# What is no tree for a file


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (
            lambda: [object()],
            "[0] is a leaf of the type object, which no file can hold; make it an array or a number, or",
        ),
        (lambda: {"a": jax.nn.relu}, "['a'] is a leaf of the type "),
        (lambda: object(), "the root is a leaf of the type object, which no file can hold; "),
        (
            lambda: [np.array([object()])],
            "[0] is an array of object, which no file can hold; make it an array of numbers",
        ),
        (lambda: jax.eval_shape(net), ".layers[0][0].w is a ShapeDtypeStruct, which has no values; save arrays"),
        (lambda: {1: 1, "a": 2}, "the root is a dict whose keys have no order; let all keys be texts, or all numbers"),
        (lambda: {frozenset(): 1}, "the root is a dict with a key of the type frozenset; let the keys be texts, "),
        (lambda: Layer(0, [1, deleted()]), ".b[1] is deleted: its buffer was donated; save what the donating function"),
    ],
)
def test_what_no_file_can_hold_is_refused_with_its_path_and_nothing_is_written(file, tree, text):
    assert refused(file, tree()).startswith(text)
    assert os.listdir(file.parent) == []


def deleted():
    array = jnp.ones(3)
    array.delete()
    return array


def test_a_tracer_is_refused(file):
    with pytest.raises(StateError, match=r"\[0\] is a tracer, which has no value yet; save outside of jit"):
        jax.jit(lambda x: state.save(file, [x]))(1.0)


def test_two_leaves_of_one_path_are_refused(file):
    @jax.tree_util.register_pytree_with_keys_class
    class Twin:
        def tree_flatten_with_keys(self):
            return [(jax.tree_util.GetAttrKey("a"), 1), (jax.tree_util.GetAttrKey("a"), 2)], None

        @classmethod
        def tree_unflatten(cls, aux, children):
            return cls()

    assert refused(file, Twin()) == (
        ".a is the path of two leaves, or taken by safetensors; give the children of its node keys that differ"
    )


def test_a_header_that_safetensors_would_not_read_is_refused(file, monkeypatch):
    monkeypatch.setattr(_writing, "MOST", 1000)
    assert refused(file, [1] * 100).startswith("would need a header of ")
    assert os.listdir(file.parent) == []


# Faults while a file is written


def limited(size, function):
    """Call a function while no file may become larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        return function()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [10, 5000, 1_000_000, 33_000_000])
def test_a_full_disk_leaves_the_old_file_and_no_litter(file, size):
    state.save(file, [1])
    text = limited(size, lambda: refused(file, [np.zeros(5_000_000), jnp.ones(3)]))
    assert text == (
        "cannot be written: File too large; raise the limit for the size of files (ulimit -f), and save again"
    )
    assert state.load(file, list) == [1]
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_the_progress_raises_passes_and_leaves_the_old_file(file, error):
    def raising(done, total):
        raise error

    state.save(file, [1])
    with pytest.raises(error):
        state.save(file, [np.zeros(3_000_000)], progress=raising)
    assert state.load(file, list) == [1]
    assert os.listdir(file.parent) == [file.name]
    with pytest.raises(error):
        state.load(file, list, progress=raising)


def test_the_garbage_collector_is_on_again_after_a_fault(file):
    import gc

    assert gc.isenabled()
    for tree in (object(), 1):
        with pytest.raises((StateError, ZeroDivisionError)):
            state.save(file, tree, progress=lambda *told: 1 / 0)
        assert gc.isenabled()
    gc.disable()
    try:
        state.save(file, 1)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_dead_savers_left_is_swept_and_what_is_written_is_not(file):
    left = [file.parent / f".{name}.{'0' * 16}{PART}" for name in ("tree", "other")]
    alien = file.parent / f".tree.notes{PART}"
    for path in (*left, alien):
        path.write_text("")
    seen = []

    def inner(done, total):
        """Save to the same path in the middle of a save."""
        if not seen:
            state.save(file, [1])
            seen.extend(name for name in os.listdir(file.parent) if name.startswith(".tree"))

    state.save(file, [np.zeros(3_000_000)], progress=inner)
    assert len(seen) == 2 and alien.name in seen
    assert sorted(os.listdir(file.parent)) == sorted([file.name, left[1].name, alien.name])


def test_threads_that_save_to_one_path_leave_one_of_their_files_whole(file):
    trees = [net().replace(step=i, layers=[np.full(200_000, i)]) for i in range(4)]
    errors = []

    def work(tree):
        try:
            for _ in range(5):
                state.save(file, tree)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(tree,)) for tree in trees]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if file.exists():
            found = state.load(file, Net)
            assert same(found, trees[found.step])
    for thread in threads:
        thread.join()
    assert errors == []
    assert os.listdir(file.parent) == [file.name]


FORKER = """
import os, random, signal, sys, time, numpy as np
from structkit import state

file, kills = sys.argv[1], int(sys.argv[2])
trees = {step: [step, np.full(400_000, step), [step] * 300] for step in range(kills + 1)}
state.save(file, trees[0])
start = time.perf_counter()
state.save(file, trees[0])
# Longer after a kill that came before the end, and shorter after one that came too late: a busy machine has both.
reach = 1.5 * (time.perf_counter() - start)
random.seed(0)
landed, last = 0, 0
for step in range(1, kills + 1):
    child = os.fork()
    if child == 0:
        state.save(file, trees[step])
        os._exit(0)
    time.sleep(random.uniform(0, reach))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    found = state.load(file, list)
    assert found[0] in (last, step), (found[0], last, step)
    assert not (status == 0 and found[0] != step)
    assert (found[1] == found[0]).all() and found[2] == [found[0]] * 300
    last = found[0]
    landed += last == step
    reach *= 0.8 if last == step else 1.2
state.save(file, trees[0])
assert os.listdir(os.path.dirname(file)) == [os.path.basename(file)]
print(landed)
"""


def test_kills_at_any_moment_leave_the_old_file_or_the_new_one(tmp_path):
    kills = 50
    (tmp_path / "folder").mkdir()
    shown = run_python(
        f"import sys, warnings\nsys.argv = ['', {str(tmp_path / 'folder' / 'tree')!r}, '{kills}']\n"
        "warnings.simplefilter('ignore')\n" + FORKER
    )
    # Some came before the end, and some after it.
    assert 0 < int(shown) < kills


def test_the_file_is_on_the_disk_before_it_has_its_name_and_its_folder_after(file, monkeypatch):
    calls = []

    def told(name, function):
        def call(*arguments, **options):
            calls.append((name, stat_of(arguments[0])))
            return function(*arguments, **options)

        return call

    def stat_of(argument):
        if isinstance(argument, int):
            return "folder" if os.path.isdir(f"/proc/self/fd/{argument}") else "file"
        return Path(argument).suffix

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, told(name, getattr(os, name)))
    state.save(file, [1, jnp.ones(3)])
    assert calls == [("fsync", "file"), ("replace", PART), ("fsync", "folder")]


CALLS = "fsync,fdatasync,rename,renameat,renameat2,stat,newfstatat,statx"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
def test_strace_sees_the_calls_in_this_order(tmp_path):
    source = f"""
        from structkit import state
        import os
        state.save({str(tmp_path / "warm")!r}, [1])
        os.stat("begin")
        state.save({str(tmp_path / "tree")!r}, [1, 2])
    """
    source = textwrap.dedent(source).replace('os.stat("begin")', 'os.path.exists("/begin")')
    trace = tmp_path / "trace"
    done = subprocess.run(
        ["strace", "-f", "-o", trace, "-e", f"trace={CALLS}", sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    after = trace.read_text().split('"/begin"')[1]
    seen = [line.split("(")[0].split()[-1] for line in after.splitlines() if "sync(" in line or "rename" in line]
    assert [name.replace("renameat2", "rename").replace("renameat", "rename") for name in seen] == [
        "fsync",
        "rename",
        "fsync",
    ]


def test_a_file_that_shrinks_while_it_is_read_is_an_error(file):
    tree = [np.zeros(3_000_000)]
    state.save(file, tree)

    def shrink(done, total):
        os.truncate(file, 2_000_000)

    with pytest.raises(StateError, match="is cut off"):
        state.load(file, tree, progress=shrink)
