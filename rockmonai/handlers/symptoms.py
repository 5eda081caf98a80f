"""What one iteration of a CycleGANTrainer tells about how well it goes."""

from __future__ import annotations

from statistics import fmean

import torch

from rockmonai.engines import CycleGANTrainer
from rockmonai.engines.steps import of_game
from rockmonai.handlers.failure_score import grey_correlation

NOTED = ("accuracy", "fooled", "error_image", "error_label", "std_image", "std_label")
"""What is noted beside the losses: verdicts of the discriminators, errors of the cycles, spread of the real greys."""


def losses(engine: CycleGANTrainer) -> dict[str, float]:
    """Return the losses of the iteration without their weights."""
    paid = engine.state.losses
    bare = {term.name: paid[term.name] / term.weight for term in engine.losses}
    for game in engine.games:
        bare[f"adversarial{game}"] = paid[f"adversarial{game}"] / of_game(engine.adversarial, game).weight
        bare[f"discriminator{game}"] = paid[f"discriminator{game}"]
    return bare


def verdicts(engine: CycleGANTrainer) -> dict[str, float]:
    """Return the share of right verdicts of both discriminators, and that of fakes taken for real."""
    logits, boundary = engine.state.logits, {game: of_game(engine.adversarial, game).boundary for game in engine.games}
    reals, fakes = (
        fmean((logits[f"{kind}{game}"] > boundary[game]).float().mean().item() for game in engine.games)
        for kind in ("real", "fake")
    )
    return {"accuracy": (reals + 1 - fakes) / 2, "fooled": fakes}


def differences(engine: CycleGANTrainer) -> dict[str, float]:
    """Return the mean absolute difference that each cycle leaves, and the standard deviation of what it starts from."""
    found: dict[str, float] = {}
    for kind in ("image", "label"):
        if f"recovered_{kind}" in engine.compared:
            real, recovered = _made(engine, kind), _made(engine, f"recovered_{kind}")
            found |= {f"error_{kind}": (recovered - real).abs().mean().item(), f"std_{kind}": real.std().item()}
    return found


def correlations(engine: CycleGANTrainer) -> list[float]:
    """Return the correlation of greys of the last batch in both directions."""
    pairs = (("pred", "image"), ("fake_image", "label"))
    return [grey_correlation(_made(engine, made), _made(engine, of)) for made, of in pairs]


def _made(engine: CycleGANTrainer, key: str) -> torch.Tensor:
    """Return what the trainer has read or made in the last iteration, decollated or not."""
    output = engine.state.output
    made = torch.stack([item[key] for item in output]) if isinstance(output, list) else output[key]
    return made.float()
