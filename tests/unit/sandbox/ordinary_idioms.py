"""Ordinary scripts the policy must allow, third round: idioms of analysts and of models. Each runs as it is."""

# fmt: off
ORDINARY_IDIOMS: dict[str, str] = {
"report_versions": r'''
import importlib, platform, sys
import numpy, pandas
for pkg in ["numpy", "pandas", "scipy"]:
    try:
        mod = importlib.import_module(pkg)
        print(f"{pkg}: {mod.__version__}")
    except ImportError:
        print(pkg, "missing")
print(sys.version, platform.platform(), sys.executable, pandas.__file__ is not None, numpy.__name__)
if "df" not in globals():
    df = pandas.DataFrame({"a": [1]})
if 'x' in locals() or "y" in dir():
    pass
df.to_csv("a.csv")
''',
"parameters_object": r'''
import json
class Params:
    def __init__(self, **kw):
        self.__dict__.update(kw)
    def to_dict(self):
        return dict(self.__dict__)
    def __repr__(self):
        return "Params(" + ", ".join(f"{k}={v!r}" for k, v in vars(self).items()) + ")"
    def __eq__(self, other):
        return self.__dict__ == other.__dict__
p = Params(a=1, b=2)
print(p)
json.dump(p.to_dict(), open("p.json", "w"))
''',
"parsed_arguments": r'''
import argparse, json, types
ap = argparse.ArgumentParser(); ap.add_argument("--n", type=int, default=3); ap.add_argument("files", nargs="*")
g = ap.add_mutually_exclusive_group(); g.add_argument("--a", action=argparse.BooleanOptionalAction, default=True)
sub = ap.add_subparsers(dest="cmd");
args, rest = ap.parse_known_args()
for k, v in sorted(vars(args).items()): print(k, v)
print(args.__dict__)
def main(argv=None):
    opts = ap.parse_args(argv)
    return vars(opts)
ns = types.SimpleNamespace(**vars(args)); print(ns)
cfg = {k: getattr(args, k) for k in ("n", "cmd")}
json.dump({**vars(args), "m": main([])["n"]}, open("args.json", "w"), default=str)
''',
"names_from_texts": r'''
import pandas as pd, numpy as np
from scipy import stats
from sklearn import metrics
obj = pd.Series([1., 2, 3])
for stat in "mean median std var".split(): print(stat, getattr(obj, stat)())
METRICS = {"acc": "accuracy_score", "f1": "f1_score"}
for short, full in METRICS.items(): print(short, getattr(metrics, full)([0, 1], [0, 1]))
for m in ["accuracy", "f1"]: print(getattr(metrics, f"{m}_score")([0, 1], [0, 1]))
def summarise(s, how="mean"):
    if not hasattr(s, how): raise ValueError(how)
    return getattr(s, how)()
print(summarise(obj), summarise(obj, "max"))
rows = [{c: getattr(r, c) for c in ("Index", "x")} for r in obj.to_frame("x").itertuples()]
dists = ["norm", "gamma"]; fitted = {d: getattr(stats, d).fit(obj) for d in dists}
class C: pass
c = C(); setattr(c, "name", 1); delattr(c, "name"); print(callable(getattr(c, "run", None)), getattr(np, "float128", np.float64))
open("x.txt", "w").write(str(fitted))
''',
"fit_parameters": r'''
import inspect
from scipy.optimize import curve_fit
import numpy as np
def model(x, a, b, c=0): return a * np.exp(-b * x) + c
names = list(inspect.signature(model).parameters)[1:]
x = np.linspace(0, 3, 20); popt, pcov = curve_fit(model, x, model(x, 2, 1, .5), p0=np.ones(len(names)))
open("fit.txt", "w").write("\n".join(f"{n}\t{v:.3f}" for n, v in zip(names, popt)))
print(inspect.getdoc(np.mean)[:10], inspect.isfunction(model))
''',
"versions_of_libraries": r'''
import importlib.util, sys
try:
    from tqdm.auto import tqdm
except ImportError:
    def tqdm(x, **kw): return x
try:
    import polars as pl
    HAS_POLARS = True
except ModuleNotFoundError:
    pl = None; HAS_POLARS = False
try:
    from adjustText import adjust_text
except Exception:
    adjust_text = None
try:
    from scipy.integrate import simpson
except ImportError:
    from scipy.integrate import simps as simpson
try:
    from numpy import trapezoid
except ImportError:
    from numpy import trapz as trapezoid
import numpy as np
trap = np.trapezoid if hasattr(np, "trapezoid") else np.trapz
trap2 = getattr(np, "trapezoid", None) or np.trapz
try:
    import numba
    jit = numba.njit
except ImportError:
    def jit(*a, **k):
        if len(a) == 1 and callable(a[0]): return a[0]
        return lambda f: f
@jit
def f(x): return x * 2
HAS_PLOTLY = importlib.util.find_spec("plotly") is not None
tot = sum(f(i) for i in tqdm(range(10), desc="work", disable=None))
y = np.sin(np.linspace(0, 3, 50)); print(simpson(y, dx=.1), trapezoid(y), trap(y), trap2(y), HAS_POLARS, HAS_PLOTLY, tot)
open("r.txt", "w").write(str(tot))
''',
"logging_to_files": r'''
import json, logging, logging.handlers, sys, traceback
from logging.handlers import RotatingFileHandler
formatter = logging.Formatter("%(asctime)s [%(levelname)s] %(name)s: %(message)s", datefmt="%H:%M:%S")
class Upper(logging.Formatter):
    def format(self, record):
        record.msg = str(record.msg).upper()
        return super().format(record)
log = logging.getLogger("analysis"); log.setLevel(logging.DEBUG)
for handler in (logging.StreamHandler(sys.stdout), RotatingFileHandler("run.log", maxBytes=10_000, backupCount=1)):
    handler.setFormatter(formatter); log.addHandler(handler)
try:
    1 / 0
except ZeroDivisionError:
    kind, value, tb = sys.exc_info()
    log.error("%s at line %d", kind.__name__, traceback.extract_tb(tb)[-1].lineno)
class Gene:
    def __init__(self, name): self.name = name
print(json.dumps([Gene("A")], default=lambda o: o.__dict__), json.dumps({"g": Gene("B")}, default=vars), file=sys.__stderr__)
''',
"measuring": r'''
import os, resource, tempfile, time, tracemalloc
tracemalloc.start()
total = sum(i * i for i in range(1000))
print(tracemalloc.take_snapshot().statistics("lineno")[:1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, total)
fd, name = tempfile.mkstemp(suffix=".csv")
with os.fdopen(fd, "w") as fh:
    fh.write("a\n1\n")
os.remove(name)
open("x.txt", "w").write(str(time.process_time() > 0))
''',
"model_with_eval": r'''
import numpy as np
class Net:
    training = True
    def train(self, mode=True): self.training = mode; return self
    def eval(self): return self.train(False)
    def parameters(self): yield from (1, 2)
    def __call__(self, x): return self.forward(x)
    def forward(self, x): return x * 2
    def state_dict(self): return {"w": 1}
    def load_state_dict(self, d): self.w = d["w"]
net = Net(); net.eval(); print(net(3), net.training, list(net.parameters())); net.load_state_dict(net.state_dict()); np.save("w.npy", np.array([1]))
''',
"own_loader": r'''
class Loader:
    def load(self, path): return path
    def system(self): return 1
    def compile(self): return self
    def exec(self, cmd): return cmd
l = Loader(); print(l.load("x"), l.compile(), l.system(), l.exec("x")); open("x.txt", "w").write("x")
''',
"step_registry": r'''
from abc import ABC, abstractmethod
from pathlib import Path
from dataclasses import dataclass, field, asdict
import json, hashlib, time, pandas as pd, numpy as np
class Step(ABC):
    registry: dict = {}
    def __init_subclass__(cls, **kw):
        super().__init_subclass__(**kw); Step.registry[cls.__name__.lower()] = cls
    @abstractmethod
    def __call__(self, df: pd.DataFrame) -> pd.DataFrame: ...
class Log(Step):
    def __call__(self, df): return np.log1p(df)
class Scale(Step):
    def __call__(self, df): return (df - df.mean()) / df.std(ddof=1)
@dataclass
class Pipeline:
    steps: list = field(default_factory=list)
    history: list[dict] = field(default_factory=list, init=False, repr=False)
    def add(self, name, **kw): self.steps.append(Step.registry[name](**kw)); return self
    def __rshift__(self, name): return self.add(name)
    def __iter__(self): return iter(self.steps)
    def __len__(self): return len(self.steps)
    def run(self, df):
        for s in self:
            t = time.time(); df = s(df); self.history.append({"step": type(s).__name__, "shape": list(df.shape), "hash": hashlib.sha1(pd.util.hash_pandas_object(df).values.tobytes()).hexdigest()[:8], "t": round(time.time() - t, 3)})
        return df
p = Pipeline() >> "log" >> "scale"; out = p.run(pd.DataFrame(np.random.default_rng(0).poisson(5, (10, 3)), columns=list("abc")))
Path(".").joinpath("hist.json").write_text(json.dumps(p.history)); out.to_csv(Path(".") / "o.csv"); print(len(p), asdict(p)["history"][0]["step"])
''',
"attribute_dictionaries": r'''
import threading
class Singleton:
    _instance = None; _lock = threading.Lock()
    def __new__(cls, *a, **k):
        if cls._instance is None:
            with cls._lock: cls._instance = super().__new__(cls)
        return cls._instance
    def __init__(self): self.vals = {}
class AttrDict(dict):
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__
    __delattr__ = dict.__delitem__
class Config(dict):
    def __getattr__(self, k):
        try: return self[k]
        except KeyError: raise AttributeError(k)
    def __setattr__(self, k, v): self[k] = v
class Frozen:
    def __init__(self, x): object.__setattr__(self, "x", x)
    def __setattr__(self, k, v): raise AttributeError("frozen")
    def __delattr__(self, k): raise AttributeError
a = AttrDict(x=1); a.y = 2; c = Config(z=3); c.w = 4; print(a.x, a["y"], c.z, c["w"], Singleton() is Singleton(), Frozen(3).x); open("x", "w").write("x")
''',
"spreadsheet": r'''
from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font, PatternFill, Alignment, Border, Side
from openpyxl.utils import get_column_letter
from openpyxl.utils.dataframe import dataframe_to_rows
from openpyxl.chart import BarChart, Reference
from openpyxl.formatting.rule import ColorScaleRule
from openpyxl.worksheet.table import Table, TableStyleInfo
import pandas as pd
wb = Workbook(); ws = wb.active; ws.title = "R"; df = pd.DataFrame({"g": ["a", "b"], "v": [1, 2]})
for r in dataframe_to_rows(df, index=False): ws.append(r)
for cell in ws[1]: cell.font = Font(bold=True); cell.fill = PatternFill("solid", fgColor="DDDDDD")
for i, col in enumerate(ws.columns, 1): ws.column_dimensions[get_column_letter(i)].width = max(len(str(c.value)) for c in col) + 2
ws.freeze_panes = "A2"; ws.conditional_formatting.add("B2:B3", ColorScaleRule(start_type="min", start_color="FFFFFF", end_type="max", end_color="FF0000")); ch = BarChart(); ch.add_data(Reference(ws, min_col=2, min_row=1, max_row=3), titles_from_data=True); ws.add_chart(ch, "D2"); ws["C1"] = "=SUM(B2:B3)"; wb.create_sheet("x"); wb.save("r.xlsx"); print(load_workbook("r.xlsx", read_only=True).sheetnames)
''',
"tee": r'''
import sys, os
print("warning: x", file=sys.stderr); sys.stdout.write("x\n"); old = sys.stdout; sys.stdout = open("log.txt", "w"); print("to file"); sys.stdout.close(); sys.stdout = old; sys.stdout.reconfigure(line_buffering=True);
class Tee:
    def __init__(self, *streams): self.streams = streams
    def write(self, s): [st.write(s) for st in self.streams]
    def flush(self): [st.flush() for st in self.streams]
    def __getattr__(self, name): return getattr(self.streams[0], name)
with open("tee.log", "w") as fh: sys.stdout = Tee(sys.__stdout__, fh); print("both"); sys.stdout = sys.__stdout__
devnull = open(os.devnull, "w"); print("x", file=devnull)
''',
"plate_wells": r'''
import pandas as pd
df = pd.DataFrame({"plate": ["P1"] * 8, "row": list("ABCDEFGH"), "val": range(8)})
df["well"] = [f"{chr(65 + i)}{i + 1:02d}" for i in range(8)]
t = 3; print(df.query("val > @t"), df.query(f"val > {t}")); grp = "plate"; val = "val"
print(df.query(f"{val} > {df[val].mean():.2f}")); print(df.groupby(grp)[val].mean())
for r in df["row"].unique(): print(df.query(f"row == '{r}'")["val"].sum(), df.query("row == @r").shape)
df.to_csv("p.csv")
''',
"named_steps": r'''
import json, operator
from functools import cached_property, lru_cache, partial, partialmethod, reduce, singledispatch, singledispatchmethod, wraps
import numpy as np, pandas as pd
class Analyzer:
    METHODS = ("mean", "median", "std")
    def __init__(self, df, **options):
        self.df = df
        self.title = options.get("title")
    def _step_clean(self): self.df = self.df.dropna(); return self
    def _step_scale(self): self.df = (self.df - self.df.mean()) / self.df.std(); return self
    def plot_bar(self): return "bar"
    def plot_line(self): return "line"
    def run(self, steps):
        for step in steps:
            method = getattr(self, f"_step_{step}")
            method()
        for step in steps:
            getattr(self, "_step_" + step, None)
        return self
    def plot(self, kind="bar"):
        fn = getattr(self, "plot_%s" % kind, None)
        if fn is None: raise ValueError(f"Unknown plot {kind!r}")
        return fn()
    @cached_property
    def stats(self): return {m: getattr(self.df, m)().round(3).to_dict() for m in self.METHODS}
    @singledispatchmethod
    def add(self, x): raise TypeError(type(x))
    @add.register
    def _(self, x: int): return x + 1
    @add.register(list)
    def _(self, x): return [self.add(i) for i in x]
    double = partialmethod(add, 2)
@singledispatch
def describe(x): return f"obj {x!r}"
@describe.register(pd.DataFrame)
def _df(x): return f"df {x.shape}"
@describe.register
def _arr(x: np.ndarray): return f"arr {x.shape}"
a = Analyzer(pd.DataFrame({"x": [1., 2, None], "y": [3., 4, 5]}), title="T", alpha=.05).run(["clean", "scale"])
print(a.stats, a.title, a.plot("line"), a.add([1, 2]), a.double(), describe(a.df), describe(np.eye(2)), describe(1))
def compose(*fs): return reduce(lambda f, g: lambda x: g(f(x)), fs)
def memo(maxsize=128, *, typed=False):
    def deco(fn):
        @wraps(fn)
        def inner(*a, **k):
            inner.calls += 1
            return cached(*a, **k)
        cached = lru_cache(maxsize, typed)(fn); inner.calls = 0; inner.cache_info = cached.cache_info
        return inner
    return deco
@memo(maxsize=None)
def fib(n: int) -> int: return n if n < 2 else fib(n - 1) + fib(n - 2)
print(compose(np.sqrt, np.log1p, lambda v: round(float(v), 3))(4), fib(20), fib.calls, fib.cache_info())
ops = {"+": operator.add, "-": operator.sub, ">": operator.gt}
agg = {name: getattr(np, name) for name in ["mean", "std", "max"]}
print({k: f([1, 2, 3]) for k, f in agg.items()}, ops["+"](1, 2), sorted([{"a": 2}, {"a": 1}], key=operator.itemgetter("a")))
json.dump(a.stats, open("stats.json", "w"))
''',
"parameters_by_keyword": r'''
import json
class Model:
    def __init__(self, **options):
        for key, value in options.items():
            setattr(self, key, value)
    def summary(self):
        return {k: v for k, v in vars(self).items() if not k.startswith("_")}
    def __repr__(self):
        return f"{type(self).__name__}({self.__dict__})"
m = Model(alpha=0.05, groups=["a", "b"]); print(m)
json.dump(m.summary(), open("model.json", "w"))
''',
"estimator_and_array": r'''
import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa
from sklearn.impute import IterativeImputer
from sklearn.base import BaseEstimator, ClassifierMixin
class Mean(ClassifierMixin, BaseEstimator):
    def fit(self, X, y): self.classes_ = np.unique(y); return self
    def predict(self, X): return np.repeat(self.classes_[0], len(X))
    def __sklearn_tags__(self): return super().__sklearn_tags__()
class Labeled(np.ndarray):
    __array_priority__ = 10
    def __new__(cls, arr, label=None):
        obj = np.asarray(arr).view(cls); obj.label = label
        return obj
    def _repr(self): return super()._inherited() if hasattr(self, "_inherited") else self._also
    def __array_finalize__(self, obj): self.label = getattr(obj, "label", None)
print(Mean().fit([[1], [2]], [0, 1]).predict([[1]]), Labeled([1, 2], "a").label, IterativeImputer().fit_transform([[1, np.nan], [2, 3]]), np.version.version)
np.save("x.npy", np.arange(2))
''',
"workers": r'''
import asyncio, multiprocessing as mp, os
from functools import singledispatch, update_wrapper, wraps
class Counted:
    def __init__(self, fn): update_wrapper(self, fn); self.fn = fn; self.calls = 0
    def __call__(self, *a, **k): self.calls += 1; return self.fn(*a, **k)
@Counted
def square(x): return x * x
@singledispatch
def show(x): return str(x)
@show.register
def _(x: int | float): return f"{x:.2f}"
@show.register(list)
def _(x): return ", ".join(map(show, x))
async def main():
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, square, 3)
if __name__ == "__main__":
    print(asyncio.run(main()), square.calls, show([1, "a"]), os.getppid() > 0)
    with mp.get_context("fork").Pool(1) as pool:
        print(pool.map(abs, [1, -2]))
    open("x.txt", "w").write("x")
''',
"summary_tables": r'''
import numpy as np, pandas as pd, statsmodels.api as sm, statsmodels.formula.api as smf
from statsmodels.iolib.summary2 import summary_col
df = sm.datasets.longley.load_pandas().data if hasattr(sm, "datasets") else pd.DataFrame()
df = pd.DataFrame({"y": np.arange(9.), "x": np.sin(np.arange(9))})
fit = smf.ols("y ~ x", df).fit(); print(summary_col([fit], stars=True), pd.util.hash_pandas_object(df).sum(), sm.tsa.filters.hpfilter(df.y)[0].iloc[0])
kw = {"formula": "y ~ x", "data": df}; print(smf.ols(**kw).fit().aic, fit.params.filter(like="x"))
df.to_csv("x.csv")
''',
}
