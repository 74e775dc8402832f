import shutil

from visiontrain_harness.json_lines import lines_of

from visiontrain.datasets.samples import make_sample


def test_a_sample_is_made_and_the_next_step_told(run, tmp_path):
    done = run("sample", "shapes", tmp_path / "shapes")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "shapes" / "train" / "circle").is_dir()
    assert done.stdout == ""
    assert f"  visiontrain train {tmp_path / 'shapes'} --model" in done.stderr


def test_the_same_command_twice(run, tmp_path):
    run("sample", "shapes", tmp_path / "shapes")
    again = run("sample", "shapes", tmp_path / "shapes")
    assert again.exit_code == 0, again.output
    assert "The sample shapes is already there" in again.stderr
    assert f"  visiontrain train {tmp_path / 'shapes'} --model" in again.stderr


def test_a_folder_that_is_not_empty_is_left_alone(run, tmp_path):
    (tmp_path / "mine.txt").touch()
    done = run("sample", "shapes", tmp_path)
    assert done.exit_code == 2
    assert "is not empty" in done.stderr


def test_samples_are_listed(run):
    assert run("sample").stdout.splitlines()[1].split()[:4] == ["shapes", "classify", "6", "shapes"]
    assert lines_of(run("sample", "--json").stdout)[0]["name"] == "shapes"
    assert run("sample", "shapes").exit_code == 2
    assert run("sample", "nothing", "x").exit_code == 2


def test_a_good_dataset(run, shapes):
    done = run("dataset", "check", shapes)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"{shapes}: class-folders, for classify"
    assert lines[1].split() == ["CLASS", "train", "val"]
    assert lines[2].split() == ["circle", "2", "1"]
    assert lines[8].split() == ["all", "12", "6"]


def test_a_dataset_that_can_not_be_trained_on_is_exit_code_2(run, shapes, tmp_path):
    data = shutil.copytree(shapes, tmp_path / "data")
    (data / "train" / "circle" / "broken.png").write_bytes(b"no image")
    done = run("dataset", "check", data)
    assert done.exit_code == 2
    assert "error: " in done.stdout
    assert "train/circle/broken.png" in done.stdout
    checked = run("dataset", "check", data, "--json")
    assert checked.exit_code == 2
    (report,) = lines_of(checked.stdout)
    assert report["problems"][0]["severity"] == "error"


def test_fewer_images_than_a_batch(run, shapes):
    done = run("dataset", "check", shapes, "--batch-size", 13)
    assert done.exit_code == 0
    assert "warning: train has 12 images, fewer than a batch of 13" in done.stdout
    assert "fewer" not in run("dataset", "check", shapes, "--batch-size", 12).stdout
    assert run("dataset", "check", shapes, "--batch-size", 0).exit_code == 2


def test_a_task_by_another_name(run, shapes):
    assert run("dataset", "check", shapes, "--task", "classification").exit_code == 0


def test_what_is_no_dataset(run, tmp_path):
    done = run("dataset", "check", tmp_path / "nothing")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")
    wrong = run("dataset", "check", tmp_path, "--task", "dream")
    assert wrong.exit_code == 2
    assert "task: must be one of classify," in wrong.stderr


def test_objects_are_counted_by_class_and_split(run, tmp_path):
    run("sample", "outlines", tmp_path / "outlines")
    done = run("dataset", "check", tmp_path / "outlines")
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert " ".join(lines[0]) == f"{tmp_path / 'outlines'}/data.yaml: yolo, for segment (--task reads it for detect)"
    assert lines[1] == ["CLASS", "train", "val", "test"]
    assert [line[0] for line in lines[2:7]] == ["circle", "cross", "square", "star", "triangle"]
    totals = [sum(int(line[place]) for line in lines[2:7]) for place in (1, 2, 3)]
    assert lines[7] == ["all", "objects", *map(str, totals)]
    assert lines[8] == ["images", "300", "75", "75"]
    (report,) = lines_of(run("dataset", "check", tmp_path / "outlines", "--task", "detect", "--json").stdout)
    assert (report["task"], report["tasks"]) == ("detect", ["segment", "detect"])
    assert list(report["objects"].values()) == totals


def test_a_sample_of_objects_names_no_classifier(run, tmp_path):
    done = run("sample", "boxes", tmp_path / "boxes")
    assert f"  visiontrain dataset check {tmp_path / 'boxes'}" in done.stderr
    assert "resnet18" not in done.stderr


def test_of_masks_images_and_shares_of_pixels_are_told(run, tmp_path):
    data = make_sample("regions", tmp_path / "regions", images_per_class={"train": 2, "val": 1}, image_size=32)
    done = run("dataset", "check", data)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"{data}: mask-folders, for semantic"
    assert lines[1].split("  ")[0] == "CLASS"
    assert lines[1].split()[1:] == ["train", "val", "train", "pixels", "val", "pixels"]
    assert lines[2].split()[:3] == ["background", "10", "5"]
    assert [cell[-1] for cell in lines[2].split()[3:]] == ["%", "%"]
    assert lines[8].split() == ["images", "10", "5"]
    (told,) = lines_of(run("dataset", "check", data, "--json").stdout)
    assert sum(shares["val"] for shares in told["pixel_shares"].values()) > 0.999
