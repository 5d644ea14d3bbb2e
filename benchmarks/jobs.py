"""What `make results` measures: a row a result, each of them a command that a reader can type."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Job:
    """One result: an experiment on some data, for a time, by seeds, and where its numbers stand afterwards."""

    experiment: str
    data: str
    "a built-in name, or a path below EMPIRISK_DATA; of data that are made, the name of what was made, {} stands for the variant"
    metrics: tuple[str, ...]
    "what is shown; the first is the headline, and of variants the one that chooses"
    idea: str = ""
    "what is shown, in README's words"
    minutes: float | None = 10
    seeds: tuple[int, ...] = (0, 1, 2)
    flags: str = ""
    "further ones, of all variants"
    variants: dict[str, str] = field(default_factory=lambda: {"": ""})
    "name -> its own flags; the first is the one that the idea speaks of"
    part: str = "test"
    "test: opened once, after all seeds; or what leaves it closed: val, training (the risk after the last step), attack. folds: pooled"
    made: tuple[str, str] | None = None
    "how prepared.py makes the data, and of what below EMPIRISK_DATA"
    verb: str = ""
    "asked of every run: attack or capacity"
    limit: str = ""
    "what the known truth allows: bayes, reader or noise"


CHEST = "medmnist/pneumoniamnist.npz"
QUESTIONS = "vqa-rad/questions.json"
MODELS = ("linear", "mlp", "lenet", "alexnet", "vgg11", "googlenet", "resnet18", "densenet121")
"""One of each family that classifies images."""
BUDGET = "--adversarial .00784"
"""2/255, in the units of the image."""

SIZES = (2, 4, 8, 16, 32, 64, 128)
"""Numbers of a code."""

JOBS = {
    "pneumoniamnist": Job("classification", CHEST, ("auc", "accuracy"), "image to class: chest X-rays"),
    "breastmnist": Job(
        "classification", "medmnist/breastmnist.npz", ("auc", "accuracy"), "few images: breast ultrasound"
    ),
    "phantom": Job(
        "classification", "phantom", ("accuracy", "auc"), "truth known: the Bayes error", minutes=3, limit="bayes"
    ),
    "phantom-diameter": Job(
        "regression", "phantom", ("rmse", "mae"), "image to number, mm", minutes=3, limit="reader"
    ),
    "architectures": Job(
        "classification", CHEST, ("log_loss", "auc"), "hypothesis spaces, on validation", minutes=2,
        variants={name: f"--model {name}" for name in MODELS}, part="val",
    ),
    "residual": Job(
        "classification", CHEST, ("risk",), "34 layers with and without shortcuts, training risk", minutes=None,
        flags="--model resnet34 --epochs 15", variants={"residual": "", "plain": "--no-residual"}, part="training",
    ),
    "capacity": Job(
        "regression", "curve", ("rmse",), "capacity: polynomials of three degrees", minutes=None, seeds=(0,),
        flags="--model polynomial", variants={f"degree {d}": f"--degree {d}" for d in (3, 1, 15)}, verb="capacity", limit="noise",
    ),
    "robustness": Job(
        "classification", CHEST, ("accuracy, pgd 2/255", "accuracy"), "adversarial training, on validation", minutes=2,
        variants={"adversarial": BUDGET, "plain": ""}, part="attack", verb="attack",
    ),
    "volume": Job(
        "regression", "hippocampus", ("r2", "mae"), "volume of the hippocampus, mm3, five folds", minutes=2, seeds=(0,),
        flags="--target volume --folds 5", part="folds",
    ),
    "dsb2018": Job("segmentation", "dsb2018", ("dice", "ap"), "image to mask, nuclei told apart", seeds=(0,)),
    "nuclei-by-stain": Job(
        "segmentation", "{}", ("dice", "ap"), "the same, of a stain that training has never seen", seeds=(0,),
        flags="--augment flip,affine,invert,intensity,gamma,noise",
        variants={"dark": "", "light": "", "colour": ""}, made=("by_stain", "dsb2018"),
    ),
    "hippocampus": Job(
        "segmentation", "hippocampus", ("dice",), "volume to mask, two structures", minutes=15, seeds=(0,)
    ),
    "bccd": Job("detection", "bccd", ("ap50", "ap"), "image to boxes: blood cells", minutes=15, seeds=(0,)),
    "nodules": Job(
        "detection", "phantom:dims=3,images=600,size=32", ("sensitivity_at_1", "ap50"),
        "volume to boxes: nodules, 8 to 14 times the noise",
    ),
    "frames": Job(
        "frames", "cholec80-labels/frames.csv", ("accuracy", "jaccard", "relaxed_accuracy"), "in step: the phase of each frame",
        minutes=4, seeds=(0,), variants={"gru": "", "gru, no clock": "--no-elapsed", "frame by frame": "--model frame --no-elapsed"},
    ),
    "captioning": Job(
        "captioning", "phantom", ("finding_f1", "bleu4"), "one to many: findings from an image", minutes=4, seeds=(0,)
    ),
    "translation": Job("translation", "phantom", ("bleu4", "rouge_l"), "many to many: findings to impression", minutes=3, seeds=(0,)),
    "organ": Job(
        "sequences", QUESTIONS, ("accuracy", "auc"), "text to class: the organ from the question", minutes=3,
        flags="--text question --label image_organ --patient image_name",
    ),
    "answer-type": Job(
        "sequences", QUESTIONS, ("accuracy", "auc"), "text to class: how a question is answered", minutes=2,
        flags="--text question --label answer_type --patient image_name",
    ),
    "negation": Job("sequences", "phantom-text", ("accuracy", "auc"), "order of words: which finding is denied", minutes=1),
    "vqa-captions": Job(
        "captioning", "captions.csv", ("finding_f1", "bleu4"), "one to many: plane, modality and organ, templated", minutes=2,
        made=("captions", "vqa-rad"),
    ),
    "vqa-paraphrases": Job(
        "translation", "paraphrases.csv", ("bleu4", "rouge_l"), "many to many: a question in other words", minutes=2,
        made=("paraphrases", "vqa-rad"),
    ),
    "autoencoder": Job("autoencoder", CHEST, ("psnr", "probe_auc"), "without labels: an image as 32 numbers", minutes=3),
    "simclr": Job(
        "autoencoder", CHEST, ("knn_auc", "probe_auc", "matched"), "without labels: an embedding by contrast", minutes=3,
        flags="--model simclr",
    ),
    "anomaly": Job(
        "anomaly", CHEST, ("auc", "average_precision"), "without labels: pneumonia as an anomaly", minutes=3, flags="--normal 0"
    ),
    "codes": Job(
        "autoencoder", CHEST, ("psnr",), "error against the size of a code, on validation", minutes=1, seeds=(0,),
        variants={f"{k}": f"--codes {k}" for k in (32, *(k for k in SIZES if k != 32))}, part="val",
    ),
    "stains": Job(
        "clustering", "stains.csv", ("ari", "nmi"), "without labels: three stains of nuclei found as clusters", minutes=None,
        flags="--size 64", made=("stains", "dsb2018"),
    ),
    "density": Job(
        "density", CHEST, ("log_likelihood",), "without labels: how likely an image is", minutes=None, seeds=(0,),
        variants={"mixture": "", "kernel": "--model kernel", "flow": "--model flow"},
    ),
    "generation": Job(
        "generation", CHEST, ("frechet", "recall", "two_sample"), "noise to image, judged by one protocol", minutes=9,
        variants={name: f"--model {name}" for name in ("ddpm", "gan", "vae")},
    ),
    "patches": Job(
        "generation", "dsb2018", ("frechet", "recall", "two_sample"), "noise to image: colour patches of 32 pixels", minutes=9,
        seeds=(0,), flags="--patch 32", variants={name: f"--model {name}" for name in ("ddpm", "gan", "vae")},
    ),
}  # fmt: skip
