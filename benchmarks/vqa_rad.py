"""VQA-RAD as tables of sentences: captions by a template, and paraphrases joined to their questions.

    python benchmarks/vqa_rad.py DATA/vqa-rad OUT

OUT/captions.csv (image, caption, findings): "<plane> <modality> of the <organ>", of images with an answered question of plane or
modality; a part that no answer tells is left out, one told in two ways leaves out the image. These captions are templated: nobody
wrote them. OUT/paraphrases.csv (text, caption, patient): each `para` question beside the one freeform question of the same image and
the same answer; those with none or several are dropped. Both print what was kept, and the commands.
"""

import argparse
import csv
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

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


def captions(questions: Rows, images: Path) -> tuple[Rows, str]:
    """The templated captions, and what was kept."""
    told: dict[str, dict[str, set[str]]] = defaultdict(lambda: {"plane": set(), "modality": set()})
    organs = {q["image_name"]: ORGANS[q["image_organ"]] for q in questions}
    for q in questions:
        answer = str(q["answer"]).strip().lower()
        if q["question_type"] in {"PLANE", "MODALITY"} and answer != "no":
            said = str(q["question"]).lower() if answer == "yes" else answer
            for part, known in PARTS.items():
                found = {name for name, pattern in known.items() if re.search(pattern, said)}
                told[q["image_name"]][part] |= found
    rows = []
    for name, parts in sorted(told.items()):
        if any(parts.values()) and all(len(found) < 2 for found in parts.values()):
            plane, modality = (next(iter(parts[p]), "") for p in PARTS)
            words = " ".join(w for w in (plane, modality or "image", "of the", organs[name]) if w)
            terms = " ".join(w for w in (plane, modality, organs[name]) if w)
            rows.append({"image": str((images / name).resolve()), "caption": words, "findings": terms})
    whole = sum(len(r["findings"].split()) == len(PARTS) + 1 for r in rows)
    return rows, f"captions: {len(rows)} of {len(organs)} images, {whole} of them with plane and modality; templated"


def paraphrases(questions: Rows) -> tuple[Rows, str]:
    """Each `para` question beside its only freeform one, and what was kept."""
    free = defaultdict(list)
    for q in questions:
        if q["phrase_type"] == "freeform":
            free[q["image_name"], str(q["answer"])].append(q["question"])
    para = [q for q in questions if q["phrase_type"] == "para"]
    match = [(q, free[q["image_name"], str(q["answer"])]) for q in para]
    rows = [{"text": q["question"], "caption": one[0], "patient": q["image_name"]} for q, one in match if len(one) == 1]
    none, several = (sum(test(len(one)) for _, one in match) for test in (lambda n: n == 0, lambda n: n > 1))
    return (
        rows,
        f"paraphrases: {len(rows)} of {len(para)}; dropped {none} without a freeform question, {several} with several",
    )


def main() -> None:
    """Write both tables."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("data", type=Path)
    words.add_argument("out", type=Path)
    given = words.parse_args()
    questions = json.loads((given.data / "questions.json").read_text())
    given.out.mkdir(parents=True, exist_ok=True)
    for experiment, name, (rows, said) in (
        ("captioning", "captions", captions(questions, given.data / "images")),
        ("translation", "paraphrases", paraphrases(questions)),
    ):
        print(said, Counter(r["caption"] for r in rows).most_common(1))
        with (given.out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
        print(f"empirisk train {experiment} {given.out / name}.csv --minutes 2")


if __name__ == "__main__":
    main()
