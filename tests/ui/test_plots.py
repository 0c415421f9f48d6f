"""Plots answer the mouse, recolour by thresholds, and leave the window as pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QGuiApplication, QImage, QMouseEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.ui import theme
from desktop.ui.itemmodels.gene_results import GeneResults
from desktop.ui.widgets.plots.figure import Figure, PlotFigure
from desktop.ui.widgets.plots.gene_plot import DOWN, MUTED, UP, classify
from desktop.ui.widgets.plots.heatmap import HeatmapFigure, Matrix
from desktop.ui.widgets.plots.labels import place
from desktop.ui.widgets.plots.ma import MAPlot
from desktop.ui.widgets.plots.pca import PCAPlot
from desktop.ui.widgets.plots.qc import PValueHistogram, SampleBars, SampleTree, SpreadPlot, leaf_order
from desktop.ui.widgets.plots.volcano import VolcanoPlot
from tests.ui.analyze_data import make_genes


@pytest.fixture(autouse=True)
def light(qapp: QApplication) -> None:
    theme.apply_theme(qapp, "light")


@pytest.fixture
def genes() -> GeneResults:
    return make_genes(3000)


@pytest.fixture
def volcano(qtbot: QtBot, genes: GeneResults) -> VolcanoPlot:
    plot = VolcanoPlot()
    show(qtbot, plot)
    plot.set_words(name=genes.name, describe=lambda row: f"about {genes.name(row)}")
    plot.set_results(genes.columns["log2_fold_change"], genes.columns["padj"])
    plot.set_thresholds(0.05, 0.0)
    plot.grab()
    return plot


def show(qtbot: QtBot, figure: Figure) -> None:
    qtbot.addWidget(figure)
    figure.resize(800, 560)
    figure.show()


def mouse(plot: PlotFigure, kind: QEvent.Type, at: QPoint, pressed: Qt.MouseButton = Qt.MouseButton.NoButton) -> None:
    """A mouse event as the window system sends it."""
    view = plot.plot.viewport()
    button = pressed if kind != QEvent.Type.MouseMove else Qt.MouseButton.NoButton
    held = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else pressed
    where = QPointF(at)
    event = QMouseEvent(kind, where, QPointF(view.mapToGlobal(at)), button, held, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(view, event)


def drag(qtbot: QtBot, plot: PlotFigure, start: QPoint, end: QPoint) -> None:
    mouse(plot, QEvent.Type.MouseMove, start)
    mouse(plot, QEvent.Type.MouseButtonPress, start, Qt.MouseButton.LeftButton)
    for share in (0.2, 0.4, 0.6, 0.8, 1.0):
        qtbot.wait(15)  # pyqtgraph joins moves that come faster than this
        mouse(plot, QEvent.Type.MouseMove, start + (end - start) * share, Qt.MouseButton.LeftButton)
    mouse(plot, QEvent.Type.MouseButtonRelease, end, Qt.MouseButton.LeftButton)


def at_data(plot: PlotFigure, x: float, y: float) -> QPoint:
    return QPoint(plot.plot.mapFromScene(plot.plot.getViewBox().mapViewToScene(QPointF(x, y))))


def test_classes_follow_both_thresholds_and_nan_is_never_changed() -> None:
    change = np.array([2.0, -2.0, 0.5, 3.0, np.nan])
    padj = np.array([0.01, 0.01, 0.01, np.nan, 0.01])
    assert classify(change, padj, 0.05, 1.0).tolist() == [UP, DOWN, MUTED, MUTED, MUTED]


def test_hover_names_the_gene_and_leaves_with_the_pointer(
    qtbot: QtBot, volcano: VolcanoPlot, genes: GeneResults
) -> None:
    mouse(volcano, QEvent.Type.MouseMove, volcano.viewport_position(1))
    qtbot.waitUntil(volcano.tip.isVisible)
    assert volcano.tip.text() == f"about {genes.name(1)}"
    qtbot.wait(20)
    mouse(volcano, QEvent.Type.MouseMove, at_data(volcano, 0.0, volcano.plot.getViewBox().viewRange()[1][1]))
    qtbot.waitUntil(volcano.tip.isHidden)


def test_click_tells_the_row_and_a_click_on_nothing_tells_none(qtbot: QtBot, volcano: VolcanoPlot) -> None:
    told: list[tuple[int, bool]] = []
    volcano.rowClicked.connect(lambda row, extend: told.append((row, extend)))
    qtbot.mouseClick(volcano.plot.viewport(), Qt.MouseButton.LeftButton, pos=volcano.viewport_position(2))
    assert told == [(2, False)]
    empty = at_data(volcano, 0.0, volcano.plot.getViewBox().viewRange()[1][1] * 0.9)
    qtbot.mouseClick(volcano.plot.viewport(), Qt.MouseButton.LeftButton, pos=empty)
    assert told == [(2, False)]


def test_nearest_is_the_nearest_in_pixels(volcano: VolcanoPlot, genes: GeneResults) -> None:
    view = volcano.plot.getViewBox()
    wide, high = view.viewPixelSize()
    rng = np.random.default_rng(5)
    padj, change = genes.columns["padj"], genes.columns["log2_fold_change"]
    ok = np.isfinite(padj) & np.isfinite(change) & (padj > 0)
    for x, y in zip(rng.uniform(-3, 3, 40), rng.uniform(0, 30, 40), strict=True):
        found = volcano.cloud.nearest(QPointF(x, y), 15)
        pixels = np.hypot((change[ok] - x) / wide, (-np.log10(padj[ok]) - y) / high)
        assert (found is None) == bool(pixels.min() > 15)
        if found is not None:
            assert np.flatnonzero(np.isfinite(padj) & np.isfinite(change))[found] == np.flatnonzero(ok)[pixels.argmin()]


def test_dragging_the_fold_change_line_moves_both_and_recounts(qtbot: QtBot, volcano: VolcanoPlot) -> None:
    volcano.set_thresholds(0.05, 1.0)
    before = sum(volcano.counts())
    told: list[tuple[float, float]] = []
    volcano.thresholdsChanged.connect(lambda alpha, lfc: told.append((alpha, lfc)))
    middle = sum(volcano.plot.getViewBox().viewRange()[1]) / 2
    drag(qtbot, volcano, at_data(volcano, 1.0, middle), at_data(volcano, 2.0, middle))
    assert told
    alpha, lfc = told[-1]
    assert (alpha, lfc) == (0.05, pytest.approx(2.0, abs=0.05))
    assert [line.value() for line in volcano.lfc_lines] == [pytest.approx(-lfc), pytest.approx(lfc)]
    assert 0 < sum(volcano.counts()) < before
    assert f"≥ {lfc:.3g}" in volcano.summary()


def test_dragging_the_p_line_changes_alpha(qtbot: QtBot, volcano: VolcanoPlot, genes: GeneResults) -> None:
    told: list[float] = []
    volcano.thresholdsChanged.connect(lambda alpha, _lfc: told.append(alpha))
    left = volcano.plot.getViewBox().viewRange()[0][0] * 0.95
    drag(qtbot, volcano, at_data(volcano, left, -np.log10(0.05)), at_data(volcano, left, 20.0))
    assert told[-1] == pytest.approx(1e-20, rel=0.9)
    padj = genes.columns["padj"]
    assert sum(volcano.counts()) == int((padj < told[-1]).sum())


def test_panning_shows_what_a_fresh_drawing_shows(volcano: VolcanoPlot) -> None:
    view = volcano.plot.getViewBox()
    wide, high = view.viewPixelSize()
    for across, down in ((7, 0), (0, 11), (-30, 4), (300, -200), (5, 5)):
        view.translateBy((across * wide, down * high))
        kept = pixels(volcano)
        volcano.set_thresholds(0.05, 0.0)  # draws anew
        fresh = pixels(volcano)
        assert (kept != fresh).mean() < 0.002


def pixels(plot: PlotFigure) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    picture = plot.plot.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    return np.frombuffer(picture.constBits(), dtype=np.uint32).copy()


def test_a_zero_p_is_drawn_inside_as_a_triangle_and_told(volcano: VolcanoPlot) -> None:
    low, high = volcano.plot.getViewBox().viewRange()[1]
    spot = volcano.viewport_position(0)
    assert np.isfinite([low, high]).all()
    assert volcano.plot.viewport().rect().contains(spot)
    assert "Triangles: 1" in volcano.summary()


def test_missing_padj_is_told(volcano: VolcanoPlot) -> None:
    assert "3 genes have no adjusted p" in volcano.summary()


def test_selection_outside_the_view_is_brought_into_it(volcano: VolcanoPlot) -> None:
    volcano.plot.getViewBox().setRange(xRange=(-0.5, 0.5), yRange=(0, 1), padding=0)
    volcano.select([1])
    assert volcano.selected_rows() == (1,)
    assert volcano.plot.viewport().rect().contains(volcano.viewport_position(1))


def test_keys_pan_zoom_and_show_all(qtbot: QtBot, volcano: VolcanoPlot) -> None:
    view = volcano.plot.getViewBox()
    whole = view.viewRange()
    qtbot.keyClick(volcano.plot, Qt.Key.Key_Right)
    assert view.viewRange()[0][0] > whole[0][0]
    qtbot.keyClick(volcano.plot, Qt.Key.Key_Plus)
    assert np.ptp(view.viewRange()[0]) < np.ptp(whole[0])
    qtbot.keyClick(volcano.plot, Qt.Key.Key_0)
    assert np.ptp(view.viewRange()[0]) == pytest.approx(np.ptp(whole[0]), rel=0.02)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_changed_points_have_their_colours_on_the_screen(
    qtbot: QtBot, qapp: QApplication, genes: GeneResults, scheme: theme.SchemeWish
) -> None:
    theme.apply_theme(qapp, scheme)
    plot = VolcanoPlot()
    show(qtbot, plot)
    plot.set_results(genes.columns["log2_fold_change"], genes.columns["padj"])
    plot.set_thresholds(0.05, 0.0)
    colours = theme.plot_colours(qapp.palette())
    picture = plot.plot.grab().toImage()
    found = pixel_colours(picture)
    assert QColor(colours.up).rgb() in found
    assert QColor(colours.down).rgb() in found
    assert QColor(colours.background).rgb() in found


def pixel_colours(picture: QImage) -> set[int]:
    picture = picture.convertToFormat(QImage.Format.Format_RGB32)
    values = np.frombuffer(picture.constBits(), dtype=np.uint32)
    return {int(value) for value in np.unique(values)}


def test_saved_pictures_are_on_white_even_from_the_dark(
    qtbot: QtBot, qapp: QApplication, genes: GeneResults, tmp_path: Path
) -> None:
    theme.apply_theme(qapp, "dark")
    plot = VolcanoPlot()
    show(qtbot, plot)
    plot.set_words(name=genes.name, describe=genes.name)
    plot.set_results(genes.columns["log2_fold_change"], genes.columns["padj"])
    plot.set_thresholds(0.05, 0.0)
    plot.save(tmp_path / "volcano.png")
    plot.save(tmp_path / "volcano.svg")
    picture = QImage(str(tmp_path / "volcano.png"))
    assert picture.width() == 2 * plot.plot.width()
    assert picture.pixelColor(3, 3) == QColor("white")
    root = ElementTree.parse(tmp_path / "volcano.svg").getroot()
    texts = {"".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert genes.name(1) in texts
    assert "log₂ fold change" in texts
    assert not list(tmp_path.glob(".*")), "nothing half-written stays"
    assert plot.colours.background == theme.plot_colours(qapp.palette()).background


def test_a_folder_that_cannot_be_written_raises_oserror_and_leaves_nothing(
    volcano: VolcanoPlot, tmp_path: Path
) -> None:
    with pytest.raises(OSError):
        volcano.save(tmp_path / "missing" / "volcano.png")
    with pytest.raises(OSError):
        volcano.save(tmp_path / "missing" / "volcano.svg")
    assert not list(tmp_path.iterdir())


def test_copy_and_drag_give_the_picture(volcano: VolcanoPlot) -> None:
    volcano.copy_picture()
    assert QGuiApplication.clipboard().image().width() == 2 * volcano.plot.width()
    files = [Path(url.toLocalFile()) for url in volcano.drag_data().urls()]
    assert [file.suffix for file in files] == [".svg", ".png"]
    assert all(file.stat().st_size > 1000 for file in files)


def test_labels_never_cover_each_other(qapp: QApplication) -> None:
    rng = np.random.default_rng(2)
    metrics = QFontMetricsF(QFont())
    points = [QPointF(x, y) for x, y in rng.uniform(0, 300, (60, 2))]
    window = QRectF(0, 0, 300, 300)
    placed = place(points, [f"GENE{number}" for number in range(60)], metrics, window)
    boxes = [box for _text, box in placed]
    assert len(boxes) > 5
    assert all(window.contains(box) for box in boxes)
    assert not any(one.intersects(other) for at, one in enumerate(boxes) for other in boxes[at + 1 :])


def test_ma_plot_counts_and_centre(qtbot: QtBot, genes: GeneResults) -> None:
    plot = MAPlot()
    show(qtbot, plot)
    columns = genes.columns
    plot.set_results(columns["base_mean"], columns["log2_fold_change"], columns["padj"])
    plot.set_thresholds(0.05, 1.0)
    kinds = classify(columns["log2_fold_change"], columns["padj"], 0.05, 1.0)
    assert f"{int((kinds == UP).sum()):,} up" in plot.summary()
    assert "centred" in plot.summary()


def test_pca_colours_by_the_chosen_factor(qtbot: QtBot) -> None:
    plot = PCAPlot()
    show(qtbot, plot)
    factors = {"dex": ["a", "b"] * 3, "cell": ["x", "x", "y", "y", "z", "z"]}
    scores = np.random.default_rng(1).normal(size=(6, 3))
    plot.set_results(scores, [f"S{number}" for number in range(6)], np.array([0.6, 0.3, 0.1]), factors, "dex")
    assert plot.legend_entries() == ["a", "b"]
    plot.factor.setCurrentText("cell")
    assert plot.legend_entries() == ["x", "y", "z"]
    assert "coloured by cell: x, y, z" in plot.summary()
    plot.axes.setCurrentIndex(2)
    assert plot.plot.getAxis("bottom").labelText == "PC2 (30% of variance)"


def test_pca_lists_the_genes_of_the_components_shown(qtbot: QtBot) -> None:
    plot = PCAPlot()
    show(qtbot, plot)
    scores = np.random.default_rng(1).normal(size=(6, 3))
    given = (scores, [f"S{number}" for number in range(6)], np.array([0.6, 0.3, 0.1]), {"dex": ["a", "b"] * 3}, "dex")
    plot.set_results(*given)
    assert not plot.loadings.isVisible()
    plot.set_results(*given, {"PC1": [("A1", 0.5), ("B", -0.3)], "PC2": [("C", -0.6)], "PC3": [("D", 0.1)]})
    assert plot.loadings.isVisible()
    cells = [[plot.loadings.item(row, column).text() for column in range(4)] for row in range(2)]
    assert cells == [["A1", "+0.500", "C", "-0.600"], ["B", "-0.300", "", ""]]
    plot.axes.setCurrentIndex(2)
    assert plot.loadings.horizontalHeaderItem(0).text() == "PC2: gene"
    assert plot.loadings.item(0, 2).text() == "D"


def test_the_samples_tree_says_its_order(qtbot: QtBot) -> None:
    tree = SampleTree()
    show(qtbot, tree)
    joins = np.array([[0, 2, 1.0, 2], [1, 3, 1.5, 2], [4, 5, 6.0, 4]])
    tree.set_results(joins, ["a", "b", "c", "d"])
    assert tree.summary() == "Average linkage on Euclidean distance. Order: a, c, b, d."
    assert leaf_order(joins[:1], 4) == [0, 1, 2, 3]


def test_heatmap_cells_answer_and_are_coloured(qtbot: QtBot, tmp_path: Path) -> None:
    figure = HeatmapFigure("Heatmap", "heatmap")
    show(qtbot, figure)
    values = np.array([[-2.0, 0.0, 2.0], [2.0, 0.0, -2.0]])
    bars = {"dex": ["a", "b", "b"]}
    figure.set_matrix(Matrix(values, ["G1", "G2"], ["S1", "S2", "S3"], bars, unit="z-score"), "2 genes")
    figure.grab()
    told: list[int] = []
    figure.rowClicked.connect(told.append)
    canvas = figure.canvas
    low = next(y for y in range(canvas.height()) if canvas.cell_at(QPointF(30, y)) == (1, 0))
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(30, low + 5))
    assert told == [1]
    assert canvas.describe(1, 0) == "G2 · S1: 2 z-score"
    colours = figure.colours
    found = pixel_colours(canvas.grab().toImage())
    assert {QColor(colours.low).rgb(), QColor(colours.high).rgb()} <= found
    figure.save(tmp_path / "heatmap.svg")
    assert "G2" in (tmp_path / "heatmap.svg").read_text(encoding="utf-8")


def test_quality_figures_say_what_they_show(qtbot: QtBot) -> None:
    bars = SampleBars("Library sizes", "sizes", unit="reads (millions)")
    show(qtbot, bars)
    bars.set_results(["S1", "S2", "S3"], np.array([20.0, 22.0, 2.0]), ["a", "a", "b"])
    assert "Less than half the median: S3" in bars.summary()
    histogram = PValueHistogram()
    show(qtbot, histogram)
    rng = np.random.default_rng(4)
    histogram.set_results(np.concatenate([rng.uniform(size=5000), rng.beta(0.1, 9, 900), [np.nan]]))
    assert "5,900 p-values, flat with a peak near 0" in histogram.summary()
    histogram.set_results(np.array([np.nan]))
    assert histogram.summary() == "No p-values."
    dispersion = SpreadPlot("dispersion")
    show(qtbot, dispersion)
    mean = 10 ** rng.normal(2, 1, 500)
    dispersion.set_results(mean, np.full(500, 0.04), np.full(500, 0.04), np.full(500, 0.04))
    assert "biological variation of about 20%" in dispersion.summary()


@pytest.mark.parametrize(
    "make",
    [
        VolcanoPlot,
        MAPlot,
        PCAPlot,
        PValueHistogram,
        lambda: SpreadPlot("variance"),
        lambda: HeatmapFigure("Heatmap", "heatmap"),
    ],
    ids=["volcano", "ma", "pca", "p-values", "dispersion", "heatmap"],
)
def test_an_empty_figure_is_drawn_and_named(qtbot: QtBot, make: Callable[[], Figure]) -> None:
    figure = make()
    show(qtbot, figure)
    assert not figure.grab().isNull()
    assert figure.accessibleName()
