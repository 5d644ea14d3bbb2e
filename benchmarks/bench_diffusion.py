"""Diffusion against diffusers: images a second of a training step at 1x28x28, and 20 sampling steps against 1,000.

Both have a U-Net of about 2 M parameters, ours at half the resolution; mean squared error of the noise, AdamW, batch 64, float32, one thread and its processor
time, alternating, medians. Ends with 1 below twice their images a second, or above 1/20 of the time of 1,000 steps.

    python benchmarks/bench_diffusion.py      (pip install diffusers first)
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DModel
from torch import Tensor

from empirisk.data.card import Card
from empirisk.data.reconstructed import Images
from empirisk.generative.diffusion import T, ddpm, denoising

SIDE, BATCH, ROUNDS, DRAWN = 28, 64, 7, 16
BAR, SHARE = 2.0, 1 / 20


def theirs() -> tuple[UNet2DModel, DDPMScheduler]:
    """A U-Net of diffusers for 28 pixels with about as many parameters as ours, and its forward process."""
    torch.manual_seed(0)
    net = UNet2DModel(
        sample_size=SIDE, in_channels=1, out_channels=1, layers_per_block=1, block_out_channels=(32, 64, 112),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"), norm_num_groups=8,
    )  # fmt: skip
    return net, DDPMScheduler(num_train_timesteps=T, beta_schedule="squaredcos_cap_v2")


def seconds(risk: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> float:
    """One training step."""
    start = time.process_time()
    optimizer.zero_grad()
    risk().backward()
    optimizer.step()
    return time.process_time() - start


def main() -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    card = Card("drawn", channels=1, size=(SIDE, SIDE), mean=(0.5,), std=(0.25,), range=255.0)
    ours = ddpm(card, Images(0.0, 1.0), 1000).model.train()
    net, process = theirs()
    x, none = torch.rand(BATCH, 1, SIDE, SIDE), torch.full((BATCH,), -1)

    def mine() -> Tensor:
        return denoising(ours, (x, none)).mean()

    def other() -> Tensor:
        eps, t = torch.randn_like(x), torch.randint(0, T, (BATCH,))
        return F.mse_loss(net(process.add_noise(4 * x - 2, eps, t), t).sample, eps)

    sides = [(risk, torch.optim.AdamW(m.parameters(), 1e-3)) for risk, m in ((mine, ours), (other, net))]
    rounds = [[seconds(*side) for side in sides] for _ in range(ROUNDS + 1)][1:]
    speed = [BATCH / statistics.median(times) for times in zip(*rounds, strict=True)]
    times = dict.fromkeys((20, T), 0.0)
    for steps in times:
        start = time.process_time()
        ours.eval().sample(DRAWN, generator=torch.Generator().manual_seed(0), steps=steps)
        times[steps] = time.process_time() - start
    found = {
        "ours_parameters": sum(p.numel() for p in ours.parameters()),
        "theirs_parameters": sum(p.numel() for p in net.parameters()),
        "ours_images_a_second": speed[0],
        "theirs_images_a_second": speed[1],
        "ratio": statistics.median(b / a for a, b in rounds),
        "sampling_share": times[20] / times[T],
    }
    print(json.dumps({"diffusion": found, "bar": BAR, "share": SHARE}))
    return int(found["ratio"] < BAR or found["sampling_share"] > SHARE)


if __name__ == "__main__":
    sys.exit(main())
