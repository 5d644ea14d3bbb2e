"""What every experiment shares, as plain values. Imports nothing heavy, so that help is fast."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from empirisk.errors import Wrong, near


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the risk is made small."""

    optimizer: str = "adamw"
    "sgd, momentum, nesterov, adagrad, rmsprop, adam or adamw; or package.module:function (parameters, lr, weight_decay) -> Optimizer"
    lr: float | str | None = None
    "largest step length, a number; or find: by a range test on a copy before the first step; None: the model's own"
    weight_decay: float = 0.1
    "decay of the weights: decoupled in adamw, a share of the step length; in the others through the gradient"
    l1: float = 0.0
    "adds l1 sum |w| to the risk, in the optimiser's step, so that weights become exactly 0"
    schedule: str = "one_cycle"
    "constant, step, cosine, warmup_cosine or one_cycle; or package.module:function (progress in [0, 1)) -> factor"
    epochs: int | None = None
    "passes over the training rows; None with no --minutes: enough for 1,500 steps, between 15 and 200"
    minutes: float | None = None
    "time for the fit instead of --epochs; the number of steps is fixed before the first"
    batch: int | None = None
    "samples a step, over all processes; None: 32 below 1,024 rows, 64 below 4,096, else 128"
    accumulate: int = 1
    "micro-batches that a batch is split into, for little memory"
    ema: float = 0.99
    "decay of an exponential moving average of the weights, which is then what is kept; 0: off"
    clip: float | None = None
    "largest norm of a gradient; None: off"
    patience: int | None = None
    "stop when the validation risk has not fallen for so many epochs; None: keep the best, go on to the end"
    precision: str = "auto"
    "float32, bf16, fp16; auto: bf16 where the device computes in it and the model has convolutions"
    seed: int = 0
    "of the initial weights, the order, the augmentation and the noise"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant: `Wrong` (exit 2), naming the flag."""
        if self.epochs is not None and self.minutes is not None:
            raise Wrong("--epochs and --minutes are both given", remedy="give one: either a number of passes or a time")
        if isinstance(self.lr, str) and self.lr != "find":
            raise Wrong(f"--lr is {self.lr}", remedy="give a number above 0, or find")
        positive = {"epochs": self.epochs, "minutes": self.minutes, "batch": self.batch, "accumulate": self.accumulate}
        for flag, value in (positive | {"lr": self.lr, "clip": self.clip, "patience": self.patience}).items():
            if value is not None and not isinstance(value, str) and not (value > 0 and math.isfinite(value)):
                raise Wrong(f"--{flag} is {value}", remedy="it must be above 0")
        if not 0 <= self.ema < 1:
            raise Wrong(f"--ema is {self.ema}", remedy="a decay lies between 0 and 1, say .99; 0 switches it off")
        refuse_below_0(self, "weight_decay", "l1")
        if self.precision not in {"auto", "float32", "bf16", "fp16"}:
            raise Wrong(f"--precision {self.precision} is unknown", remedy="give auto, float32, bf16 or fp16")

    def batch_for(self, rows: int) -> int:
        """Samples a step: the given number, or a fixed rule of the number of training rows."""
        return min(self.batch or (32 if rows < 1024 else 64 if rows < 4096 else 128), max(rows, 1))

    def epochs_for(self, steps: int) -> int:
        """Passes over the training rows, given the steps of one pass."""
        return self.epochs or min(200, max(15, math.ceil(1500 / steps)))


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Which functions f the risk is made small over, and where among them a run begins. None: the model's own."""

    model: Any = "auto"
    "architecture by name (`empirisk list models`), or package.module:function; auto: resnet18, for vectors mlp"
    width: int | None = None
    "channels of the first block, or hidden units of an mlp"
    depth: int | None = None
    "hidden layers of an mlp; 0 is the artificial neuron"
    degree: int | None = None
    "of a polynomial, which is solved by least squares"
    norm: str | Callable[..., Any] | None = None
    "batch, group, layer, instance or none, where the model has one"
    activation: str | Callable[..., Any] | None = None
    "relu, leaky_relu, elu, gelu, silu, tanh, sigmoid, softplus, hardswish, identity and others, where the model has one"
    pool: str | Callable[..., Any] | None = None
    "max, average or l2, where the model pools inside"
    stem: str | None = None
    "auto, small (stride 1, below 64 px) or imagenet, where the model has one"
    residual: bool | None = None
    "y = phi(F(x) + x); without it the regular block y = phi(F(x)); of a residual network"
    weights: str | None = None
    "safetensors file or run to begin from; the first layer is adapted to other channels, the last is new for other classes"
    freeze: bool = False
    "move the last layer alone"

    def options(self) -> dict[str, Any]:
        """What `models.build` takes."""
        names = ("width", "depth", "degree", "norm", "activation", "pool", "stem", "residual")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class Regularization:
    """Every modification of the learning algorithm meant to lower the expected, not the empirical, risk; 0 switches off."""

    augment: str = "auto"
    """auto: flip, affine, intensity, gamma, noise, cutout as data and task allow; none; or a list a,b,c of these and upside, invert,
    bias, blur"""
    dropout: float = 0.0
    "share of the last layer's inputs set to 0 at each step"
    spatial_dropout: float = 0.0
    "share of the channels set to 0 before each convolution but the first"
    stochastic_depth: float = 0.0
    "share of the samples for which the last residual branch is left out; less for those before it"
    l2: float = 0.0
    "adds l2/2 sum w^2 to the risk"
    input_noise: float = 0.0
    "deviation of normal noise on the input, in deviations of the training pixels"
    weight_noise: float = 0.0
    "deviation of normal noise on the weights, drawn at each step"
    adversarial: float = 0.0
    "largest change of a pixel that the model is trained against, in image units: 2/255 is .00784"
    adversarial_steps: int = 1
    "gradient steps of that change; 1: the fast gradient sign"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant: `Wrong` (exit 2), naming the flag."""
        for flag in ("dropout", "spatial_dropout", "stochastic_depth"):
            if not 0 <= getattr(self, flag) < 1:
                raise Wrong(f"--{dashed(flag)} is {getattr(self, flag)}", remedy="give a share from 0 to below 1")
        refuse_below_0(self, "l2", "input_noise", "weight_noise", "adversarial")
        if self.adversarial_steps < 1:
            raise Wrong(f"--adversarial-steps is {self.adversarial_steps}", remedy="it must be 1 or above")
        if self.adversarial_steps > 1 and not self.adversarial:
            raise Wrong("--adversarial-steps is given without --adversarial", remedy="add --adversarial .00784")


def refuse_below_0(flags: Recipe | Regularization, *names: str) -> None:
    """`Wrong` (exit 2) for the first of the fields that is below 0 or not finite."""
    for name in names:
        if not 0 <= (value := getattr(flags, name)) < math.inf:
            raise Wrong(f"--{dashed(name)} is {value}", remedy="it must be 0 or above")


def refuse_steps(what: str, *groups: Recipe | Regularization, **given: bool) -> None:
    """Refuse what only steps can honour, of a closed form: `Wrong` (exit 2), naming the flag; `given` are further flags by name."""
    for group in groups:
        usual = type(group)()
        given |= {k: v != getattr(usual, k) for k, v in vars(group).items() if k not in {"seed", "precision"}}
    for flag in (k for k, differs in given.items() if differs):
        raise Wrong(f"--{dashed(flag)}: {what} takes no steps, it is solved at once", remedy="leave it out")


def refuse_flags(model: str, has: Mapping[str, Collection[str]], **given: Any) -> None:
    """Refuse a model that `has` does not name, `given` flags (not None) that it does not have, whole numbers below 1: `Wrong` (exit 2)."""
    if model not in has:
        raise Wrong(f"--model {model} is unknown", remedy=near(model, has) or f"give {', '.join(has)}")
    for flag in (k for k, value in given.items() if value is not None and k not in has[model]):
        raise Wrong(f"--{dashed(flag)}: model {model} has no {flag}", remedy="leave it out")
    for flag in (k for k, value in given.items() if isinstance(value, int) and value < 1):
        raise Wrong(f"--{dashed(flag)} is {given[flag]}", remedy="it must be 1 or above")


def dashed(name: str) -> str:
    """A field as its flag is written."""
    return name.replace("_", "-")
