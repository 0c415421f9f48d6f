"""Sample checks, components and drawings, on arrays made for the purpose."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from desktop.studios.omics.steps.figures import (
    draw_heatmap,
    draw_ma,
    draw_pca,
    draw_pvalue_histogram,
    draw_sample_quality,
    draw_top_genes,
    draw_volcano,
    new_axes,
    place_labels,
    save_figure,
    shown,
)
from desktop.studios.omics.steps.quality import (
    clustered_order,
    gene_z_scores,
    most_variable,
    principal_components,
    sample_quality,
    top_loadings,
)
from tests.stand_ins.finished_run import some_counts


def quality(counts: np.ndarray) -> pd.DataFrame:
    logs = np.log2(counts + 1.0)
    return sample_quality(counts, logs, np.ones(len(counts)), [f"s{k}" for k in range(len(counts))])


def test_sound_samples_are_not_flagged() -> None:
    assert not quality(some_counts())["is_outlier"].any()


@pytest.mark.parametrize("seed", range(5))
def test_a_shallow_a_foreign_and_a_doubled_sample_are_flagged_with_the_reason(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = some_counts(2000, seed=seed)
    shallow = rng.binomial(counts[0], 0.05)
    foreign = rng.permutation(counts[1])
    table = quality(np.vstack([counts, shallow, foreign, counts[2]]))
    assert "library size" in table.loc["s6", "reason"]
    assert "correlation" in table.loc["s7", "reason"]
    assert table.loc["s8", "reason"] == "identical to s2"
    assert not table.loc[["s0", "s1", "s3"], "is_outlier"].any()


def test_one_sample_has_no_neighbours() -> None:
    table = quality(some_counts()[:1])
    assert table["closest_sample"].tolist() == [""]


def test_components_find_the_direction_that_differs() -> None:
    values = np.zeros((6, 50))
    values[3:, :10] = 4.0
    values += np.random.default_rng(0).normal(0, 0.01, values.shape)
    scores, percent = principal_components(values)
    assert percent[0] > 99
    assert percent.sum() <= 100 + 1e-9
    assert (np.sign(scores[:3, 0]) == -np.sign(scores[3:, 0])).all()
    again, _ = principal_components(values[::-1])
    np.testing.assert_allclose(np.abs(again[::-1]), np.abs(scores), atol=1e-8)


def test_loadings_are_the_directions_of_the_components_with_their_sign() -> None:
    values = np.random.default_rng(2).normal(size=(6, 40))
    values[3:, 7] += 9.0
    scores, _ = principal_components(values)
    loadings = top_loadings(values, scores, n_top=40)
    assert loadings[0][0, 0] == 7
    for k, rows in enumerate(loadings):
        direction = np.zeros(40)
        direction[rows[:, 0].astype(int)] = rows[:, 1]
        assert direction @ direction == pytest.approx(1.0)
        np.testing.assert_allclose((values - values.mean(axis=0)) @ direction, scores[:, k], atol=1e-9)
        assert (np.diff(np.abs(rows[:, 1])) <= 1e-9).all()


def test_most_variable_leaves_out_constant_genes() -> None:
    values = np.zeros((4, 5))
    values[:, 2] = [0, 1, 2, 3]
    values[:, 4] = [0, 5, 0, 5]
    assert most_variable(values, 10).tolist() == [4, 2]


def test_z_scores_of_a_constant_gene_are_zero() -> None:
    z = gene_z_scores(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]))
    np.testing.assert_allclose(z, [[-1, 0], [0, 0], [1, 0]])


def test_clustering_puts_like_rows_together() -> None:
    order = clustered_order(np.array([[0.0], [10.0], [0.1], [10.1]])).tolist()
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({0, 2}), frozenset({1, 3})}


def test_labels_never_overlap() -> None:
    figure, axes = new_axes()
    rng = np.random.default_rng(3)
    x, y = rng.normal(0, 0.2, 400), rng.normal(0, 0.2, 400)
    axes.scatter(x, y)
    n_placed = place_labels(axes, [(a, b, f"GENE{k}") for k, (a, b) in enumerate(zip(x, y, strict=True))])
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # the words, without the line to the point
    assert 3 < n_placed == len(boxes) < 400
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert figure.axes == [axes]


def test_volcano_marks_p_values_that_underflow(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "gene_id": ["a", "b", "c", "d"],
            "gene_symbol": ["XIST", "", "", ""],
            "log2_fold_change": [9.0, -1.0, 0.1, np.nan],
            "pvalue": [0.0, 1e-30, 0.5, np.nan],
            "padj": [0.0, 1e-29, 0.6, np.nan],
        }
    )
    figure = draw_volcano(table, 0.05, 0.0, "drug against control")
    save_figure(figure, tmp_path, "volcano")
    texts = [
        element.text or "" for element in ElementTree.parse(tmp_path / "volcano.svg").iter() if "text" in element.tag
    ]
    assert any("p below 1e-308: 1" in text for text in texts)
    assert "XIST" in texts
    assert not any("inf" in text or "nan" in text for text in texts)


def test_names_from_data_are_never_markup_or_mathematics(tmp_path: Path) -> None:
    names = ["$\\frac{1}{$", "<b>x</b>", "a\nb\tc", "x" * 100, "größe", "_^"]
    scores, percent = principal_components(np.random.default_rng(0).normal(size=(6, 20)))
    figure = draw_pca(scores, percent, names, {"$g": ["<i>", "$"] * 3, "h": ["1"] * 6}, "$g", "h")
    save_figure(figure, tmp_path, "pca")
    tree = ElementTree.parse(tmp_path / "pca.svg")
    texts = [element.text or "" for element in tree.iter() if element.tag.endswith("text")]
    assert "<b>x</b>" in texts
    assert any("…" in text for text in texts)


def test_shown_is_one_short_printable_line() -> None:
    assert shown("a\nb\x1b[0m" + "x" * 50).isprintable()
    assert len(shown("x" * 50)) == 24


def ticks_apart(axes: Axes, axis: str) -> bool:
    """Whether the tick labels of an axis that are in sight do not touch each other."""
    axes.figure.canvas.draw()
    labels = axes.get_xticklabels() if axis == "x" else axes.get_yticklabels()
    low, high = sorted(axes.get_xlim() if axis == "x" else axes.get_ylim())
    place = 0 if axis == "x" else 1
    boxes = [t.get_window_extent() for t in labels if t.get_text() and low <= t.get_position()[place] <= high]
    return len(boxes) > 0 and not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_long_reading_stays_inside_the_picture() -> None:
    figure = draw_pvalue_histogram(np.linspace(0, 1, 500), "A reading of many long words that goes on. " * 5)
    figure.canvas.draw()
    (axes,) = figure.axes
    title = axes.title if axes.title.get_text() else axes._left_title
    box, frame = title.get_window_extent(), figure.bbox
    assert frame.x0 <= box.x0 < box.x1 <= frame.x1
    assert box.y1 <= frame.y1
    assert box.y0 >= axes.get_window_extent().y1 - 1


@pytest.mark.parametrize("likeness", [(0.98134, 0.98291), (0.2, 0.99), (0.99, 0.99)])
def test_points_and_ticks_of_the_sample_checks_have_room(likeness: tuple[float, float]) -> None:
    table = quality(some_counts())
    table["median_correlation"] = np.linspace(*likeness, len(table))
    figure = draw_sample_quality(table)
    figure.canvas.draw()
    for axes, column in zip(figure.axes, ("library_size", "genes_detected", "median_correlation"), strict=True):
        assert ticks_apart(axes, "x")
        points = axes.transData.transform(axes.collections[0].get_offsets())
        frame = axes.get_window_extent()
        assert points[:, 0].max() < frame.x1 - 4, column
        assert points[:, 0].min() > frame.x0


def test_sample_checks_of_values_without_reads_show_what_there_is() -> None:
    values = np.log2(some_counts() + 1.0)
    table = sample_quality(values, values, np.full(6, np.nan), [f"s{k}" for k in range(6)])
    assert table["library_size"].isna().all()
    assert not table["is_outlier"].any()
    figure = draw_sample_quality(table)
    assert [axes.get_title("left") for axes in figure.axes] == ["median correlation with the others"]
    assert len(figure.axes[0].collections[0].get_offsets()) == 6


def test_the_surest_genes_are_named_on_both_plots_and_the_threshold_is_drawn() -> None:
    change = np.linspace(-3, 3, 200)
    p = 10.0 ** -(change**2 * 3)
    table = pd.DataFrame({"gene_id": [f"g{k}" for k in range(200)], "gene_symbol": ""})
    table = table.assign(
        base_mean=np.linspace(5, 12, 200), log2_fold_change=change, pvalue=p, padj=np.minimum(p * 2, 1)
    )
    volcano = draw_volcano(table, 0.01, 0.0, "a against b").axes[0]
    assert any(np.allclose(line.get_ydata(), 2.0) for line in volcano.lines)
    ma = draw_ma(table, 0.01, "a against b", "log2 values", is_log=True).axes[0]
    for axes in (volcano, ma):
        assert {"g0", "g199"} <= {text.get_text() for text in axes.texts}


def test_one_gene_far_out_does_not_squeeze_a_volcano() -> None:
    change = np.append(np.linspace(-2, 2, 1500), -29.0)
    table = pd.DataFrame({"gene_id": [f"g{k}" for k in range(1501)], "gene_symbol": "", "log2_fold_change": change})
    table = table.assign(pvalue=1e-4, padj=1e-3)
    axes = draw_volcano(table, 0.05, 0.0, "a treatment of many words against a control of as many, " * 3).axes[0]
    assert axes.get_xlim()[0] > -4
    assert any(text.get_text().endswith("beyond ±2.3: 1") for text in axes.texts)
    title = next(text for text in axes.get_children() if isinstance(text, Text) and "treatment" in text.get_text())
    assert title.get_window_extent().x1 <= axes.figure.bbox.x1


def test_a_level_has_one_colour_in_every_figure() -> None:
    """Samples stand in another order in the heatmap than in the sheet."""
    z = np.zeros((2, 4))
    figure = draw_heatmap(z, ["a", "b"], list("wxyz"), {"arm": ["t", "t", "c", "c"]}, {"arm": ["c", "t"]}, "VST")
    strip = figure.axes[0].images[0]
    assert np.asarray(strip.get_array()).tolist() == [[1, 1, 0, 0]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["c", "t"]


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize("spread", [1.02, 1.5, 12.0, 3e4])
def test_ticks_of_the_small_panels_do_not_overlap(spread: float, is_log: bool) -> None:
    values = np.geomspace(100.0, 100.0 * spread, 6)[:, None] * np.array([[1.0, 7.0, 900.0, 0.02]])
    figure = draw_top_genes(values, list("abcd"), ["x"] * 3 + ["y"] * 3, None, "arm", "log2 values", is_log=is_log)
    for axes in figure.axes:
        assert ticks_apart(axes, "y")
