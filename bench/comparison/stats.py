"""What is said about a handful of repeated measurements: the same rules as stats.c, checked by the same numbers."""
from typing import NamedTuple

WANTED_COVERAGE = 0.95


class Spread(NamedTuple):
    median: float
    q1: float
    q3: float


class Interval(NamedTuple):
    median: float
    low: float
    high: float
    coverage: float  # the probability that it holds the true median


def quantile(ordered, q):
    """Linear between the neighbours."""
    at = q * (len(ordered) - 1)
    below = int(at)
    if below + 1 >= len(ordered):
        return ordered[-1]
    return ordered[below] + (at - below) * (ordered[below + 1] - ordered[below])


def spread(samples):
    """Median and quartiles of at least one sample."""
    ordered = sorted(samples)
    return Spread(*(quantile(ordered, q) for q in (0.5, 0.25, 0.75)))


def interval(samples):
    """The median of at least one sample with the narrowest interval between two of the samples, counted alike from both
    ends, that holds the true median with 95% probability (the sign test's). Fewer than 6 samples give the least and the
    greatest: coverage says what that is worth."""
    ordered = sorted(samples)
    n = len(ordered)
    # Between the k-th from below and the k-th from above the median is missed when fewer than k of n fair coins show
    # heads, or fewer than k tails.
    k, term = 1, 0.5 ** n
    tail = term
    while 2 * (k + 1) <= n:
        term *= (n - k + 1) / k
        if 1 - 2 * (tail + term) < WANTED_COVERAGE:
            break
        tail += term
        k += 1
    return Interval(quantile(ordered, 0.5), ordered[k - 1], ordered[n - k], 0 if n == 1 else 1 - 2 * tail)
