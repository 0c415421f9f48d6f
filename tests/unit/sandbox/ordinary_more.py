"""More ordinary scripts the policy must allow, written by somebody who had not written the policy. Each runs as it is."""

# fmt: off
ORDINARY_MORE: dict[str, str] = {
"seaborn_panels": '''
import numpy as np, pandas as pd, seaborn as sns
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
sns.set_theme(style="whitegrid", context="paper", palette="colorblind", rc={"figure.dpi": 120, "axes.spines.top": False})
rng = np.random.default_rng(0)
df = pd.DataFrame({"dose": rng.choice(["low", "mid", "high"], 60), "y": rng.normal(size=60), "sex": rng.choice(list("MF"), 60)})
fig, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, constrained_layout=True)
sns.boxplot(data=df, x="dose", y="y", hue="sex", order=["low", "mid", "high"], ax=axes[0])
sns.stripplot(data=df, x="dose", y="y", color=".3", size=2, ax=axes[1])
sns.kdeplot(data=df, x="y", hue="dose", fill=True, common_norm=False, ax=axes[2])
for ax, letter in zip(axes.flat, "abc"):
    ax.set_title(f"{letter}) see https://example.org", loc="left", fontweight="bold")
fig.savefig("panels.png", format="png", bbox_inches="tight")
g = sns.FacetGrid(df, col="dose", hue="sex")
g.map_dataframe(sns.histplot, x="y", bins=8).add_legend()
g.savefig("facets.pdf")
''',
"statsmodels_formulas": '''
import numpy as np, pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
rng = np.random.default_rng(1)
df = pd.DataFrame({"y": rng.normal(size=80), "x1": rng.normal(size=80), "x2": rng.normal(size=80), "g": rng.choice(list("ab"), 80)})
covariates = ["x1", "x2"]
response = "y"
formula = f"{response} ~ {' + '.join(covariates)} + C(g, Treatment(reference='a'))"
fit = smf.ols(formula, data=df).fit(cov_type="HC3")
print(fit.summary().as_text())
for name, terms in {"null": "1", "full": "x1 * x2 + np.log1p(np.abs(x1))"}.items():
    print(name, smf.ols(f"y ~ {terms}", df).fit().aic)
print(sm.stats.anova_lm(smf.ols("y ~ C(g)", df).fit(), typ=2))
print(smf.glm("y ~ x1 - 1", df, family=sm.families.Gaussian()).fit().params)
mixed = smf.mixedlm("y ~ x1", df, groups=df["g"], re_formula="~ x1")
print(fit.t_test("x1 = x2"), mixed.exog_names)
''',
"optimise": '''
from functools import partial
import numpy as np
from scipy import optimize, integrate, interpolate, stats
def model(t, a, k, c=0.0):
    return a * np.exp(-k * t) + c
t = np.linspace(0, 5, 40)
y = model(t, 2, 1.3, 0.5) + np.random.default_rng(2).normal(scale=0.01, size=t.size)
popt, pcov = optimize.curve_fit(model, t, y, p0=(1, 1, 0), bounds=([0, 0, -1], [10, 10, 1]))
err = np.sqrt(np.diag(pcov))
res = optimize.minimize(lambda p: np.sum((y - model(t, *p)) ** 2), x0=[1, 1, 0], method="Nelder-Mead", options={"maxiter": 500})
root = optimize.brentq(partial(model, a=2, k=1.3, c=-1), 0, 5)
area, _ = integrate.quad(model, 0, np.inf, args=(2, 1.3))
spline = interpolate.CubicSpline(t, y)
sol = integrate.solve_ivp(lambda t, u: [-0.5 * u[0]], (0, 10), [1.0], dense_output=True)
print(f"{popt=} {err=} {res.success=} {root:.3f} {area:.3g} {spline(1.0):+.2f} {sol.y[0, -1]:e}", stats.norm.interval(0.95))
''',
"sklearn_pipeline": '''
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector as selector
from sklearn.datasets import make_classification
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, classification_report
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
X, y = make_classification(n_samples=120, n_features=6, random_state=0)
X = pd.DataFrame(X).add_prefix("f").assign(batch=lambda d: np.where(d.f0 > 0, "a", "b"))
numeric = make_pipeline(SimpleImputer(strategy="median"), FunctionTransformer(np.arcsinh), StandardScaler(), memory=None)
pre = ColumnTransformer([("n", numeric, selector(dtype_include="number")), ("c", OneHotEncoder(handle_unknown="ignore"), ["batch"])])
pipe = Pipeline([("pre", pre), ("clf", LogisticRegression(max_iter=500))], verbose=False)
search = GridSearchCV(pipe, {"clf__C": [0.1, 1.0]}, cv=StratifiedKFold(3, shuffle=True, random_state=1), scoring="roc_auc", n_jobs=1)
Xa, Xb, ya, yb = train_test_split(X, y, stratify=y, random_state=3)
best = search.fit(Xa, ya).best_estimator_
print(search.best_params_, roc_auc_score(yb, best.predict_proba(Xb)[:, 1]), cross_val_score(pipe, X, y, cv=3).mean())
print(classification_report(yb, best.predict(Xb)))
best.set_params(clf__C=2.0)
pd.Series(search.cv_results_["mean_test_score"]).to_csv("cv.csv")
''',
"pandas_reshape": '''
import numpy as np
import pandas as pd
rng = np.random.default_rng(3)
df = pd.DataFrame({"gene": np.repeat([f"G{i}" for i in range(5)], 6), "sample": np.tile([f"s{i}" for i in range(6)], 5), "count": rng.poisson(20, 30)})
meta = pd.DataFrame({"sample": [f"s{i}" for i in range(6)], "group": list("aaabbb")}).set_index("sample")
wide = df.pivot_table(index="gene", columns="sample", values="count", aggfunc="sum", fill_value=0)
cpm = wide.div(wide.sum(), axis=1).mul(1e6)
long = cpm.stack().rename("cpm").reset_index().merge(meta, left_on="sample", right_index=True, how="left", validate="m:1")
alpha, wanted = 1e5, ["G1", "G2"]
print(long.query("cpm > @alpha and gene in @wanted and not group.str.startswith('c')"))
long = long.eval("logcpm = log1p(cpm)").eval("""
scaled = logcpm / 2
shifted = scaled - 1
""")
out = (long.groupby(["gene", "group"], observed=True)["logcpm"].agg(["mean", "std", "count"]).rename(columns=str.upper)
       .assign(sem=lambda d: d["STD"] / np.sqrt(d["COUNT"])).pipe(lambda d: d[d["COUNT"] > 1]).sort_values("MEAN", ascending=False))
named = long.groupby("group").agg(lowest=("cpm", "min"), spread=("cpm", lambda s: s.max() - s.min()), n=("gene", "nunique"))
print(out, named, long.groupby("gene")["cpm"].transform("rank", pct=True).describe(), pd.crosstab(long.gene, long.group), sep="\\n")
pd.cut(long.cpm, bins=[0, 1e4, 1e5, np.inf], labels=["low", "mid", "high"]).value_counts().to_json("bins.json")
with pd.option_context("display.max_rows", 5, "display.precision", 2):
    print(long.melt(id_vars=["gene"], value_vars=["cpm", "logcpm"]).head())
''',
"styles": '''
import matplotlib as mpl
mpl.use("agg")
import matplotlib.pyplot as plt
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
import numpy as np
plt.rcParams.update({"font.size": 9, "svg.fonttype": "none", "pdf.fonttype": 42, "text.usetex": False, "axes.prop_cycle": plt.cycler(color=["#0072B2", "#D55E00"])})
z = np.random.default_rng(0).normal(size=(8, 8))
with plt.style.context(["ggplot", {"axes.grid": False}]), PdfPages("all.pdf") as pdf:
    for kind in ("imshow", "pcolormesh"):
        fig, ax = plt.subplots()
        image = getattr(ax, kind)(z, cmap=LinearSegmentedColormap.from_list("bwr2", ["b", "w", "r"]), norm=TwoSlopeNorm(0))
        fig.colorbar(image, ax=ax, label=r"$\\log_2$ fold change")
        ax.errorbar([1, 2], [3, 4], yerr=0.3, fmt="o-", capsize=2)
        pdf.savefig(fig)
        plt.close(fig)
for suffix in ["png", "svg"]:
    plt.figure()
    plt.plot(z[0], label="a"); plt.legend(frameon=False)
    plt.savefig(f"line.{suffix}", transparent=True, backend="agg" if suffix == "png" else "svg")
plt.show()
''',
"sqlite_memory": '''
import sqlite3
from contextlib import closing
import pandas as pd
with closing(sqlite3.connect(":memory:")) as con:
    con.row_factory = sqlite3.Row
    with con:
        con.execute("create table hits (gene text primary key, lfc real, padj real)")
        con.executemany("insert into hits values (?, ?, ?)", [("a", 1.2, 0.01), ("b", -0.4, 0.2)])
    con.create_function("sig", 1, lambda p: int(p < 0.05))
    for row in con.execute("select gene, sig(padj) as s from hits where abs(lfc) > :cut", {"cut": 0.1}):
        print(dict(row), row["gene"])
    frame = pd.read_sql_query("select * from hits order by padj", con, index_col="gene")
    frame.to_sql("copy", con, if_exists="replace")
frame.to_csv("hits.tsv", sep="\\t")
''',
"command_line": '''
from __future__ import annotations
import argparse, logging, sys, textwrap
from pathlib import Path
from string import Template
logger = logging.getLogger(__name__)
HERE = Path(__file__).resolve().parent
def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=textwrap.dedent("""\\
        Count lines.
            Indented."""), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, default=HERE / "data" / "counts.csv", help="table (default: %(default)s)")
    parser.add_argument("-o", "--out", type=Path, default=Path.cwd() / "results")
    parser.add_argument("--memory", default="4G"); parser.add_argument("--backend", choices=["fast", "exact"], default="fast")
    parser.add_argument("-v", action="count", default=0)
    return parser.parse_args(argv)
def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    logging.basicConfig(level=logging.DEBUG if args.v else logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    args.out.mkdir(parents=True, exist_ok=True)
    logger.info("reading %s with %s", args.input, vars(args))
    try:
        text = args.input.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        logger.warning("no input: %s", error.strerror); text = ""
    page = Template("$n lines in ${name}, $$5").substitute(n=len(text.splitlines()), name=args.input.name)
    (args.out / "note.txt").write_text(textwrap.fill(page, width=40, subsequent_indent="  ") + "\\n")
    return 0
if __name__ == "__main__":
    sys.exit(main([]))
''',
"types_and_protocols": '''
from __future__ import annotations
import enum, json
from abc import ABC, abstractmethod
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypedDict, TypeVar, overload, runtime_checkable
T = TypeVar("T", bound="Scored")
class Way(enum.Enum):
    UP = enum.auto()
    DOWN = enum.auto()
@runtime_checkable
class Scored(Protocol):
    @property
    def score(self) -> float: ...
class Row(TypedDict, total=False):
    gene: str
    lfc: float
class Span(NamedTuple):
    low: float
    high: float = 1.0
@dataclass(frozen=True, slots=True, order=True)
class Gene:
    name: str = field(compare=False)
    lfc: float = 0.0
    tags: tuple[str, ...] = ()
    cutoff: ClassVar[float] = 1.0
    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("no name")
    @property
    def score(self) -> float:
        return abs(self.lfc)
    @classmethod
    def parse(cls, row: Row) -> Gene:
        return cls(row["gene"], float(row.get("lfc", 0)))
    @staticmethod
    def way(lfc: float) -> Literal["up", "down"]:
        return "up" if lfc > 0 else "down"
class Stack(Generic[T]):
    def __init__(self, memory: int = 3) -> None:
        self._items: deque[T] = deque(maxlen=memory)
    def push(self, item: T) -> Stack[T]:
        self._items.append(item)
        return self
    def __len__(self) -> int: return len(self._items)
    def __iter__(self) -> Iterator[T]: yield from self._items
    def __getitem__(self, i: int) -> T: return self._items[i]
    def __repr__(self) -> str: return f"{type(self).__name__}({list(self._items)!r})"
genes = [Gene.parse({"gene": "a", "lfc": 2.0}), replace(Gene("b"), lfc=-1.5)]
stack: Stack[Gene] = Stack(memory=2)
for g in sorted(genes, key=lambda g: g.score, reverse=True):
    stack.push(g)
assert isinstance(genes[0], Scored) and [f.name for f in fields(Gene)][0] == "name"
by_way: defaultdict[str, list[str]] = defaultdict(list)
for g in stack:
    by_way[Gene.way(g.lfc)].append(g.name)
print(stack, Counter(by_way), Span(0)._asdict(), Way["UP"].name, json.dumps([asdict(g) for g in genes], sort_keys=True, default=str))
''',
"match_and_walrus": '''
import re
from dataclasses import dataclass
@dataclass
class Point:
    x: float
    y: float = 0
def tell(thing):
    match thing:
        case None: return "nothing"
        case Point(x=0, y=0): return "origin"
        case Point(x, y) if x == y: return f"diagonal at {x}"
        case {"gene": str(name), "lfc": (int() | float()) as lfc, **rest}: return f"{name}: {lfc:+.2f} ({len(rest)} more)"
        case [first, *_, last]: return f"{first} … {last}"
        case "up" | "down" as way: return way.upper()
        case bool() | int(): return "number"
        case _: return repr(thing)
for thing in (None, Point(0), Point(2, 2), {"gene": "a", "lfc": 1, "p": 0.1}, [1, 2, 3], "up", 7, b"x"):
    print(tell(thing))
lines = iter(["a=1", "b=22", "", "c"])
while (line := next(lines, "")):
    if (found := re.fullmatch(r"(?P<key>\\w+)=(?P<value>\\d+)", line)) is not None:
        key, value = found.group("key", "value")
        print(f"{key!s:>4}|{value:<6}|{int(value):#06x}|{int(value):,}|{0.1234:.1%}|{found['key']=}")
total = sum(n for n in range(10) if (half := n // 2) and half % 2)
print(total, *(f"{i:0{3}d}" for i in range(2)), sep="; ")
''',
"async_work": '''
import asyncio, contextlib, random, time
@contextlib.asynccontextmanager
async def timed(name):
    start = time.perf_counter()
    try:
        yield name
    finally:
        print(name, time.perf_counter() - start < 60)
async def numbers(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)
async def work(i, gate):
    async with gate:
        await asyncio.sleep(0.001 * random.random())
        return i * i
async def main():
    gate = asyncio.Semaphore(2)
    async with timed("gather"):
        print(await asyncio.gather(*(work(i, gate) for i in range(4))), [n async for n in numbers(3)])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(i, gate)) for i in range(3)]
    print([t.result() for t in tasks], await asyncio.to_thread(sum, range(5)))
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.sleep(5), timeout=0.01)
asyncio.run(main())
''',
"pools_and_decorators": '''
import concurrent.futures as cf
import functools, itertools, time, warnings
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from io import StringIO
def retry(times=3, *, errors=(ValueError,)):
    def decorate(fn):
        @functools.wraps(fn)
        def inner(*args, **kwargs):
            for attempt in itertools.count(1):
                try:
                    return fn(*args, **kwargs)
                except errors as error:
                    if attempt >= times:
                        raise RuntimeError(f"{fn.__name__} failed") from error
        inner.calls = 0
        return inner
    return decorate
class cached_mean:
    def __init__(self, fn): self.fn, self.name = fn, fn.__name__
    def __set_name__(self, owner, name): self.name = "_" + name
    def __get__(self, obj, owner=None):
        if obj is None: return self
        if not hasattr(obj, "_mean"): obj._mean = self.fn(obj)
        return obj._mean
class Data:
    def __init__(self, xs): self.xs = list(xs)
    @cached_mean
    def mean(self): return sum(self.xs) / len(self.xs)
    @functools.cached_property
    def span(self): return max(self.xs) - min(self.xs)
@functools.lru_cache(maxsize=None)
@retry(2)
def square(x): return x * x
@contextmanager
def quiet():
    buffer = StringIO()
    with warnings.catch_warnings(), redirect_stdout(buffer):
        warnings.simplefilter("ignore", category=RuntimeWarning)
        yield buffer
with cf.ThreadPoolExecutor(max_workers=2) as pool, quiet() as said:
    jobs = {pool.submit(square, n): n for n in range(5)}
    done = {jobs[f]: f.result() for f in cf.as_completed(jobs)}
    print("hidden")
with ExitStack() as stack:
    stack.enter_context(nullcontext()); stack.callback(print, "closed")
print(sorted(done.items()), said.getvalue().strip(), Data([1, 2, 4]).mean, Data("ab"*0 or [1, 5]).span, square.cache_info().misses)
print(list(itertools.chain.from_iterable([1, 2][i:i + 1] for i in range(2))))
''',
"files_and_text": '''
import csv, gzip, hashlib, io, json, os, shutil, tempfile, zipfile
from pathlib import Path
root = Path("out") / "tables"
root.mkdir(parents=True, exist_ok=True)
rows = [{"gene": f"g{i}", "url": f"https://example.org/gene/{i}"} for i in range(3)]
with open(os.path.join("out", "tables", "rows.csv"), "w", newline="", encoding="utf-8") as handle:
    writer = csv.DictWriter(handle, fieldnames=list(rows[0]), quoting=csv.QUOTE_MINIMAL)
    writer.writeheader(); writer.writerows(rows)
with gzip.open(root / "rows.json.gz", "wt") as handle:
    json.dump(rows, handle, indent=1)
with tempfile.TemporaryDirectory() as folder:
    copied = shutil.copy2(root / "rows.csv", Path(folder) / "copy.csv")
    digest = hashlib.sha256(Path(copied).read_bytes()).hexdigest()
with zipfile.ZipFile(root / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for path in sorted(root.glob("rows.*")):
        archive.write(path, arcname=path.name)
sizes = {p.relative_to(root).as_posix(): p.stat().st_size for p in root.rglob("*") if p.is_file() and not p.name.startswith(".")}
header, *body = io.StringIO((root / "rows.csv").read_text()).read().strip().split("\\n")
(root.parent / "notes" ).mkdir(exist_ok=True)
(root.parent / "notes" / "readme.md").with_suffix(".txt").write_text(f"{header}\\n{len(body)} {digest[:8]}\\n")
print(sizes, os.path.splitext(os.path.basename(str(root / "rows.csv"))), [p.stem for p in Path(".").iterdir()][:1])
''',
"joblib_and_bootstrap": '''
from joblib import Parallel, delayed, dump
import numpy as np
from scipy.stats import bootstrap, mannwhitneyu, false_discovery_control
def one(seed, n=50):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n).mean()
backend = "threading"
means = Parallel(n_jobs=2, backend=backend, verbose=0)(delayed(one)(s) for s in range(10))
more = Parallel(n_jobs=1, prefer="threads")(delayed(one)(seed=s, n=5) for s in range(3))
options = {"n_resamples": 99, "method": "percentile"}
ci = bootstrap((np.array(means),), np.mean, rng=1, **options).confidence_interval
p = [mannwhitneyu(np.arange(5), np.arange(5) + k).pvalue for k in range(3)]
print(ci.low < ci.high, false_discovery_control(p), len(more))
dump({"means": means}, "means.joblib")
np.savez_compressed("means.npz", means=means)
with np.load("means.npz") as stored:
    print(stored.files, stored["means"].shape)
''',
"deseq_by_package": '''
import numpy as np, pandas as pd
from pydeseq2.dds import DeseqDataSet
from pydeseq2.ds import DeseqStats
rng = np.random.default_rng(5)
counts = pd.DataFrame(rng.negative_binomial(5, 0.05, size=(6, 30)), index=[f"s{i}" for i in range(6)], columns=[f"g{i}" for i in range(30)])
metadata = pd.DataFrame({"condition": list("AAABBB"), "batch": list("xyxyxy")}, index=counts.index)
factors = ["batch", "condition"]
dds = DeseqDataSet(counts=counts, metadata=metadata, design="~ " + " + ".join(factors), quiet=True, n_cpus=1)
print(dds.X.shape, dds.obsm["design_matrix"].columns.tolist())
''',
"images": '''
from PIL import Image, ImageDraw
import numpy as np
image = Image.fromarray((np.linspace(0, 255, 64 * 64).reshape(64, 64)).astype("uint8"))
draw = ImageDraw.Draw(image)
draw.rectangle((4, 4, 20, 20), outline=255)
image.resize((32, 32)).rotate(90).convert("RGB").save("small.png", format="PNG", optimize=True)
print(image.size, image.mode, np.asarray(image).mean())
''',
"ready_for_absence": '''
try:
    from tqdm.auto import tqdm
except ImportError:
    def tqdm(items, **options):
        return items
try:
    import lifelines
except (ImportError, AttributeError):
    lifelines = None
for i in tqdm(range(3), desc="genes"):
    print(i, lifelines is None)
''',
"alarm_yaml_tracebacks": '''
import signal
import traceback
import yaml
def stop(number, frame):
    raise TimeoutError("too slow")
signal.signal(signal.SIGALRM, stop)
signal.alarm(5)
try:
    config = yaml.load("a: 1", Loader=yaml.SafeLoader)
    int("x")
except ValueError as error:
    print("".join(traceback.format_exception(type(error), error, error.__traceback__)), error.__cause__)
finally:
    signal.alarm(0)
''',
"second_names_animation": '''
import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation, PillowWriter
class Vector(tuple):
    def __add__(self, other):
        return Vector(a + b for a, b in zip(self, other))
    __radd__ = __add__
    def __repr__(self):
        return f"Vector{tuple(self)}"
    __str__ = __repr__
figure, axes = plt.subplots()
(line,) = axes.plot([], [])
def draw(i):
    line.set_data(range(i), range(i))
    return (line,)
FuncAnimation(figure, draw, frames=4).save("rise.gif", writer=PillowWriter(fps=4))
FuncAnimation(figure, draw, frames=4).save("rise.gif", writer="pillow")
print(Vector((1, 2)) + (3, 4))
''',
}
