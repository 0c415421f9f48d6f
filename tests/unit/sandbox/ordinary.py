"""Ordinary analysis scripts the policy must accept. Checked, not run."""

# fmt: off
ORDINARY: dict[str, str] = {
"shadowed_names": '''
import asyncio, yaml
import numpy as np, pandas as pd
from packaging.version import Version
from typing_extensions import Self
input = pd.DataFrame({"gc": [0.4], "signal": [1.0]})
license = "CC0"; help = "see the methods"
print(input.head(), license, help, input.gc.mean(), input.signal.sum(), np.eye(3).trace(), np.trace(np.eye(2)))
config = yaml.safe_load("alpha: 0.05"); print(yaml.safe_dump(config), Version(pd.__version__) >= Version("2"))
view = memoryview(b"abc"); print(bytes(view))
async def one(n):
    await asyncio.sleep(0)
    return n
async def main():
    return await asyncio.gather(*(one(i) for i in range(3)))
print(asyncio.run(main()))
''',
"frames_and_counts": '''
import pandas as pd, numpy as np
from pathlib import Path
def load_counts(path: Path) -> pd.DataFrame:
    df = pd.read_csv(path, sep="\\t", index_col=0)
    if df.index.duplicated().any():
        raise ValueError("duplicate genes")
    return df.loc[df.sum(axis=1) > 0]
def normalise(counts):
    return np.log2(counts.div(counts.sum(axis=0), axis=1) * 1e6 + 1)
def volcano(ax, res, *, alpha=0.05, lfc=1.0, **kw):
    up = res.query("padj < @alpha and log2FoldChange > @lfc")
    down = res.query(f"padj < {alpha} and log2FoldChange < {-lfc}")
    for name, part in {"up": up, "down": down}.items():
        ax.scatter(part["log2FoldChange"], -np.log10(part["padj"]), label=f"{name} (n={len(part):,})", **kw)
RES = {}
for condition in ("a", "b"):
    key = "_".join([condition, "vs", "ctrl"])
    RES[key] = pd.DataFrame({"padj": [0.1], "log2FoldChange": [2.0]})
summary = {k: {"n": int((v["padj"] < 0.05).sum())} for k, v in RES.items()}
wide = pd.concat(RES, names=["contrast"]).reset_index(level=0).pivot_table(index="contrast", values="padj", aggfunc="mean")
top = sorted(summary.items(), key=lambda kv: kv[1]["n"], reverse=True)[:10]
print(wide.to_markdown() if hasattr(wide, "to_markdown") and False else wide, top)
merged = RES["a_vs_ctrl"].merge(RES["b_vs_ctrl"], left_index=True, right_index=True, suffixes=("_a", "_b"))
merged.assign(z=lambda d: d["padj_a"] - d["padj_b"]).rename(columns=str.upper).to_csv("merged.csv")
''',
"argparse_main": '''
import argparse, sys
from pathlib import Path
def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--alpha", type=float, default=0.05)
    p.add_argument("--out", type=Path, default=Path("."))
    return p.parse_args(argv)
def main() -> int:
    args = parse([])
    print(vars(parse([])) if False else args.alpha)
    return 0
if __name__ == "__main__":
    sys.exit(main())
''',
"argparse_vars": '''
import argparse
args = argparse.ArgumentParser().parse_args([])
for key, value in vars(args).items():
    print(f"{key} = {value}")
''',
"match_generators": '''
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeVar
class Hit(NamedTuple):
    gene: str
    lfc: float
def hits(rows) -> Iterator[Hit]:
    for row in rows:
        match row:
            case {"gene": str(g), "lfc": float(v), **rest}:
                yield Hit(g, v)
            case [g, v]:
                yield Hit(g, v)
            case Hit(gene=g, lfc=v) if v > 0:
                yield Hit(g, v)
            case None | "":
                continue
            case _:
                raise ValueError(f"bad row: {row!r}")
def flat(x):
    yield from (y for z in x for y in z)
print(list(hits([{"gene": "A", "lfc": 1.0}])), list(flat([[1], [2]])))
''',
"decorators_cache": '''
import functools, time, logging
from contextlib import contextmanager, suppress
log = logging.getLogger(__name__)
def timed(fn):
    @functools.wraps(fn)
    def inner(*args, **kwargs):
        start = time.perf_counter()
        try:
            return fn(*args, **kwargs)
        finally:
            log.info("%s took %.2f s", fn.__name__, time.perf_counter() - start)
    return inner
@contextmanager
def section(title):
    print(f"== {title}")
    yield
    print("done")
@timed
@functools.lru_cache(maxsize=None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
with section("fib"), suppress(ValueError):
    print(fib(30), functools.reduce(lambda a, b: a * b, range(1, 5)))
''',
"os_env_paths": '''
import os, glob, shutil, tempfile, json
base = os.environ.get("DATA_DIR", ".")
out = os.getenv("OUTPUT_DIR", "/output")
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
for name in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
os.environ.update({"NUMEXPR_NUM_THREADS": "1"})
os.makedirs(os.path.join(out, "figures"), exist_ok=True)
for root, dirs, files in os.walk(base):
    for f in sorted(files):
        print(os.path.getsize(os.path.join(root, f)), os.path.splitext(f))
if "HOME" in os.environ and not os.path.exists("x"):
    print(os.listdir("."), os.sep, os.linesep, os.cpu_count())
with tempfile.TemporaryDirectory() as d:
    shutil.copytree(d, os.path.join(d, "b"))
print(glob.glob("*.csv"), json.dumps({"cwd": os.getcwd()}))
here = os.path.dirname(os.path.abspath(__file__))
os.rename("a", "b") if os.path.isfile("a") else None
''',
"pandas_query_variants": '''
import pandas as pd, numpy as np
df = pd.DataFrame({"a": [1, 2], "b c": [3, 4], "gene": ["x", "y"], "lfc": [.1, 2.]})
cutoff = 0.5
names = ["x"]
print(df.query("a > 1 and lfc > @cutoff"))
print(df.query("`b c` >= 3 & gene in @names"))
print(df.query("gene.str.startswith('x') or not (a == 1)"))
print(df.query(f"lfc > {cutoff}"))
print(df.query("gene == 'x'", engine="python"))
print(df.query("lfc > %s" % cutoff))
print(df.query("index >= 0 and a in [1, 2]"))
df.eval("r = a / lfc", inplace=True)
df = df.eval("""
s = a + lfc
t = s ** 2
""")
print(pd.eval("1 + 2"), df.eval("log_a = log(a)").shape)
for col in ("a", "lfc"):
    print(df.query(f"{col} > 0").shape)
def pick(frame, low):
    return frame.query("a >= @low")
print(pick(df, 1))
expr = "a > 0" if len(df) else "a < 0"
print(df.query(expr))
conditions = ["a > 0", "lfc > 0"]
print(df.query(" and ".join(conditions)))
print(df.query(" & ".join(f"{c} > 0" for c in ["a", "lfc"])))
''',
"formula_loops": '''
import pandas as pd, numpy as np
import statsmodels.api as sm, statsmodels.formula.api as smf
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.anova import anova_lm
df = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 4)), columns=["y1", "y2", "x", "z"])
df["g"] = ["a", "b", "c"] * 10
rows = []
for gene in ["y1", "y2"]:
    fit = smf.ols(f"{gene} ~ x + C(g, Treatment(reference='a'))", data=df).fit()
    rows.append(fit.pvalues["x"])
for gene in df.columns[:2]:
    m = smf.ols(f"Q('{gene}') ~ x * z", data=df).fit()
    print(anova_lm(m, typ=2))
factors = ["x", "z"]
formula = "y1 ~ " + " + ".join(factors)
print(smf.ols(formula, df).fit().summary())
print(smf.glm("y1 ~ x + I(x**2) + np.exp(z)", data=df, family=sm.families.Gaussian()).fit().aic)
print(smf.mixedlm("y1 ~ x", df, groups=df["g"], re_formula="~x").fit().params)
print(smf.logit("hit ~ x - 1", df.assign(hit=(df.y1 > 0).astype(int))).fit(disp=0).params)
print(multipletests(rows, method="fdr_bh")[1], sm.OLS(df.y1, sm.add_constant(df[["x"]])).fit().rsquared)
print(sm.stats.ttest_ind(df.y1, df.y2))
''',
"deseq_designs": '''
import pickle
import anndata as ad, pandas as pd, numpy as np
from pydeseq2.dds import DeseqDataSet
from pydeseq2.default_inference import DefaultInference
from pydeseq2.ds import DeseqStats
from pydeseq2.utils import load_example_data
counts = pd.read_csv("counts.csv", index_col=0).T
meta = pd.read_csv("samples.csv", index_col=0)
inference = DefaultInference(n_cpus=1)
dds = DeseqDataSet(counts=counts, metadata=meta, design="~ cell + dex", refit_cooks=True, inference=inference)
dds.deseq2()
ds = DeseqStats(dds, contrast=["dex", "trt", "untrt"], alpha=0.05, inference=inference)
ds.summary()
ds.lfc_shrink(coeff="dex[T.trt]")
design_factors = ["batch", "condition"]
d2 = DeseqDataSet(counts=counts, metadata=meta, design="~" + "+".join(design_factors))
d3 = DeseqDataSet(counts=counts, metadata=meta, design=f"~ {design_factors[0]} + condition:batch")
dm = DeseqDataSet(counts=counts, metadata=meta, design=pd.DataFrame({"a": [1]}))
dds.vst_fit(use_design=False)
dds.layers["vst"], dds.obs, dds.varm, dds.obsm["size_factors"], dds.var
ds.results_df.sort_values("padj").to_csv("results.csv")
with open("dds.pkl", "wb") as fh:
    pickle.dump(dds.to_picklable_anndata(), fh)
''',
"plots": '''
import matplotlib
matplotlib.use("Agg")
import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib import cm, gridspec, rcParams, ticker
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize, TwoSlopeNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.backends.backend_pdf import PdfPages
from mpl_toolkits.axes_grid1 import make_axes_locatable
import seaborn as sns
import numpy as np, pandas as pd
plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "text.usetex": False, "svg.hashsalt": "x"})
plt.rcParams["figure.dpi"] = 120
mpl.rcParams["pdf.fonttype"] = 42
sns.set_theme(style="whitegrid")
plt.style.use("seaborn-v0_8-whitegrid")
fig, axes = plt.subplots(1, 2, figsize=(6, 3), constrained_layout=True)
axes[0].scatter([1], [2], c=[0.1], cmap=plt.cm.viridis, norm=Normalize(0, 1))
axes[0].yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:.1f}"))
axes[0].set_title(r"$\\log_2$ fold change")
axes[0].legend(handles=[Line2D([], [], marker="o"), Patch(color="k", label="x")])
for ax, (name, group) in zip(axes.flat, pd.DataFrame({"a": [1, 2], "g": ["x", "y"]}).groupby("g")):
    ax.hist(group["a"]); ax.annotate(name, xy=(0, 0), arrowprops=dict(arrowstyle="->"))
g = sns.clustermap(np.eye(4), cmap="vlag", figsize=(3, 3), row_colors=["r", "g", "b", "k"])
g.ax_heatmap.set_xlabel("x"); g.savefig("heat.png")
sns.heatmap(np.eye(3), ax=axes[1]); sns.boxplot(x=[1], y=[2]); sns.despine()
with PdfPages("all.pdf") as pdf:
    pdf.savefig(fig)
fig.savefig("f.svg", bbox_inches="tight", metadata={"Date": None}); plt.close(fig); plt.close("all")
''',
"sklearn_pipeline": '''
import joblib, numpy as np, pandas as pd
from sklearn import datasets, metrics, preprocessing
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, LassoCV
from sklearn.metrics import roc_auc_score, silhouette_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.base import BaseEstimator, TransformerMixin
class Log1p(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return np.log1p(np.abs(X))
X, y = datasets.load_iris(return_X_y=True)
iris = datasets.load_iris(); print(iris.data.shape, iris.target_names)
pipe = Pipeline([("log", Log1p()), ("sc", preprocessing.StandardScaler()), ("rf", RandomForestClassifier(n_jobs=1))])
gs = GridSearchCV(pipe, {"rf__n_estimators": [5, 10]}, cv=StratifiedKFold(3), scoring="accuracy").fit(X, y)
print(gs.best_params_, cross_val_score(pipe, X, y).mean(), metrics.accuracy_score(y, gs.predict(X)))
models = {"lr": LogisticRegression, "rf": RandomForestClassifier}
for name, cls in models.items():
    m = cls(); m.fit(X, y); print(name, m.__class__.__name__, m.score(X, y))
    for attr in ("coef_", "feature_importances_"):
        if hasattr(m, attr):
            print(getattr(m, attr))
joblib.dump(gs, "model.joblib")
''',
"scipy_stats": '''
import numpy as np
from numpy.random import default_rng
from numpy import linalg as LA
from scipy import cluster, optimize, sparse, spatial, stats
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.optimize import curve_fit, minimize
from scipy.spatial.distance import pdist, squareform
import scipy, scipy.signal as sig
from scipy.stats import false_discovery_control, norm
def hill(x, top, ec50, n): return top * x**n / (ec50**n + x**n)
popt, pcov = curve_fit(hill, np.arange(1, 9.), np.arange(1, 9.), p0=[8, 4, 1], maxfev=10000)
r = minimize(lambda p: ((p - 1) ** 2).sum(), np.zeros(2), method="Nelder-Mead")
tests = {"t": stats.ttest_ind, "u": stats.mannwhitneyu}
for label, test in tests.items():
    print(label, test([1, 2, 3], [2, 3, 5]).pvalue)
d = squareform(pdist(np.eye(4), "correlation")); print(leaves_list(linkage(np.eye(4), "average")), d.shape)
print(norm.ppf(.975), LA.svd(np.eye(2))[1], np.fft.rfft([1, 2]), np.ma.masked_invalid([1, np.nan]).mean())
print(sparse.csr_matrix(np.eye(2)).toarray(), sig.savgol_filter(np.arange(9.), 5, 2), scipy.__version__)
np.save("a.npy", np.eye(2)); print(np.load("a.npy").sum(), np.load("a.npy", allow_pickle=False).sum())
np.savez("b.npz", a=np.eye(2))
with np.load("b.npz") as z:
    print(z["a"], z.files)
old = np.seterr(all="ignore"); np.set_printoptions(precision=3)
with np.errstate(divide="ignore"):
    print(np.log(np.zeros(2)), np.r_[1, 2], np.vectorize(lambda v: v + 1)([1]), np.lib.stride_tricks.sliding_window_view(np.arange(4), 2))
rng = default_rng(1); print(rng.choice(5), np.random.RandomState(0).rand())
for f in ("mean", "std", "median"):
    print(f, getattr(np, f)([1, 2]))
print({m.__name__: m.__version__ for m in (np, scipy)})
''',
"parallel": '''
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
import threading, queue, time
import numpy as np
from joblib import Parallel, delayed, parallel_backend
def work(i): return i * i
if __name__ == "__main__":
    n = min(2, mp.cpu_count())
    with ProcessPoolExecutor(max_workers=n) as ex:
        futures = {ex.submit(work, i): i for i in range(4)}
        for f in as_completed(futures):
            print(futures[f], f.result())
    with ThreadPoolExecutor() as ex:
        print(list(ex.map(work, range(3))))
    print(Parallel(n_jobs=2, backend="threading")(delayed(work)(i) for i in range(3)))
    lock = threading.Lock(); q = queue.Queue()
    t = threading.Thread(target=q.put, args=(1,), daemon=True); t.start(); t.join()
    with mp.Pool(2) as pool:
        print(pool.map(work, range(3)))
''',
"text_processing": '''
import re, string, textwrap, difflib, unicodedata, html, io, csv, gzip, json, zipfile, hashlib, base64
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
pattern = re.compile(r"^(GSM\\d+)[_-](.+?)\\s*$", re.I)
Row = namedtuple("Row", "name value")
m = pattern.match("GSM1_treated")
if m: print(m.group(1), m.groups(), m.groupdict())
text = "Gene: {name}, LFC: {lfc:+.2f}, p={p:.1e}"
print(text.format(name="TP53", lfc=1.2, p=1e-5), "{:>10} {!r:<5}".format("a", "b"), "{0.real}".format(1))
print("{row.name}".format(row=Row("a", 1)), "{d[key]}".format(d={"key": 1}), "%(a)s %5.1f" % {"a": 1} if 0 else "%s" % 1)
template = string.Template("$gene is $state"); print(template.substitute(gene="A", state="up"))
s = "ACGT"[::-1]; comp = s.translate(str.maketrans("ACGT", "TGCA")); print(comp, s.count("A"))
buf = io.StringIO(); w = csv.DictWriter(buf, fieldnames=["a"]); w.writeheader(); w.writerow({"a": 1})
print(base64.b64encode(b"abc").decode(), hashlib.md5(b"x").hexdigest(), html.escape("<b>"))
with open("x.json", "w") as fh: json.dump({"class": "eval", "import": "exec", "__note__": 1}, fh)
d = json.loads('{"a": 1}'); print(d["a"], textwrap.fill("x " * 50), difflib.get_close_matches("a", ["ab"]))
counts = Counter("abca"); dd = defaultdict(lambda: defaultdict(int)); dd["a"]["b"] += 1
with zipfile.ZipFile("z.zip", "w") as z: z.write("x.json")
msg = "The system was compiled; do not eval or exec this: os.system('x')"; print(msg)
help_text = "call help() for more"; print(help_text, ascii("é"), chr(955), ord("a"), bytes([1, 2]), bytearray(2))
''',
"dataclasses_typing": '''
from __future__ import annotations
import abc, copy, dataclasses, enum, typing as t
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial, singledispatch, total_ordering
T = t.TypeVar("T")
class Base(abc.ABC):
    registry: t.ClassVar[dict[str, type["Base"]]] = {}
    def __init_subclass__(cls, **kw: t.Any) -> None:
        super().__init_subclass__(**kw); Base.registry[cls.__name__] = cls
    @abc.abstractmethod
    def run(self) -> "pd.DataFrame | None": ...
class Meta(metaclass=abc.ABCMeta): ...
@total_ordering
class V:
    __slots__ = ("x",)
    def __init__(self, x: int) -> None: self.x = x
    def __eq__(self, o: object) -> bool: return isinstance(o, V) and self.x == o.x
    def __lt__(self, o: "V") -> bool: return self.x < o.x
    def __hash__(self) -> int: return hash(self.x)
    def __add__(self, o: V) -> V: return self.__class__(self.x + o.x)
@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    alpha: float = 0.05
    tags: list[str] = field(default_factory=list)
    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", float(self.alpha))
class Child(Base):
    def __init__(self, **kw):
        super().__init__()
        for k, v in kw.items():
            setattr(self, k, v)
    def run(self): return None
    @cached_property
    def n(self): return 1
    @classmethod
    def make(cls, *a): return cls(*a)
    @staticmethod
    def s(): return 2
    def load(self): return self
c = Config(); print(asdict(c), replace(c, alpha=.1), [f.name for f in dataclasses.fields(c)], copy.deepcopy(c))
print(Child(a=1).load().run(), type(c).__name__, isinstance(c, Config), issubclass(Child, Base), Child.__name__)
print([getattr(c, f) for f in ("alpha", "tags")], hasattr(c, "x"), callable(c), getattr(c, "alpha", None))
''',
"errors_logging": '''
import logging, sys, traceback, warnings, time, datetime as dt
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
logger = logging.getLogger("x"); logger.addHandler(logging.FileHandler("run.log")); logger.setLevel(logging.DEBUG)
class PipelineError(RuntimeError):
    def __init__(self, step, msg):
        super().__init__(f"{step}: {msg}"); self.step = step
warnings.simplefilter("ignore")
with warnings.catch_warnings(record=True) as w:
    warnings.warn("x", UserWarning)
try:
    raise PipelineError("a", "b")
except (PipelineError, KeyError) as err:
    logger.exception("failed"); print(err.args, err.step, str(err), traceback.format_exc(), file=sys.stderr)
    traceback.print_exc()
except Exception as e:
    print(e.errno if isinstance(e, OSError) else e); raise SystemExit(1) from e
else:
    pass
finally:
    print(dt.datetime.now(dt.timezone.utc).isoformat(), time.strftime("%Y"), dt.timedelta(days=1))
assert True, "ok"
sys.exit(0)
''',
"sqlite_xml": '''
import sqlite3, xml.etree.ElementTree as ET, configparser, uuid, random, statistics, itertools, operator, heapq, bisect, decimal, fractions, math, calendar, zoneinfo, pprint, struct, array
con = sqlite3.connect(":memory:"); con.row_factory = sqlite3.Row
con.execute("create table t(a)"); con.executemany("insert into t values (?)", [(1,), (2,)]); con.commit()
print([dict(r) for r in con.execute("select * from t where a > ?", (1,))])
cur = con.cursor(); cur.execute("select 1"); print(cur.fetchall()); con.create_function("sq", 1, lambda x: x * x)
root = ET.fromstring("<a><b c='1'/></a>"); print([b.get("c") for b in root.iter("b")], root.find("b").attrib)
print(sorted([("a", 2), ("b", 1)], key=operator.itemgetter(1)), list(itertools.chain.from_iterable([[1]])), statistics.mean([1, 2]))
print(max([1], key=operator.neg), sorted([complex(1)], key=operator.attrgetter("real")), list(map(operator.methodcaller("upper"), ["a"])))
random.seed(1); print(uuid.uuid4().hex, random.sample(range(9), 2), heapq.nsmallest(1, [2, 1]), math.isclose(1, 1), decimal.Decimal("1.1"))
n = 0
while True:
    n += 1
    if n > 3: break
    else: continue
print([x for x in range(5) if x % 2], {x: y for x, y in zip("ab", (1, 2))}, {1, 2} | {3}, *[1, 2], sep=",")
a, *rest = [1, 2, 3]; (b, c), d = (1, 2), 3; x = y = 0; x += 1; del y
f = lambda *a, k=1, **kw: (a, k, kw); print(f(1, k=2, z=3), (n := 5), [*range(3)], {**{"a": 1}})
print(all(v is not None for v in rest), any(rest), sum(rest), divmod(7, 2), pow(2, 3), round(1.5), slice(1, 2), enumerate([1]), iter([1]), next(iter([1])), reversed([1]), id(1), repr(1), format(1.5, ".2f"), oct(8), hex(8), bin(8))
''',
"input_variable": '''
import pandas as pd, io
def summarise(input, vars=("a",), filter=None, type="mean", dir=".", help=""):
    return input[list(vars)].agg(type)
input_df = pd.read_csv(io.StringIO("a\\n1\\n2"))
print(summarise(input_df), input_df.agg(["mean", "std"]), input_df.apply("mean"), input_df.transform("sqrt"))
print(input_df.groupby("a").agg(n=("a", "size")), input_df.pipe(lambda d: d * 2), input_df.style)
print(input_df.T, input_df.attrs, input_df.columns.tolist(), input_df["a"].map({1: "x"}), input_df.loc[0, "a"], input_df.to_dict("records"))
with pd.option_context("display.max_rows", 5):
    print(input_df.to_string())
pd.set_option("display.width", 100); pd.options.display.max_columns = 50
writer = pd.ExcelWriter("x.xlsx", engine="openpyxl"); input_df.to_excel(writer, sheet_name="a"); writer.close()
pd.read_excel("x.xlsx", sheet_name=None); pd.read_csv("t.tsv.gz", sep="\\t", compression="gzip", comment="!")
''',
"geo_platform_column": '''
import pandas as pd
meta = pd.DataFrame({"platform": ["GPL1"], "system": ["immune"], "os": [12.0], "code": [1], "signal": [2], "trace": [1]})
print(meta.platform.unique(), meta["system"], meta["os"].mean(), meta.code, meta["signal"])
sample = {"exec": 1}; sample["eval"] = 2
print(meta.groupby("system")["os"].median())
doi = "https://doi.org/10.1186/gb-2010-11-10-r106"
print(f"See {doi} for methods")
''',
"report_html": '''
import html, json, platform, sys, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
import numpy as np, pandas as pd
def ver(name):
    try: return version(name)
    except PackageNotFoundError: return "not installed"
rows = "".join(f"<tr><td>{html.escape(str(k))}</td></tr>" for k in ("a", "b"))
style = "body {font-family: sans-serif} .a.b {color: red}"
page = f"""<html><style>{style} td {{padding: 2px}}</style><script>var x = {json.dumps([1])};</script>{rows}</html>"""
Path("report.html").write_text(page, encoding="utf-8")
Path("manifest.json").write_text(json.dumps({"python": sys.version, "platform": platform.platform(), "packages": {p: ver(p) for p in ("numpy", "pandas")}}))
p = Path(__file__).resolve().parent; print(p.name, p.suffix, p.stem, [q.name for q in p.iterdir() if q.is_file()], p / "x", p.joinpath("y"), Path.cwd())
''',
"type_checking": '''
from typing import TYPE_CHECKING
import numpy as np
if TYPE_CHECKING:
    from collections.abc import Sequence
try:
    import seaborn as sns
except ImportError:
    sns = None
__version__ = "1.0"
__all__ = ["f"]
def f(x: "Sequence[float]", *, how: "str" = "mean") -> "np.ndarray":
    """Do f.

    >>> f([1])
    """
    return getattr(np, {"mean": "mean", "median": "median"}[how])(x)
def g(frame, stat="mean"):
    return getattr(frame, stat)()
import pandas as pd
print(f([1, 2]), g(pd.DataFrame({"a": [1]}), "median"), g(pd.DataFrame({"a": [1]})))
''',
"timeit_use": '''
import timeit
from timeit import default_timer as timer
def work(): return sum(range(100))
start = timer(); print(timeit.timeit(work, number=10), timeit.timeit(lambda: work(), number=3), timer() - start)
''',
}
