"""The figures of measure/, by programs that nobody here wrote.

Reads a question as JSON from each line of standard input, and writes the answer to
standard output: a list of numbers, null where a figure is undefined. What scipy,
statsmodels or irrCAC have is asked of them; the rest is written here from the papers,
in another way than in Go where there is one. measure/peer_test.go has the questions.
"""

import json
import math
import sys
import warnings

import numpy as np
import pandas as pd
from irrCAC.raw import CAC
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats import inter_rater
from statsmodels.stats.contingency_tables import SquareTable
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest

warnings.simplefilter("ignore")


def wilson(q):
    k, n = q["counts"]
    return list(proportion_confint(k, n, 1 - q["level"], method="wilson"))


def wilson_cc(q):
    k, n = q["counts"]
    return list(stats.binomtest(k, n).proportion_ci(q["level"], method="wilsoncc"))


def clopper_pearson(q):
    k, n = q["counts"]
    return list(proportion_confint(k, n, 1 - q["level"], method="beta"))


def two_proportions(q):
    k1, n1, k2, n2 = q["counts"]
    low, high = confint_proportions_2indep(k1, n1, k2, n2, method="newcomb", compare="diff", alpha=1 - q["level"])
    if k1 + k2 in (0, n1 + n2):
        return [low, high, None, None]
    z, p = proportions_ztest([k1, k2], [n1, n2])
    return [low, high, z, p]


def chi_square(yates):
    def ask(q):
        t = np.array(q["table"])
        t = t[t.sum(axis=1) > 0][:, t.sum(axis=0) > 0]
        if min(t.shape, default=0) < 2:
            return [None] * 3
        r = stats.chi2_contingency(t, correction=yates)
        return [r.statistic, r.dof, r.pvalue]

    return ask


def fisher(q):
    t = np.array(q["table"])
    if 0 in t.sum(axis=0) or 0 in t.sum(axis=1):
        return [None]
    return [stats.fisher_exact(t).pvalue]


def kappa(weights):
    def ask(q):
        t = np.array(q["table"], float)
        n = t.sum()
        k = len(t)
        i, j = np.indices((k, k))
        apart = {None: i != j, "linear": abs(i - j), "quadratic": (i - j) ** 2}[weights]
        if n == 0 or (np.outer(t.sum(axis=1), t.sum(axis=0)) * apart).sum() == 0:
            return [None] * 4
        r = inter_rater.cohens_kappa(t, wt=weights)
        return [r.kappa, r.var_kappa, r.var_kappa0, n]

    return ask


def bias(q):
    t = np.array(q["table"], float)
    n = t.sum()
    if n == 0:
        return [None] * 5
    agreed = proportion_confint(np.trace(t), n, 1 - q["level"], method="wilson")
    return [(t[0, 0] - t[1, 1]) / n, (t[0, 1] - t[1, 0]) / n, 2 * np.trace(t) / n - 1, 2 * agreed[0] - 1, 2 * agreed[1] - 1]


def margins(q):
    r = SquareTable(np.array(q["table"], float), shift_zeros=False).homogeneity(method="stuart_maxwell")
    return [r.statistic, r.df, r.pvalue]


def many(q):
    """Ratings as irrCAC wants them: a row for each case, a column for each reader."""
    rows = [[c for c, n in enumerate(counts) for _ in range(n)] for counts in q["table"]]
    widest = max(len(r) for r in rows)
    frame = pd.DataFrame([[float(c) for c in r] + [np.nan] * (widest - len(r)) for r in rows])
    return CAC(frame, categories=[float(c) for c in range(len(q["table"][0]))], digits=12)


def fleiss(q):
    est = many(q).fleiss()["est"]
    t = np.array(q["table"], float)
    m = t.sum(axis=1)
    if (m != m[0]).any():
        return [est["coefficient_value"], est["se"], None]
    p = t.sum(axis=0) / t.sum()
    if abs(inter_rater.fleiss_kappa(t) - est["coefficient_value"]) > 1e-9:
        raise AssertionError("statsmodels and irrCAC differ")
    pq = (p * (1 - p)).sum()
    null = 2 * (pq**2 - (p * (1 - p) * (1 - 2 * p)).sum()) / (pq**2 * len(t) * m[0] * (m[0] - 1))
    return [est["coefficient_value"], est["se"], math.sqrt(null)]


def ac1(q):
    est = many(q).gwet()["est"]
    return [est["coefficient_value"], est["se"]]


def funnel(q):
    n, target = q["counts"][0], q["values"][0]
    limits = []
    for p in (0.025, 0.975, 0.001, 0.999):
        x = stats.binom(n, target)
        r = x.ppf(p)
        limits.append(max((r - (x.cdf(r) - p) / x.pmf(r)) / n, 0))
    return limits


def dispersion(q):
    target = q["values"][0]
    k, n = np.array(q["table"], float).T
    k, n = k[n > 0], n[n > 0]
    s = 1 / (2 * np.sqrt(n))
    z = (np.arcsin(np.sqrt(k / n)) - np.arcsin(math.sqrt(target))) / s
    z = np.clip(z, *np.quantile(z, [0.1, 0.9]))
    phi, w, i = np.mean(z**2), s**-2, len(z)
    tau2 = max((i * phi - (i - 1)) / (w.sum() - (w**2).sum() / w.sum()), 0)
    around = np.arcsin(math.sqrt(target)) + np.array([-1, 1]) * stats.norm.ppf(0.999) * math.sqrt(0.25 / 300 + tau2)
    return [phi, tau2, *(np.sin(np.clip(around, 0, math.pi / 2)) ** 2)]


def p_chart(q):
    k, n = np.array(q["table"], float).T
    centre = k.sum() / n.sum()
    return [centre, *np.maximum(centre - 3 * np.sqrt(centre * (1 - centre) / n), 0)]


def xmr(q):
    x = np.array(q["values"])
    mean_range = np.abs(np.diff(x)).mean()
    d2 = stats.norm(scale=math.sqrt(2)).expect(abs)  # mean of the range of two, by integration
    d3 = math.sqrt(2 - d2**2)
    return [x.mean(), mean_range, x.mean() - 3 * mean_range / d2, mean_range * (1 + 3 * d3 / d2)]


def cusum(q):
    odds, threshold = q["values"][0], 2.0
    total, points = 0.0, []
    for (k, n), p in zip(q["table"], q["values"][1:]):
        changed = odds * p / (1 - p + odds * p)
        total = max(total + stats.binom(n, changed).logpmf(k) - stats.binom(n, p).logpmf(k), 0)
        points.append(total)
        total = 0.0 if total >= threshold else total
    return points


def poisson(q):
    k, a = q["counts"][0], 1 - q["level"]
    z = stats.norm.ppf(1 - a / 2)
    low = k * max(1 - 1 / (9 * k) - z / (3 * math.sqrt(k)), 0) ** 3 if k else 0.0
    high = (k + 1) * (1 - 1 / (9 * (k + 1)) + z / (3 * math.sqrt(k + 1))) ** 3
    return [stats.chi2.ppf(a / 2, 2 * k) / 2 if k else 0.0, stats.chi2.ppf(1 - a / 2, 2 * k + 2) / 2, low, high]


def standard(q):
    t = np.array(q["table"], float)
    expected = (t[:, 1] * t[:, 2] / t[:, 3]).sum()
    if expected == 0:
        return [0.0, None, None]
    ratio = t[:, 0].sum() / expected
    return [expected, ratio, ratio * t[:, 2].sum() / t[:, 3].sum()]


def survival(q):
    times, events = [], []
    for at, d, c in q["table"]:
        times += [float(at)] * (d + c)
        events += [1] * d + [0] * c
    if not sum(events):
        return [None] * 3
    events = np.array(events)
    times = np.array(times)
    theirs = SurvfuncRight(times, events)
    data = stats.CensoredData(uncensored=times[events == 1], right=times[events == 0])
    sf = stats.ecdf(data).sf
    ci = sf.confidence_interval(q["level"], method="log-log")
    answer = []
    for at, s, se in zip(theirs.surv_times, theirs.surv_prob, theirs.surv_prob_se):
        i = list(sf.quantiles).index(at)
        if abs(sf.probabilities[i] - s) > 1e-9:
            raise AssertionError("statsmodels and scipy differ")
        if s < 1e-12:
            answer += [0.0, None, None, None]
        else:
            answer += [s, se, ci.low.probabilities[i], ci.high.probabilities[i]]
    answer = answer[-4:]  # the last step; each of those before is the last of a shorter table
    for curve in (sf, ci.low, ci.high):
        with np.errstate(invalid="ignore"):
            reached = np.flatnonzero(curve.probabilities <= 0.5 + 1e-9)
        if curve is sf:
            answer.append(float(curve.quantiles[reached[0]]) if len(reached) else None)
            continue
        # At the end of all, the band has no width, and tells nothing.
        known = [i for i in reached if not math.isnan(curve.probabilities[i]) and 1e-12 < sf.probabilities[i] < 1]
        answer.append(float(curve.quantiles[known[0]]) if known else None)
    return answer


FIGURES = {
    "wilson": wilson,
    "wilson-cc": wilson_cc,
    "clopper-pearson": clopper_pearson,
    "two-proportions": two_proportions,
    "chi-square": chi_square(False),
    "yates": chi_square(True),
    "fisher": fisher,
    "kappa": kappa(None),
    "kappa-linear": kappa("linear"),
    "kappa-quadratic": kappa("quadratic"),
    "bias": bias,
    "fleiss": fleiss,
    "ac1": ac1,
    "funnel": funnel,
    "dispersion": dispersion,
    "p-chart": p_chart,
    "xmr": xmr,
    "cusum": cusum,
    "margins": margins,
    "poisson": poisson,
    "standard": standard,
    "survival": survival,
}


def plain(x):
    return None if x is None else float(x)


for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps([plain(x) for x in FIGURES[question["figure"]](question)]))
