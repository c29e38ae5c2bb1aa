"""Figures from the answers: what the tables and the plot show."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dev.bench_ml.cases import THREADS, Options, accuracy_cases, evaluation_cases, hash_cases, training_cases
from dev.bench_ml.nets import LARGE, NETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dev.bench_ml.results import Case, Results

POINTS: Final = 1.0  # aim: mean accuracies differ by at most this
_PERCENT: Final = 100
_AIMS: Final = {False: 1.2, True: 1.6}  # training time over float32, by convolution
EVALUATION_AIM: Final = 1.0


@dataclass(frozen=True)
class Accuracy:
    """
    Accuracies of one network in percent, one per seed.

    Parameters
    ----------
    net
        Its name.
    exact, float32
        In the order of the seeds.

    """

    net: str
    exact: list[float]
    float32: list[float]

    @property
    def difference(self) -> float:
        """Mean of exact less float32, in points."""
        return statistics.mean(self.exact) - statistics.mean(self.float32)

    @property
    def error(self) -> float:
        """Standard error of the mean difference over the seeds, in points."""
        pairs = [mine - other for mine, other in zip(self.exact, self.float32, strict=True)]
        return statistics.stdev(pairs) / len(pairs) ** 0.5 if len(pairs) > 1 else float("nan")


@dataclass(frozen=True)
class Times:
    """
    Seconds of one measurement, by side and round.

    Parameters
    ----------
    net, threads
        What was measured.
    rounds
        Side to seconds per round.
    answer
        Everything that was noted.
    aim
        The ratio to float32 that is wanted.

    """

    net: str
    threads: int
    rounds: dict[str, list[float]]
    answer: dict[str, Any]
    aim: float

    def median(self, side: str) -> float:
        """Seconds of a side."""
        return statistics.median(self.rounds[side])

    def ratios(self, side: str = "exact", base: str = "float32") -> list[float]:
        """Ratio of each pair that was measured in one round."""
        pairs = zip(self.rounds[side], self.rounds[base], strict=True)
        return [mine / other for mine, other in pairs]


def found(cases: Iterable[Case], results: Results) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Cases that were measured, with their answers."""
    for case in cases:
        answer = results.find(case)
        if answer is not None:
            yield case, answer


def accuracies(options: Options, results: Results) -> list[Accuracy]:
    """Accuracies of the networks that were trained with some seed."""
    by_net: dict[str, list[dict[str, Any]]] = {}
    for case, answer in found(accuracy_cases(options), results):
        by_net.setdefault(case.request["net"], []).append(answer)
    return [
        Accuracy(
            net,
            *(
                [_PERCENT * answer[side] / answer["samples"] for answer in answers]
                for side in ("exact", "float32")
            ),
        )
        for net, answers in by_net.items()
    ]


def training_times(options: Options, results: Results) -> list[Times]:
    """Seconds per step."""
    times = []
    for case, answer in found(training_cases(options), results):
        net, threads = case.request["net"], case.request["threads"]
        rounds = {
            side: [seconds / options.steps for seconds in values] for side, values in answer["rounds"].items()
        }
        times.append(Times(net, threads, rounds, answer, _AIMS[(NETS | LARGE)[net].convolution]))
    return times


def evaluation_times(options: Options, results: Results) -> list[Times]:
    """Seconds of the whole evaluation; the referee counts as one thread."""
    return [
        Times(
            case.request["net"],
            case.request.get("threads", THREADS[0]),
            answer["rounds"],
            answer,
            EVALUATION_AIM,
        )
        for case, answer in found(evaluation_cases(options), results)
    ]


Hashes = dict[str, dict[str, dict[str, dict[str, str]]]]


def hashes(options: Options, results: Results) -> Hashes:
    """Network, side (`exact hash`, `float hash`) and setting to the answer with `hash` and `computed by`."""
    table: Hashes = {}
    for case, answer in found(hash_cases(options), results):
        net, side = case.request["net"], case.request["do"]
        setting = case.name.removeprefix(f"{net}, {side}, ")
        table.setdefault(net, {}).setdefault(side, {})[setting] = answer
    return table


def different(answers: dict[str, dict[str, str]]) -> int:
    """Count the different hashes of one side of a network."""
    return len({answer["hash"] for answer in answers.values()})
