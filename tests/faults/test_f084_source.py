"""F084, as a test of the source: nothing can run what it reads; one place steps, and one opens the test set."""

import ast
from pathlib import Path

import pytest

import empirisk

ROOT = Path(empirisk.__file__).parent
FILES = {p.relative_to(ROOT).as_posix(): ast.parse(p.read_text("utf-8")) for p in sorted(ROOT.rglob("*.py"))}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def dotted(node):
    """a.b.c of a call's function."""
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else getattr(node, "id", "?")


def calls(tree):
    return [(dotted(n.func), n) for n in ast.walk(tree) if isinstance(n, ast.Call)]


def wrong(tree):
    """What may not be in the source."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in FORBIDDEN_MODULES]
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(node.module)
    for name, node in calls(tree):
        if name in {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "torch.save"}:
            found.append(name)
        for k in node.keywords:
            value = getattr(k.value, "value", None)
            if (k.arg, value) in {("weights_only", False), ("allow_pickle", True), ("shell", True)}:
                found.append(f"{k.arg}={value}")
        if name.endswith("np.load") and not any(k.arg == "allow_pickle" for k in node.keywords):
            found.append(f"{name} without allow_pickle=False")
    return found


@pytest.mark.parametrize("text", ["import pickle", "from joblib import load", "torch.load(f)", "eval(x)", "np.load(f)",
                                  "torch.load(f, weights_only=False)", "np.load(f, allow_pickle=True)", "run(c, shell=True)"])  # fmt: skip
def test_the_test_finds_it(text):
    assert wrong(ast.parse(text))


@pytest.mark.parametrize("file", FILES)
def test_nothing_runs_what_it_reads(file):
    assert wrong(FILES[file]) == []


def holders(condition):
    return {file for file, tree in FILES.items() if any(condition(name, node) for name, node in calls(tree))}


def test_one_place_differentiates_and_steps():
    backward = holders(lambda name, node: name.endswith(".backward"))
    asks = holders(lambda name, node: name == "torch.autograd.grad")
    steps = holders(lambda name, node: name.endswith(("optimizer.step", "scaler.step", "optimiser.step", "opt.step")))
    assert len(steps) == 1
    assert all(file.startswith("erm") for file in steps)
    assert backward == steps
    assert asks <= {
        "saliency.py",
        "regularization/adversarial.py",
        "verbs/check.py",
        "models/activations.py",
        "generative/gan.py",  # the slope that a critic is held to
    }  # they look, and move nothing


def test_the_test_set_has_one_door():
    opened = holders(lambda name, node: name.endswith("data.test") and not node.args)
    assert opened == {"verbs/test.py"}
    named = {file for file, tree in FILES.items() for n in ast.walk(tree)
             if isinstance(n, ast.Attribute) and n.attr == "test" and dotted(n.value).split(".")[-1] == "data"}  # fmt: skip
    assert named == {"verbs/test.py"}
