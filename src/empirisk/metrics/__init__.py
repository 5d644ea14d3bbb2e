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
    "quadratic_kappa": "agreement on grades beyond chance, a miss by two counting four times one by one",
    "pinball": "mean loss of a quantile: t a unit below the truth, 1 - t a unit above it",
    "coverage": "share of the truths at or below the answer; of a t-quantile near t",
    "dice": "2 |A B| / (|A| + |B|) of truth and answer, the mean over cases of the mean over structures",
    "hd95": "the larger of the 95th percentiles of the distances between the surfaces, both ways, mm or pixels",
    "surface_dice": "share of both surfaces within 1 mm, or pixel, of the other",
    "volume_error": "difference of the volumes, a share of the true one",
    "ap50": "area under the precision-recall curve of boxes, or masks, that overlap the truth by .5",
    "ap": "mean of that area over overlaps from .5 to .95",
    "froc": "share of things found (overlap .1), mean over 1/8 to 8 false alarms an image",
    "sensitivity_at_1": "share of things found (overlap .1) at one false alarm an image",
    "count_mae": "mean error of the number of things in an image",
    "jaccard": "frames of a phase in truth and answer over those in either, the mean over phases",
    "edit": "1 - changes that turn the answer's order of phases into the true one, a share of the longer of them",
    "relaxed_accuracy": "share of frames whose answer is the truth of a moment at most 10 s away",
    "ari": "agreement of groups with classes beyond chance, by pairs of rows",
    "nmi": "what groups and classes tell of each other, of all that there is to tell",
    "silhouette": "how much nearer rows are to their own group than to the next, from -1 to 1",
    "log_likelihood": "mean of log p(x) under the density, nats a sample",
    "mse": "mean squared error of the pixels, in image units",
    "psnr": "10 log10 of the squared range of the values over the squared error, dB, the mean over images",
    "knn_auc": "area under the ROC curve of the votes of the five nearest training codes",
    "probe_auc": "area under the ROC curve of a linear rule on the code",
    "matched": "share of the images whose two views find each other among all that are shown together",
}
"""Name and meaning. The macro value stands under the plain name, one class under name/class."""

LESS_IS_BETTER = frozenset(
    {"log_loss", "brier", "ece", "mae", "rmse", "pinball", "count_mae", "hd95", "volume_error", "mse"}
)
