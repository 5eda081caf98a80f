"""The ``rockmonai`` command: a thin door to the bundles, one function a verb."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import fire
from fire.core import FireExit
from fire.parser import DefaultParseValue

from rockmonai.configs import ENTRY_POINTS, check_keys, find_bundle, find_configs, keys_of, read_config
from rockmonai.errors import UsageError, did_you_mean, report_in_one_sentence


def predict(bundle: str, input: str, output: str, *, config: str = "", **options: str | bool) -> None:
    """Apply a trained bundle to a scan: python -m monai.bundle run with the bundle's inference.json.

    Every key of inference.json is an option: --amp bf16 --device cuda:1 --network_def#blocks 4. The README lists them.

    Args:
        bundle: a folder with configs/inference.json, or a name such as srgan.
        input: the scan, an image or a volume.
        output: the file to write; its ending chooses the format.
        config: config files to merge over inference.json, with commas between them.
        options: values for keys of the config.
    """
    files = find_configs(find_bundle(bundle), config)
    check_keys(_ids(options), {*ENTRY_POINTS, *keys_of(map(read_config, files))})
    values: dict[str, Any] = {"input_file": _as_file(input), "output_file": _as_file(output)}
    for key in values.keys() & options:
        raise UsageError(f"--{key} says again what follows the name of the bundle; leave it out.")

    from monai.bundle import run  # only now: MONAI and torch take seconds, a misspelt word is told at once

    run(config_file=[str(file) for file in files], **values, **_values(options))


def export(bundle: str, **options: str | bool) -> None:
    """Write what a bundle's network reads (reach, stride, scale) into its metadata, and the network as TorchScript.

    Args:
        bundle: a folder with configs/inference.json, or a name such as srgan.
        options: values for keys of inference.json.
    """
    folder = find_bundle(bundle)
    check_keys(_ids(options), keys_of(map(read_config, find_configs(folder))))

    from rockmonai import bundle as bundles

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    bundles.export(folder, **_values(options))


def import_weights(
    bundle: str, weights: str, *, config: str = "", overwrite: bool = False, **options: str | bool
) -> None:
    """Make weights that the original code of TXM2SEM, Paw-Net or pix2pix has saved the model.pt of a bundle.

    Args:
        bundle: a folder with configs/inference.json, or a name such as pix2pix.
        weights: the file, such as latest_net_G.pth.
        config: config files to merge over inference.json, with commas between them; paper.json has the original sizes.
        overwrite: replace a model.pt that is there.
        options: values for keys of the config, such as --ckpt_dir runs/original.
    """
    files = find_configs(find_bundle(bundle), config)
    check_keys(_ids(options), keys_of(map(read_config, files)))

    from rockmonai import bundle as bundles

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asked = str(overwrite).lower() == "true"
    bundles.import_weights(files, Path(weights), overwrite=asked, **_values(options))


def report(
    output: str, scores: str, *more: str, labels: str = "", metrics: str = "psnr,ssim", overwrite: bool = False
) -> None:
    """Draw the figures of one or several evaluations of the same images, and print their scores side by side.

    Args:
        output: the folder of the figures.
        scores: the output_dir of an evaluate.json.
        more: those of other models.
        labels: a name for each evaluation, with commas between them; by default what tells their paths apart.
        metrics: which metrics, with commas between them.
        overwrite: replace the figures that are there.
    """
    from rockmonai.report import write_figures

    asked = str(overwrite).lower() == "true"
    folders = [Path(folder) for folder in (scores, *more)]
    print(write_figures(Path(output), folders, _listed(labels), _listed(metrics), asked))


VERBS: dict[str, Callable[..., None]] = {
    "predict": predict,
    "export": export,
    "import_weights": import_weights,
    "report": report,
}


def _listed(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def _ids(options: Mapping[str, Any]) -> list[str]:
    return [key.replace("::", "#") for key in options]


def _values(options: Mapping[str, str | bool]) -> dict[str, Any]:
    return {key: DefaultParseValue(value) if isinstance(value, str) else value for key, value in options.items()}


def main(words: Sequence[str] | None = None) -> None:
    """Run the verb that ``words`` (of the command line by default) ask for.

    The signature of a verb is its command line, and what follows it reaches the verb as the string that was typed,
    or as True for an option without a value.

    Raises:
        RockError: whatever is wrong; uncaught it ends the process with one sentence and its exit code.
        SystemExit: 130 after Ctrl-C.
    """
    report_in_one_sentence()
    for call in _calls(list(sys.argv[1:] if words is None else words)):
        try:
            call()
        except KeyboardInterrupt:
            sys.exit(130)


def _calls(words: list[str]) -> list[Callable[[], None]]:
    """Return what ``words`` ask for, before it is done: Fire finds a superfluous word after a call only."""
    verb = words[:1] if words and words[0] in VERBS else []
    if {"-h", "--help"} & set(words):
        words = [*verb, "--", "--help"]  # else Fire takes it for an option of the verb
    elif words and not verb:
        raise UsageError(f"There is no '{words[0]}'{did_you_mean(words[0], VERBS)}; see rockmonai --help.")
    _refuse_twins(words)
    calls: list[Callable[[], None]] = []
    verbs = {name: _noted(function, calls) for name, function in VERBS.items()}
    try:
        with redirect_stderr(StringIO()) as said:
            fire.Fire(verbs, command=[*verb, *map(_as_typed, words[len(verb) :])], name="rockmonai")
    except FireExit as end:
        if end.code:
            error = end.trace.elements[-1].ErrorAsStr()
            raise UsageError(f"{error}; see {' '.join(['rockmonai', *verb, '--help'])}.") from end
        print(said.getvalue().strip())
    return calls


def _refuse_twins(words: Sequence[str]) -> None:
    flags = [word.partition("=")[0] for word in words if word.startswith("--")]
    for flag in flags:
        if flags.count(flag) > 1:
            raise UsageError(f"{flag} is given twice; pass it once, several files with commas between them.")


def _noted(verb: Callable[..., None], calls: list[Callable[[], None]]) -> Callable[..., None]:
    """Return ``verb`` as one that only notes how it is called."""

    @functools.wraps(verb)
    def note(*args: Any, **options: Any) -> None:
        calls.append(functools.partial(verb, *args, **options))

    return note


def _as_typed(word: str) -> str:
    """Return ``word`` such that Fire reads it as the string it is: a scan may be called 42."""
    if word.startswith("-"):
        flag, equals, value = word.partition("=")
        return f"{flag}={value!r}" if equals else word
    return repr(word)


def _as_file(name: str) -> str:
    """Return the name of a file such that a config takes it for nothing else, however it begins."""
    return f"./{name}" if name.startswith(("$", "@", "%")) or name in ("true", "false", "null") else name


if __name__ == "__main__":
    main()
