"""Few-shot learning of a style from patches of painted keyframes, with early stopping.

    G: l1 |G(x) - s| + perceptual d(G(x), s) + adversarial (D(G(x)) - 1)^2
    D: D(G(x))^2 + (D(s') - 1)^2,    s' another patch of the painting

after Texler et al. (SIGGRAPH 2020, section 3.1). Long training "washes out" a style, so frames that are not learnt from
judge every few steps, and the best network so far is the one that is kept. What happens in step n depends on the seed
and n alone: learning that was stopped and goes on ends as learning that was not.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gen_inbetween.stylize.examples import Example, Judge, PatchBank, network_input, signal, windows_of
from gen_inbetween.stylize.losses import (
    choose_perceptual,
    discriminator_adversarial,
    generator_adversarial,
    open_perceptual,
)
from gen_inbetween.stylize.network import PatchDiscriminator, StyleNetwork, translate
from gen_inbetween.stylize.settings import Look, StyleError, StyleSettings


class Learner:
    """Network, discriminator, their optimisers, and the best network so far."""

    def __init__(
        self, examples: Sequence[Example], judges: Sequence[Judge], settings: StyleSettings, seed: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.settings, self.seed, self.device = settings, seed, device
        self.inputs = 3 if examples[0].guide is None else 6
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = StyleNetwork(self.inputs, settings.widths, settings.blocks, settings.head_kernel)
            discriminator = PatchDiscriminator()
        self.network, self.discriminator = network.to(device), discriminator.to(device)
        options: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
        self.optimizers = [torch.optim.Adam(part.parameters(), **options) for part in (network, discriminator)]
        self.perceptual_name = choose_perceptual(settings.perceptual)
        self.perceptual = open_perceptual(self.perceptual_name, device)
        self.bank = PatchBank(examples, settings.patch_size, device)
        self.judges = [part for judge in judges for part in windows_of(judge)]
        self.best: dict[str, Tensor] = copy.deepcopy(network.state_dict())
        self.step, self.seconds, self.best_step = 0, 0.0, 0
        self.best_error: float | None = None
        self.looks: list[Look] = []

    def turn_to(self, examples: Sequence[Example], judges: Sequence[Judge]) -> None:
        """Go on learning from other paintings of the same frames; what was best is so no more."""
        self.bank = PatchBank(examples, self.settings.patch_size, self.device)
        self.judges = [part for judge in judges for part in windows_of(judge)]
        self.best_error, self.best_step = None, self.step

    def take_step(self) -> None:
        """One step of each network."""
        settings = self.settings
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.step) % 2**63)
        x, painted, mask, others = self.bank.draw(settings.batch_size, generator)
        self.network.train()
        drawn = self.network(x)
        painted = torch.where(mask, painted, drawn.detach())  # nothing is asked where nothing was painted
        if settings.adversarial_weight:
            loss = discriminator_adversarial(self.discriminator(drawn.detach()), self.discriminator(others))
            self._update(1, loss)
        loss = settings.l1_weight * (drawn - painted).abs().mean()
        if self.perceptual is not None and settings.perceptual_weight:
            loss = loss + settings.perceptual_weight * self.perceptual(drawn, painted)
        if settings.adversarial_weight:
            judged = self.discriminator(drawn)
            loss = loss + settings.adversarial_weight * generator_adversarial(judged)
        self._update(0, loss)
        self.step += 1

    def _update(self, which: int, loss: Tensor) -> None:
        self.optimizers[which].zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers[which].step()

    @torch.no_grad()
    def error(self) -> float | None:
        """Mean absolute difference from what the judges want, grey levels; None without judges."""
        if not self.judges:
            return None
        self.network.eval()
        errors = []
        for judge in self.judges:
            x = network_input(judge.source, judge.guide).to(self.device)
            drawn = translate(self.network, x, self.settings.tile)[0]
            difference = (drawn - signal(judge.wanted).to(self.device)).abs().mean(0)
            errors.append(float(difference[torch.from_numpy(judge.known).to(self.device)].mean()) * 127.5)
        return sum(errors) / len(errors)

    def look(self) -> Look:
        """Judge, and keep the network if it is the best so far; without judges the latest is.

        StyleError: learning came to numbers that are none before there was anything to keep.
        """
        error = self.error()
        finite = all(bool(value.isfinite().all()) for value in self.network.state_dict().values())
        if not finite and not any(look.best for look in self.looks):
            raise StyleError(f"learning diverged within {self.step} steps: expected a smaller learning_rate")
        best = finite and (error is None or self.best_error is None or error < self.best_error)
        if best:
            self.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
            self.best_error, self.best_step = error, self.step
        look = Look(self.step, self.seconds, error, best)
        self.looks.append(look)
        return look

    @property
    def finished(self) -> bool:
        """Whether steps, minutes or patience have run out."""
        settings = self.settings
        patience = settings.patience * settings.check_every
        idle = bool(self.judges) and self.step - self.best_step >= patience
        return self.step >= settings.steps or self.seconds >= 60 * settings.minutes or idle

    def learn(self, on_look: Callable[[Look], bool | None] | None = None) -> None:
        """Learn until `finished`, or until `on_look` returns True; the best network is `best_network` then."""
        began = time.monotonic() - self.seconds  # looks and previews count: minutes are those that a user waits
        while not self.finished:
            self.take_step()
            self.seconds = time.monotonic() - began
            due = self.step % self.settings.check_every == 0 or self.finished
            if due:
                look = self.look()
                if on_look is not None and on_look(look):
                    return

    def best_network(self) -> StyleNetwork:
        """The best network so far, to translate with."""
        network = StyleNetwork(self.inputs, self.settings.widths, self.settings.blocks, self.settings.head_kernel)
        network.load_state_dict(self.best)
        return network.to(self.device).eval().requires_grad_(False)

    def state(self) -> dict[str, Tensor]:
        """All tensors, for `load`."""
        parts = {"network": self.network.state_dict(), "discriminator": self.discriminator.state_dict()}
        parts["best"] = self.best
        for number, optimizer in enumerate(self.optimizers):
            states = optimizer.state_dict()["state"]
            parts[f"optimizer{number}"] = {f"{i}.{k}": v for i, one in states.items() for k, v in one.items()}
        return {f"{part}.{name}": value for part, tensors in parts.items() for name, value in tensors.items()}

    def load(self, tensors: dict[str, Tensor], step: int, seconds: float, looks: Sequence[Look]) -> None:
        """Go on where a learner with this `state` was. LookupError, ValueError, RuntimeError: another's, or damaged."""

        def part(name: str) -> dict[str, Tensor]:
            return {key.removeprefix(name + "."): tensors[key] for key in tensors if key.startswith(name + ".")}

        self.best = part("best")
        for name in ("best", "network"):  # the first only to see that it fits
            self.network.load_state_dict(part(name))
        self.discriminator.load_state_dict(part("discriminator"))
        for number, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in part(f"optimizer{number}").items():
                position, key = name.split(".", 1)
                state.setdefault(int(position), {})[key] = value
            for index, moments in state.items():  # the optimizer believes what it loads
                shape = optimizer.param_groups[0]["params"][index].shape
                shapes = {key: value.shape for key, value in moments.items()}
                if shapes != {"step": (), "exp_avg": shape, "exp_avg_sq": shape}:
                    raise ValueError(f"optimizer{number}.{index}")
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        self.step, self.seconds, self.looks = step, seconds, list(looks)
        kept = [look for look in self.looks if look.best]
        self.best_step, self.best_error = (kept[-1].step, kept[-1].error) if kept else (0, None)
