"""The benchmarks give every peer the same work, and the performance page says what the results files have."""

import re
import sys

import jax
import pytest

import structkit

batches = pytest.importorskip("benchmarks.batches")
creation = pytest.importorskip("benchmarks.creation")
docs = pytest.importorskip("benchmarks.docs")
growth = pytest.importorskip("benchmarks.growth")
peers = pytest.importorskip("benchmarks.peers")
results = pytest.importorskip("benchmarks.results")
rows = pytest.importorskip("benchmarks.rows")
saving = pytest.importorskip("benchmarks.saving")
sharding = pytest.importorskip("benchmarks.sharding")
states = pytest.importorskip("benchmarks.states")
structs = pytest.importorskip("benchmarks.structs")
targets = pytest.importorskip("benchmarks.targets")
trees = pytest.importorskip("benchmarks.trees")


@pytest.fixture(scope="module")
def workshop():
    return peers.Workshop()


def test_a_missing_peer_is_named_and_the_others_go_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "chex", None)
    workshop = peers.Workshop()
    assert "chex" in workshop.missing
    assert {"structkit", "structkit.struct", "stdlib dataclass", "raw tuples", "plain slots"} <= set(workshop.peers)


def test_the_version_is_that_of_the_structkit_that_is_measured(workshop):
    assert workshop.versions["structkit"] == structkit.__version__


@pytest.mark.parametrize(
    ("kind", "statics"),
    [(peers.PLAIN, 0), (peers.PLAIN, 2), (peers.DEFAULTS, 2), (peers.CUSTOM, 0), (peers.HOOK, 0)],
)
def test_every_peer_gets_the_same_tree(workshop, kind, statics):
    shape = peers.Shape.of(3, statics, kind)
    for peer in workshop.peers.values():
        if peer.is_pytree and peer.supports(shape):
            assert jax.tree.leaves(workshop.maker(peer, shape)(1.0, 2.0, 3.0)) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("code", ["{replaced}", "{updated}"])
def test_a_changed_copy_is_the_same_for_every_peer(workshop, code):
    for snippet in structs.snippets(workshop, structs.on_object(code), peers.Shape.of(3)).values():
        assert jax.tree.leaves(eval(snippet.code, snippet.names)) == [0.0, 0.5, 2.0]


def test_a_changed_copy_is_made_by_what_each_library_has_for_it(workshop):
    replaced = {name: peer.replaced for name, peer in workshop.peers.items()}
    assert all("tree_at" not in code for code in replaced.values())
    assert [name for name, peer in workshop.peers.items() if peer.updated] == [
        name for name in ("structkit", "structkit.struct", "equinox") if name in workshop.peers
    ]


def test_the_functions_on_trees_do_the_same_for_every_peer(workshop):
    for one in trees.workloads(workshop):
        if one.group == trees.group(trees.SIZES[0]) and one.name in (trees.BY_PREDICATE, trees.MERGE):
            found = [eval(snippet.code, snippet.names) for snippet in one.snippets().values()]
            assert len({str([leaf is None for leaf in _with_holes(tree)]) for tree in found}) == 1


def test_what_stands_beside_a_function_on_batches_does_the_same(workshop):
    for one in batches.workloads(workshop):
        if one.group == batches.group(batches.COUNT):
            ours, other = [eval(snippet.code, snippet.names) for snippet in one.snippets().values()]
            assert jax.tree.structure(ours) == jax.tree.structure(other)
            assert all([bool((a == b).all()) for a, b in zip(*map(jax.tree.leaves, (ours, other)))])


def _with_holes(tree):
    return jax.tree.leaves(tree, is_leaf=lambda leaf: leaf is None)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_exponent_of_a_power_law_is_its_power(power):
    assert growth.exponent({size: 3.0 * size**power for size in (10, 100, 1000)}) == pytest.approx(power)


def test_results_are_read_back_as_they_were_written_with_a_line_for_each_row(workshop, tmp_path):
    known = results.environment(workshop)
    built = [rows.Row("6 fields", "construct", {"structkit": 1e-7, "flax.struct": 2e-7}, rounds=9, spread=0.5)]
    grown = [growth.Growth.of(growth.FIELDS, "construct", {"structkit": {100: 1.0, 200: 2.1, 400: 4.3}})]
    file = tmp_path / "results.json"
    written = results.Results(known, {"chex": "no module"}, 1.5, built, grown)
    written.save(file)
    read = results.load(file)
    assert (read.rows, read.missing, read.environment, read.seconds) == (built, written.missing, known, 1.5)
    assert read.growths[0].exponents == pytest.approx(grown[0].exponents, rel=1e-4)
    assert sum('"group"' in line for line in file.read_text(encoding="utf-8").splitlines()) == 2


def test_every_limit_and_every_line_of_the_page_has_a_row_that_is_measured(workshop):
    modules = (states, trees, batches, sharding, structs, creation)
    workloads = [one for module in modules for one in module.workloads(workshop)]
    keys = [(one.group, one.name) for one in workloads]
    assert len(keys) == len(set(keys))
    best = dict.fromkeys([*(peer.name for peer in peers.PEERS), *trees.BESIDE], 2.0) | {peers.TUPLES: 1.0}
    keys += [(saving.GROUP, saving.row_name(what, one.name)) for one in saving.workloads() for what in ("save", "load")]
    best |= {saving.DATA: 1.0}
    keys += [(saving.GROUP, saving.row_name(what, saving.MEMORY)) for what in ("save", "load")]
    measured = [rows.Row(group, name, best) for group, name in [*keys, (creation.IMPORTS, creation.IMPORT_ROW)]]
    assert [one.name for one in targets.limits(measured, inlines=True) if one.value is None] == []
    memory = {(creation.MEMORY, structs.group(size)) for size in creation.MEMORY_SIZES}
    shown = {(group, name) for _, group, name in docs.PANELS}
    shown.update((group, name) for _, groups, name in docs.COSTS for group in groups)
    assert shown - memory <= set(keys)


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: page.name)
def test_the_figures_of_a_page_are_those_of_the_results_files(page):
    text = page.read_text(encoding="utf-8")
    assert docs.filled(text, docs.runs(), docs.PAGES[page]) == text


def test_the_prose_of_the_performance_page_has_no_figure_of_its_own():
    page = docs.PAGE.read_text(encoding="utf-8")
    for name in docs.SECTIONS:
        before, rest = page.split(docs.BEGIN.format(name))
        page = before + rest.split(docs.END.format(name))[1]
    prose = [line for line in page.splitlines() if not line.startswith("|")]
    assert [line for line in prose if re.search(r"\d ?(ns|µs|ms|s|%|×|times)(?!\w)", line)] == []
