"""What a run's net sees in images, as numbers, and maps of them to walk over."""

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from cyclopts import Parameter

from empirisk import files, runtime
from empirisk.data.unlabelled import label_of
from empirisk.errors import Wrong
from empirisk.experiment import Experiment, Rows
from empirisk.figures import picture
from empirisk.folder import tensors as codec
from empirisk.report import maps
from empirisk.report.maps import Plane
from empirisk.unsupervised.pca import PCA
from empirisk.verbs.flags import Device, Json, Trained
from empirisk.verbs.run import Run, joined, load
from empirisk.verbs.say import Say, short

COMPONENTS, MOST, PICTURES = 50, 5000, 1000
"""Numbers that t-SNE looks at, rows that it lays out, and rows with a picture in the page, evenly many of more."""


@torch.no_grad()
def features(e: Experiment, rows: Rows, device: torch.device) -> torch.Tensor:
    """What the model embeds of each row, (N, D) float32. `Wrong` (exit 2) for a model without `embed`."""
    model: Any = e.model.to(device).eval()
    if not hasattr(model, "embed"):
        raise Wrong(f"the model of {e.name} has no embed", remedy="take a run of a network that embeds images")
    found = []
    for x in e.data.chunks(rows, device):
        image = x[0] if isinstance(x, tuple) and e.data.card().dims else x  # beside its own size
        found.append(model.embed(image).float().cpu())
    return torch.cat(found)


def planes(z: torch.Tensor) -> tuple[list[Plane], float]:
    """The maps of features (N, D), and the share of their variance that the first one shows.

    `Wrong` (exit 2) for fewer than three rows, and rows that are all embedded alike.
    """
    from sklearn.manifold import TSNE

    n, numbers = z.shape
    if n < 3:
        raise Wrong(f"a map of {n} rows", remedy="give three or more")
    pca = PCA((numbers,), codes=min(COMPONENTS, n, numbers))
    pca.fill(z)
    codes = pca.embed(z).numpy()
    two = codes[:, :2] if codes.shape[1] > 1 else np.concatenate([codes, np.zeros_like(codes)], 1)
    share = float(pca.variance[:2].sum() / z.var(0).sum())
    text = f"The two directions along which the rows differ most; they hold {100 * share:.0f} % of the variance. Distances are true but for what they leave out."
    out = [Plane("PCA", text, two)]
    if n > 3:
        chosen = np.linspace(0, n - 1, min(n, MOST)).astype(int)
        perplexity = min(30.0, (len(chosen) - 1) / 3)
        xy = np.full((n, 2), math.nan)
        xy[chosen] = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(codes[chosen])
        words = "Neighbours stay neighbours (t-SNE); distances between groups, and their sizes, mean nothing."
        words += f" {len(chosen):,} of {n:,} rows are laid out." if len(chosen) < n else ""
        out.append(Plane("t-SNE", words, xy))
    return out, share


def pictures(e: Experiment, rows: Rows) -> dict[int, str]:
    """Small pictures of at most 1,000 rows, by number; none of vectors."""
    if not e.data.card().dims:
        return {}
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), PICTURES)).astype(int).tolist()
    return {i: picture(rows[i]["x"].read(), side=56) for i in chosen}


def embedded(run: Run, *, data: Any = None, device: torch.device) -> dict[str, Any]:
    """Embed the validation rows, or all rows of other data, and write features, table and page; where these are, and their sizes."""
    with run.folder.lock():
        e = run.experiment()
        rows, stem = (e.data.rows("val"), "map") if data is None else (e.data.other(data), joined([data]))
        z = features(e, rows, device)
        drawn, share = planes(z)
        page, table, numbers = (run.folder.embed_file(f"{stem}.{kind}") for kind in ("html", "csv", "safetensors"))
        files.write(numbers, codec.dump({"features": z}))
        columns = {f"{p.name.lower().replace('-', '')}{k + 1}": p.xy[:, k] for p in drawn for k in range(2)}
        cells = [
            {"id": r["id"], "patient": r.get("patient") or "", "target": label_of(r)}
            | {name: "" if math.isnan(v[i]) else float(v[i]) for name, v in columns.items()}
            for i, r in enumerate(rows)
        ]
        files.write_csv(table, list(cells[0]), cells)
        title = f"{run.path.name}, {'validation' if data is None else Path(str(data)).name}"
        ids, labels = [str(r["id"]) for r in rows], [label_of(r) for r in rows]
        files.write(page, maps.page(title, ids, labels, drawn, pictures(e, rows), table.name))
    return {
        "map": str(page),
        "table": str(table),
        "features": str(numbers),
        "rows": len(z),
        "numbers": z.shape[1],
        "share": share,
    }


def embed(
    run: Trained, /, *, data: Annotated[str | None, Parameter(help="another set instead of the validation rows")] = None,
    device: Device = "auto", json: Json = False,
) -> None:  # fmt: skip
    """Write what a run's net sees in images as numbers, and a page with maps of them, to RUN/embed/.

    Example: empirisk embed runs/pneumoniamnist
    """
    say = Say(as_json=json)
    found = embedded(load(run), data=data, device=runtime.device_named(device))
    say("Embedded", [f"{found['rows']:,} rows", f"{found['numbers']} numbers each"])
    say("", f"two components hold {short(found['share'])} of their variance")
    say("Map", found["map"])
    say("Written", [found["table"], found["features"]])
    say.document(found)
