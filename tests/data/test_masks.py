import json

import numpy as np
import pytest

from empirisk.data.masks import Masks, Segmented, middles
from empirisk.data.readers import File, Stored
from empirisk.data.rows import Box
from empirisk.data.table import of_fields, plain_fields
from empirisk.data.written import stem_of
from empirisk.errors import Wrong


def row(mask, name="a", **more):
    image = np.zeros((1, 1, *mask.shape), np.uint8)
    return {"id": name, "x": Stored(image, 0), "mask": Stored(mask[None], 0), "patient": None, "part": "train", **more}


def unnamed():
    return ()


SEMANTIC = np.array([[0, 1, 1], [0, 2, 255], [0, 0, 2]], np.uint8)


def test_structures_are_named_by_the_form_or_by_their_numbers():
    rows = [row(np.array([[0, 1], [2, 2]], np.uint8))]
    assert Masks.learn(rows, lambda: ("anterior", "posterior")) == Masks(("anterior", "posterior"), (1, 2))
    assert Masks.learn(rows, unnamed) == Masks(("1", "2"), (1, 2))
    assert Masks.learn([row(np.array([[0, 255]], np.uint8))], unnamed) == Masks(("foreground",), (255,))
    one = [row(np.array([[0, 1]], np.uint8), label="benign")]
    assert Masks.learn(one, lambda: ("benign", "malignant")).names == ("foreground",)  # these name the images
    with pytest.raises(Wrong, match="numbers 1, 2"):
        Masks.learn(rows, lambda: ("anterior",))


def test_255_beside_smaller_numbers_is_not_counted():
    masks = Masks.learn([row(SEMANTIC)], unnamed)
    assert masks.ignored == (255,)
    assert masks.labels(row(SEMANTIC)).tolist() == [[0, 1, 1], [0, 2, -1], [0, 0, 2]]
    assert masks.encode(row(SEMANTIC)).tolist() == [[[1, 2, 2], [1, 3, 0], [1, 1, 3]]]
    said = Segmented(np.array([[0, 1, 1], [0, 2, 1], [0, 0, 2]], np.uint8))
    assert masks.measure(row(SEMANTIC), said)[:, 0].tolist() == [1, 1]


def test_what_no_training_mask_had_is_named():
    masks = Masks.learn([row(SEMANTIC)], unnamed)
    with pytest.raises(Wrong, match=r"mask of case 7 has the numbers 9\n  known are 0 and 1, 2, 255"):
        masks.labels(row(np.array([[0, 9]], np.uint8), "case 7"))


@pytest.mark.parametrize(
    ("more", "remedy"),
    [
        ({"boxes": (Box("x", (0, 0, 1, 1)),)}, "empirisk train detection DATA"),
        ({"label": "x"}, "empirisk train classification DATA"),
        ({}, "give a folder of images/ and masks/"),
    ],
)
def test_rows_without_masks_are_told_what_they_are_good_for(more, remedy):
    bare = {"id": "a", "x": Stored(np.zeros((1, 1, 4, 4), np.uint8), 0), **more}
    with pytest.raises(Wrong, match="no training row has a mask") as caught:
        Masks.learn([bare], unnamed)
    assert remedy in str(caught.value)
    assert caught.value.code == 2
    with pytest.raises(Wrong, match="nothing is marked"):
        Masks.learn([row(np.zeros((3, 3), np.uint8))], unnamed)


def test_many_numbers_count_things():
    ids = np.arange(36, dtype=np.uint16).reshape(6, 6)
    masks = Masks.learn([row(ids)], unnamed)
    assert masks == Masks(("foreground",), (1,), instances=True)
    assert masks.labels(row(ids)).sum() == 35
    assert Masks.learn([row(ids)], unnamed, False).labels(row(ids)).sum() == 35  # one structure, not told apart
    few = row(np.array([[1, 0, 1]], np.uint8))
    forced = Masks.learn([few], unnamed, True)
    assert forced.things(few).tolist() == [[1, 0, 2]]  # connected parts of a mask with one number


def test_the_distance_is_one_in_the_middle_of_each_thing_whatever_its_size():
    ids = np.zeros((20, 20), np.uint16)
    ids[2:7, 2:7], ids[8:19, 7:18] = 4, 9
    d = middles(ids)
    assert d[4, 4] == d[13, 12] == 1
    assert d[2, 2] == pytest.approx(1 / 3)
    assert (d[ids == 0] == 0).all()
    y = Masks(("foreground",), (1,), instances=True).encode(row(ids))
    assert y.dtype == np.uint8
    assert y[1, 4, 4] == 255


def test_a_structure_cut_by_the_border_is_named():
    masks = Masks(("a", "b"), (1, 2))
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1, 1, 1], labels[2, 2, 5] = 1, 2
    assert masks.border(labels) == ["b"]


def test_learned_and_read_back_from_json_are_the_same():
    masks = Masks.learn([row(SEMANTIC)], unnamed)
    assert of_fields(Masks, json.loads(json.dumps(plain_fields(masks)))) == masks


def test_a_mask_goes_back_in_the_form_and_geometry_of_its_image(tmp_path):
    import nibabel
    from PIL import Image

    affine = np.array([[0, 2.0, 0, 5], [-1.5, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), affine), tmp_path / "case.nii.gz")
    labels = np.zeros((6, 5, 4), np.uint8)  # the array's axes are the file's, turned over
    labels[1:3, 2, 1] = 2
    masks = Masks(("a", "b"), (1, 7))
    cells = masks.write(
        {"id": "case.nii.gz", "x": File(str(tmp_path / "case.nii.gz"))}, Segmented(labels), tmp_path / "p"
    )
    written = nibabel.load(tmp_path / "p" / cells["prediction"])
    assert np.array_equal(written.affine, affine)
    assert np.array_equal(np.asarray(written.dataobj).T, np.where(labels == 2, 7, 0))  # as the training masks have it
    assert cells["volume/b"] == 2 * 9
    assert cells["target"] == ""
    assert cells["dice/b"] is None
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "x.png")
    many = np.zeros((5, 6), np.uint16)
    many[0, 0] = 300
    things = Masks(("foreground",), (1,), instances=True)
    said = Segmented((many > 0).astype(np.uint8), many, np.ones(300))
    cells = things.write({"id": "images/x.png", "x": File(str(tmp_path / "x.png"))}, said, tmp_path / "p")
    assert cells["prediction"] == "images-x.png"
    assert cells["cut"] == "foreground"
    assert np.asarray(Image.open(tmp_path / "p" / "images-x.png"))[0, 0] == 300


def test_masks_of_two_images_of_one_name_are_two_files(tmp_path):
    masks, x = Masks(("a",), (1,)), Stored(np.zeros((1, 1, 2, 2), np.uint8), 0)
    for k, folder in enumerate(("/x", "/y", "..", "../..")):
        ids = [f"{folder}/new/1.png", f"{folder}/new/1.png"]
        files = {
            masks.write({"id": i, "x": x}, Segmented(np.full((2, 2), k % 2, np.uint8)), tmp_path)["prediction"]
            for i in ids
        }
        assert len(files) == 1  # the same image, the same file
    assert len(list(tmp_path.glob("new-1-*.png"))) == 4
    assert stem_of("new/1.png") == "new-1"


def test_how_well_it_fits_is_read_back_from_the_table(tmp_path):
    masks, truth = Masks(("1", "2"), (1, 2)), np.array([[1, 1, 0], [0, 2, 2]], np.uint8)
    answer = Segmented(np.array([[1, 0, 0], [0, 2, 2]], np.uint8))
    cells = masks.write(row(truth), answer, tmp_path)
    text = {k: "" if v is None else str(v) for k, v in cells.items()}
    back = masks.read(text)[1]
    assert np.allclose(masks.measure({}, back), masks.measure(row(truth), answer))
    assert cells["target"] == "1|2"
    with pytest.raises(Wrong, match="another kind"):
        masks.read({"id": "x"})
