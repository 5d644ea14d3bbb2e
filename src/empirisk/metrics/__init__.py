"""Every metric is a function of weights (B, N) -> (B,), equal to scikit-learn's under sample weights."""

METRICS: dict[str, str] = {
    "auc": "area under the ROC curve: how often a positive ranks above a negative",
    "average_precision": "area under the precision-recall curve, by steps",
    "accuracy": "share of right answers",
    "balanced_accuracy": "mean of the classes' sensitivities",
    "f1": "harmonic mean of precision and sensitivity",
    "sensitivity": "share of the positives that are found",
    "specificity": "share of the negatives that are left alone",
    "log_loss": "mean of -log of the probability given to the truth",
    "brier": "mean squared error of the probabilities",
    "ece": "mean gap between the probability said and the share that came true, 15 bins",
    "mae": "mean absolute error",
    "rmse": "root of the mean squared error",
    "r2": "share of the variance that is explained",
    "spearman": "correlation of the ranks",
}
"""Name and meaning. The macro value stands under the plain name, one class under name/class."""

LESS_IS_BETTER = frozenset({"log_loss", "brier", "ece", "mae", "rmse"})
