"""What a radiologist would write of a phantom: findings with their wording, and the impression that follows from them.

Sides and heights are those of the picture. A lesion of 20 mm or more is large; one word each of the findings is a term:
round or spiculated, left or right, upper or lower, small or large. The image shows all of them.
"""

import numpy as np

TERMS = ("round", "spiculated", "left", "right", "upper", "lower", "small", "large")
LARGE = 20.0  # Diameter in mm from which on a lesion is large.
FINDINGS = (
    "A {size} {shape} nodule is seen in the {side} {height} field.{more}",
    "There is a {shape} lesion in the {height} part of the {side} side. It is {size}.{more}",
    "{Size} {shape} opacity, {side} {height} field.{more}",
    "In the {side} {height} field lies a {size} nodule, it is {shape}.{more}",
)
MORE = {
    "round": ("", " It is not spiculated.", " No spiculation.", " No pleural effusion."),
    "spiculated": ("", " It is not round.", " No calcification.", " No pleural effusion."),
}
IMPRESSIONS = {
    ("spiculated", "large"): "Suspicious of malignancy in the {side} {height} field: biopsy is advised.",
    ("spiculated", "small"): "Nodule of doubtful nature in the {side} {height} field: computed tomography is advised.",
    ("round", "large"): "Mass in the {side} {height} field, not spiculated: follow-up in three months.",
    ("round", "small"): "Probably benign nodule in the {side} {height} field: follow-up in one year.",
}


def report(diameter: float, shape: str, center: np.ndarray, rng: np.random.Generator) -> dict[str, str]:
    """Findings (`caption`, and `text`), `impression` and the terms affirmed (`findings`) of one image; `center` in mm from the middle."""
    size = "large" if diameter >= LARGE else "small"
    said = {"shape": shape, "size": size, "side": "right" if center[-1] >= 0 else "left"}
    said["height"] = "lower" if center[-2] >= 0 else "upper"
    more = MORE[shape][rng.integers(len(MORE[shape]))]
    text = FINDINGS[rng.integers(len(FINDINGS))].format(**said, Size=size.capitalize(), more=more)
    impression = IMPRESSIONS[shape, size].format(**said)
    return {"text": text, "caption": text, "impression": impression, "findings": " ".join(said.values())}
