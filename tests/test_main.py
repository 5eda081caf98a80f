"""The command line: the same as MONAI's own on the same bundle, with a sentence for every mistake."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial

import fire
import monai.bundle
import pytest
import tifffile

from rockmonai.__main__ import VERBS, main
from rockmonai.errors import UsageError, find_rock_error
from tests.bundles.runs import BUNDLES, tiny_network, train, write_small_set

INFERENCE = BUNDLES / "srgan" / "configs" / "inference.json"
TINY = [word for key, value in tiny_network().items() for word in (f"--{key}", str(value))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training of an instant, with a scan in it."""
    folder = tmp_path_factory.mktemp("trained")
    train("srgan", write_small_set(folder / "set"), folder, epochs=1)
    shutil.copy(folder / "set" / "test" / "image" / "rock0.tif", folder / "scan.tif")
    return folder


@pytest.fixture
def quiet(monkeypatch):
    """MONAI's run, without handing the logging of the tests' process over to the bundle."""
    monkeypatch.setattr(monai.bundle, "run", partial(monai.bundle.run, logging_file=False))


@pytest.fixture
def asked(monkeypatch):
    """What MONAI's run is asked for, instead of running it."""
    seen = {}
    monkeypatch.setattr(monai.bundle, "run", lambda **given: seen.update(given))
    return seen


def python(*words, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, **kwargs)


def test_predicts_the_voxels_of_the_literal_command(trained, tmp_path, quiet):
    options = [*TINY, "--ckpt_dir", str(trained), "--block_size", "16", "--grey_range", "[0,200]", "--amp", "bf16"]
    files = ["--input_file", trained / "scan.tif", "--output_file", tmp_path / "literal.tif"]
    done = python("-m", "monai.bundle", "run", "--config_file", INFERENCE, *files, *options)
    assert done.returncode == 0, done.stderr
    main(["predict", "srgan", str(trained / "scan.tif"), str(tmp_path / "ours.tif"), *options])
    ours, literal = (tifffile.imread(tmp_path / f"{name}.tif") for name in ("ours", "literal"))
    assert ours.shape == (48, 48) and ours.std() > 0
    assert (ours == literal).all()


def test_a_bundle_that_was_copied_uses_the_model_beside_it(trained, tmp_path, quiet):
    shutil.copytree(BUNDLES / "srgan" / "configs", tmp_path / "mine" / "configs")
    (tmp_path / "mine" / "models").mkdir()
    shutil.copy(trained / "model.pt", tmp_path / "mine" / "models")
    main(["predict", str(tmp_path / "mine"), str(trained / "scan.tif"), str(tmp_path / "fine.tif"), *TINY])
    assert tifffile.imread(tmp_path / "fine.tif").shape == (48, 48)


@pytest.mark.parametrize(
    "options",
    [
        ["--amp", "bf16", "--block_size", "64", "--network_def#blocks", "4", "--network_def::width", "8"],
        ["--grey_range", "[0,65535]", "--overwrite", "true", "--seed=7"],
        ["--grey_range=[-1.5, 2]", "--overwrite", "--ckpt_dir", "runs/a b", "--seed", "-5"],
        ["--block_size", "(16, 16)", "--preprocessing", "{'a': None}", "--ckpt-dir", "it's"],
    ],
)
def test_options_have_the_values_that_monais_command_gives_them(asked, options):
    literal = {}
    words = ["run", "--config_file", str(INFERENCE), "--input_file", "scan.tif", "--output_file", "fine.tif", *options]
    fire.Fire({"run": lambda **given: literal.update(given)}, command=words)
    main(["predict", str(INFERENCE.parents[1]), "scan.tif", "fine.tif", *options])
    assert asked.pop("config_file") == [literal.pop("config_file")]
    assert asked == literal


@pytest.mark.parametrize(
    "name", ["42", "0042", "1e3", "True", "scan#1.tif", "[a].tif", "it's.tif", "a b.tif", "v.h5::x"]
)
def test_the_name_of_a_file_stays_what_was_typed(asked, name):
    main(["predict", "srgan", name, "fine.tif"])
    assert asked["input_file"] == name


@pytest.mark.parametrize("name", ["$print(1).tif", "@scale", "%a.json#b", "true", "null"])
def test_no_name_of_a_file_is_read_as_an_expression(asked, name):
    main(["predict", "srgan", name, name])
    assert asked["input_file"] == asked["output_file"] == f"./{name}"


def test_further_configs_are_merged_in_their_order_and_bring_their_keys(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.json").write_text(json.dumps({"mine": 1}))
    main(["predict", "srgan", "a", "b", "--config", "paper.json,own.json", "--mine", "2"])
    assert [file.rpartition("/")[2] for file in asked["config_file"]] == ["inference.json", "paper.json", "own.json"]
    assert asked["mine"] == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["predcit"], "no 'predcit' (did you mean 'predict'?)"),
        (["predict", "srgan"], "required argument: input; see rockmonai predict --help"),
        (["predict", "srgan", "a", "b", "c"], "'c'; see"),
        (["predict", "srgn", "a", "b"], "no bundle 'srgn' (did you mean 'srgan'?)"),
        (["predict", "srgan", "a", "b", "--ampp", "bf16"], "no key 'ampp' (did you mean 'amp'?)"),
        (["predict", "srgan", "a", "b", "--network_deff#blocks=4"], "(did you mean 'network_def'?)"),
        (["predict", "srgan", "a", "b", "--output_file", "c"], "--output_file says again"),
        (["predict", "srgan", "a", "b", "--config", "c", "--config=d"], "--config is given twice"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(asked, words, sentence):
    with pytest.raises(UsageError) as caught:
        main(words)
    assert sentence in str(caught.value)
    assert asked == {}


@pytest.mark.parametrize(("options", "code"), [(["--ckpt_dir", "nowhere"], 4), (["--network_def#blokcs", "1"], 2)])
def test_what_only_the_run_can_tell_keeps_its_exit_code(trained, tmp_path, quiet, options, code):
    with pytest.raises(Exception) as caught:
        main(["predict", "srgan", str(trained / "scan.tif"), str(tmp_path / "fine.tif"), *TINY, *options])
    assert find_rock_error(caught.value).exit_code == code
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept(trained, tmp_path, quiet):
    (tmp_path / "fine.tif").write_text("mine")
    words = ["predict", "srgan", str(trained / "scan.tif"), str(tmp_path / "fine.tif"), "--ckpt_dir", str(trained)]
    with pytest.raises(Exception) as caught:
        main([*words, *TINY])
    assert find_rock_error(caught.value).exit_code == 5
    assert (tmp_path / "fine.tif").read_text() == "mine"


def test_ctrl_c_leaves_no_trace(monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(monai.bundle, "run", interrupted)
    with pytest.raises(SystemExit) as caught:
        main(["predict", "srgan", "a", "b"])
    assert caught.value.code == 130


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["predict", "srgan", "-h"], []])
def test_help_names_the_verbs_or_the_arguments(words, capsys):
    main(words)
    shown = capsys.readouterr()
    assert all(
        part in shown.out for part in (["BUNDLE INPUT OUTPUT", "--config"] if words[:1] == ["predict"] else VERBS)
    )
    assert shown.err == ""


def test_help_and_mistakes_cost_no_import_of_torch():
    code = (
        "import sys; from rockmonai.__main__ import main; main(['predict', '--help'])\n"
        "try:\n    main(['predict', 'srgan', 'a', 'b', '--ampp', '1'])\n"
        "finally:\n    print(sorted({'torch', 'monai', 'numpy'} & set(sys.modules)))"
    )
    done = python("-c", code)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.returncode == 2


@pytest.mark.parametrize(("words", "code"), [(["srgan", "a", "b", "--ampp", "1"], 2), (["srgan"], 2)])
def test_a_mistake_ends_the_process_with_one_line(words, code):
    done = python("-m", "rockmonai", "predict", *words)
    assert done.returncode == code and done.stdout == ""
    assert done.stderr.startswith("rockmonai: ") and done.stderr.count("\n") == 1


def test_a_missing_scan_ends_the_process_with_its_sentence(tmp_path):
    done = python("-m", "rockmonai", "predict", "srgan", "nowhere.tif", "fine.tif", *TINY, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("rockmonai: nowhere.tif does not exist")
    assert "Traceback" not in done.stderr


def test_every_verb_says_in_one_line_what_it_does():
    for verb in VERBS.values():
        assert verb.__doc__.splitlines()[0].endswith(".")
