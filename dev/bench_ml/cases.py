"""The measurements of each part, in the order they run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from dev.bench_ml.nets import DIGITS, LARGE, NETS, SPEECH, Net
from dev.bench_ml.results import Case
from dev.bench_ml.setting import Setting
from podl_tools.ml.backend import BACKENDS
from podl_tools.ml.float_network import Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.program import Program

THREADS: Final = (1, 2)
_FRAMEWORKS: Final = ("tensorflow", "jax")
_TWIN_KERNELS: Final = 2
_NO_ONEDNN: Final = (("TF_ENABLE_ONEDNN_OPTS", "0"),)
_INSTRUCTIONS: Final = ("SSE41", "AVX", "AVX2")

Settings = dict[str, tuple[Setting, tuple[tuple[str, str], ...]]]


@dataclass(frozen=True)
class Options:
    """
    How much is measured.

    Parameters
    ----------
    chosen
        Names of the networks to look at.
    seeds
        Trainings of each network that accuracies are compared on.
    digits_epochs, speech_epochs
        Their length.
    rounds
        How often each time is taken.
    steps
        Training steps in a round.
    samples
        Samples of an evaluation.
    digits_hash_epochs, speech_hash_epochs
        Length of the trainings whose weights are hashed; 5 on digits give the published vectors.
    fsdd
        Folder of the spoken digits' recordings, None to leave them out.
    evaluator
        The program podl-evaluate, None to leave it out.

    """

    chosen: tuple[str, ...]
    seeds: int
    digits_epochs: int
    speech_epochs: int
    rounds: int
    steps: int
    samples: int
    digits_hash_epochs: int
    speech_hash_epochs: int
    fsdd: str | None
    evaluator: str | None

    @property
    def nets(self) -> dict[str, Net]:
        """Chosen networks whose data is there."""
        there = {name: net for name, net in NETS.items() if net.data == DIGITS or self.fsdd is not None}
        return {name: net for name, net in there.items() if name in self.chosen}

    def folder(self, net: Net) -> str | None:
        """Folder of the recordings, for the networks that learn them."""
        return self.fsdd if net.data == SPEECH else None


def accuracy_cases(options: Options) -> list[Case]:
    """Every network with every seed, one seed after the other."""
    return [
        Case(
            "accuracy",
            f"{name}, seed s{seed}",
            {
                "do": "accuracy",
                "net": name,
                "seed": f"s{seed}",
                "epochs": options.digits_epochs if net.data == DIGITS else options.speech_epochs,
                "fsdd": options.folder(net),
            },
        )
        for seed in range(options.seeds)
        for name, net in options.nets.items()
    ]


def training_cases(options: Options) -> list[Case]:
    """Every network on one thread and on two; the values do not matter, so speech needs no recordings."""
    return [
        _timed("training", name, threads, {"rounds": options.rounds, "steps": options.steps})
        for name in options.chosen
        for threads in THREADS
    ]


def evaluation_cases(options: Options) -> list[Case]:
    """Take the large network on one thread and on two, and the referee."""
    (name,) = LARGE
    cases = [
        _timed(
            "evaluation",
            name,
            threads,
            {"rounds": options.rounds, "samples": options.samples, "evaluator": options.evaluator},
        )
        for threads in THREADS
    ]
    referee = {"do": "referee", "net": name, "samples": options.samples}
    return [*cases, Case("evaluation", f"{name}, referee", referee)]


def _timed(part: str, net: str, threads: int, numbers: dict[str, Any]) -> Case:
    request = {"do": part, "net": net, "threads": threads, **numbers}
    return Case(part, f"{net}, {threads} threads", request, _blas(threads))


def _blas(threads: int) -> tuple[tuple[str, str], ...]:
    """BLAS threads of NumPy; they would spin beside TensorFlow's."""
    return (("OPENBLAS_NUM_THREADS", str(threads)),)


def _kernels(framework: str, program: Program) -> int:
    """How many ways of computing a framework has on a CPU."""
    network = import_module(f"podl_tools.ml.{framework}_backend").NETWORK
    return len(network.kernels(Device("CPU", gpu=False), program))


def settings(program: Program) -> Settings:
    """Name the settings that must not change a bit, with the variables of their processes."""
    found: Settings = {"NumPy int64": (Setting("numpy", 1), ()), "NumPy BLAS": (Setting("numpy"), ())}
    frameworks = [name for name in _FRAMEWORKS if name in BACKENDS and find_spec(name)]
    for backend in frameworks:
        for kernel in range(_kernels(backend, program)):
            for threads in THREADS:
                name = f"{backend}, kernel {kernel + 1}, {threads} threads"
                found[name] = (Setting(backend, kernel, threads), ())
    for threads in THREADS:
        found[f"tensorflow, no oneDNN, {threads} threads"] = (Setting(threads=threads), _NO_ONEDNN)
    for limit in _INSTRUCTIONS:
        found[f"tensorflow, oneDNN up to {limit}"] = (Setting(), (("ONEDNN_MAX_CPU_ISA", limit),))
    found["tensorflow, rows permuted"] = (Setting(permuted=True), ())
    found["tensorflow, 4 micro-batches"] = (Setting(parts=4), ())
    return found


def twin_settings(program: Program) -> Settings:
    """Name the same settings as far as Keras in float32 has them; its two kernels are a graph and XLA."""
    return {
        name: (setting, environment)
        for name, (setting, environment) in settings(program).items()
        if setting.backend == "tensorflow" and setting.kernel < _TWIN_KERNELS
    }


def hash_cases(options: Options) -> list[Case]:
    """Every network under every setting, exact and float32."""
    kinds = (("exact hash", settings), ("float hash", twin_settings))
    return [
        Case(
            "hashes",
            f"{name}, {kind}, {shown}",
            {
                "do": kind,
                "net": name,
                "setting": asdict(setting),
                "epochs": (options.digits_hash_epochs if net.data == DIGITS else options.speech_hash_epochs),
                "fsdd": options.folder(net),
            },
            environment,
        )
        for name, net in options.nets.items()
        for kind, choices in kinds
        for shown, (setting, environment) in choices(net.program).items()
    ]


PARTS: Final[dict[str, Callable[[Options], list[Case]]]] = {
    "accuracy": accuracy_cases,
    "training": training_cases,
    "evaluation": evaluation_cases,
    "hashes": hash_cases,
}
