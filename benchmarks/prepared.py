"""Data that are made from others before anything is trained: dsb2018 by its stains, VQA-RAD as tables of sentences.

    python benchmarks/prepared.py NAME SOURCE OUT

NAME: by_stain: OUT/STAIN/ is dsb2018 with the images of that stain as test/ and the others as train/, those in colour as grey where
training has none of them, as a network of grey images reads no others; stains: OUT/stains.csv names
each image and its stain. A stain is dark, light or colour by a rule on an image's pixels and no label: colour where the mean
saturation (largest less least channel) is above .02, else light or dark by a mean brightness above or below .5.

captions: OUT/captions.csv (image, caption, findings), "<plane> <modality> of the <organ>" of the VQA-RAD images with an answered
question of plane or modality; a part that no answer tells is left out, one told in two ways leaves out the image. These captions
are templated: nobody wrote them. paraphrases: OUT/paraphrases.csv (text, caption, patient), each `para` question beside the one
freeform question of the same image and the same answer; those with none or several are dropped. Both print what was kept.
"""

import csv
import json
import os
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SATURATION, BRIGHTNESS = 0.02, 0.5
PARTS = {
    "plane": {
        "axial": "axial|transverse", "coronal": "coronal", "sagittal": "sagittal", "lateral": "lateral film",
        "pa": r"\bpa\b|postero.?anterior|posterior anterior", "ap": r"\bap\b|antero.?posterior|anterior posterior",
    },
    "modality": {
        "mri": r"mri|\bmr\b|flair|\bt[12]\b|dwi|diffusion|\badc\b", "ct": r"\bct\b|computed tomography|cat scan",
        "x-ray": r"x.?ray|radiograph|cxr|\bxr\b|plain film", "ultrasound": "ultrasound",
    },
}  # fmt: skip
"""What an answer, or a question that was answered yes, says."""
ORGANS = {"HEAD": "head", "CHEST": "chest", "ABD": "abdomen"}
Rows = list[dict[str, Any]]


def stain(file: Path) -> str:
    """colour, light or dark."""
    with Image.open(file) as image:
        x = np.asarray(image.convert("RGB"), np.float32) / 255  # (H, W, 3)
    if (x.max(-1) - x.min(-1)).mean() > SATURATION:
        return "colour"
    return "light" if x.mean() > BRIGHTNESS else "dark"


def by_stain(source: Path, out: Path) -> dict[str, Path]:
    """The folder of each stain."""
    files = sorted((source / "images").glob("*.png"))
    stains = {file: stain(file) for file in files}
    for held in set(stains.values()):
        for file, name in stains.items():
            part = "test" if name == held else "train"
            for kind in ("images", "labels"):
                grey = kind == "images" and held == name == "colour"
                laid(source / kind / file.name, out / held / part / kind / file.name, grey=grey)
    return {held: out / held for held in sorted(set(stains.values()))}


def laid(source: Path, file: Path, *, grey: bool = False) -> None:
    """A second name of a file, or a copy where that cannot be; or its image in grey."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if grey:
        with Image.open(source) as image:
            image.convert("L").save(file)
        return
    try:
        os.link(source, file)
    except FileExistsError:
        pass
    except OSError:
        shutil.copyfile(source, file)


def stains(source: Path, out: Path) -> Path:
    """Image and stain of every image."""
    files = sorted((source / "images").glob("*.png"))
    rows = [{"image": os.path.relpath(f.resolve(), out.resolve()), "label": stain(f)} for f in files]
    return written(rows, out / "stains.csv")


def captions(source: Path, out: Path) -> Path:
    """The templated captions."""
    told: dict[str, dict[str, set[str]]] = defaultdict(lambda: {"plane": set(), "modality": set()})
    questions = asked(source)
    organs = {q["image_name"]: ORGANS[q["image_organ"]] for q in questions}
    for q in questions:
        answer = str(q["answer"]).strip().lower()
        if q["question_type"] in {"PLANE", "MODALITY"} and answer != "no":
            said = str(q["question"]).lower() if answer == "yes" else answer
            for part, known in PARTS.items():
                told[q["image_name"]][part] |= {name for name, pattern in known.items() if re.search(pattern, said)}
    rows = []
    for name, parts in sorted(told.items()):
        if any(parts.values()) and all(len(found) < 2 for found in parts.values()):
            plane, modality = (next(iter(parts[p]), "") for p in PARTS)
            words = " ".join(w for w in (plane, modality or "image", "of the", organs[name]) if w)
            terms = " ".join(w for w in (plane, modality, organs[name]) if w)
            image = os.path.relpath((source / "images" / name).resolve(), out.resolve())
            rows.append({"image": image, "caption": words, "findings": terms})
    whole = sum(len(r["findings"].split()) == len(PARTS) + 1 for r in rows)
    print(f"captions: {len(rows)} of {len(organs)} images, {whole} of them with plane and modality; templated")
    return written(rows, out / "captions.csv")


def paraphrases(source: Path, out: Path) -> Path:
    """Each `para` question beside its only freeform one."""
    free, questions = defaultdict(list), asked(source)
    for q in questions:
        if q["phrase_type"] == "freeform":
            free[q["image_name"], str(q["answer"])].append(q["question"])
    para = [q for q in questions if q["phrase_type"] == "para"]
    match = [(q, free[q["image_name"], str(q["answer"])]) for q in para]
    rows = [{"text": q["question"], "caption": one[0], "patient": q["image_name"]} for q, one in match if len(one) == 1]
    none = sum(not one for _, one in match)
    lost = f"dropped {none} without a freeform question, {len(para) - len(rows) - none} with several"
    print(f"paraphrases: {len(rows)} of {len(para)}; {lost}")
    return written(rows, out / "paraphrases.csv")


def asked(source: Path) -> Rows:
    """The questions."""
    questions: Rows = json.loads((source / "questions.json").read_text("utf-8"))
    return questions


def written(rows: Rows, file: Path) -> Path:
    """A table of these rows."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as lines:
        table = csv.DictWriter(lines, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return file


MADE: dict[str, Callable[[Path, Path], Path | dict[str, Path]]] = {
    f.__name__: f for f in (by_stain, stains, captions, paraphrases)
}
"""Name -> (source, out) -> the table, or the folder of each variant."""

if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in MADE:
        sys.exit(__doc__)
    print(MADE[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3])))
