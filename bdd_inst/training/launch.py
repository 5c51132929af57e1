"""Processes of a run: who starts them, how they find each other, and what each computes on."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from fvcore.common.config import CfgNode
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.fabric.strategies import DDPStrategy

from bdd_inst.base.environment import whole_number
from bdd_inst.base.errors import ConfigError
from bdd_inst.base.program import option_words, restart_words
from bdd_inst.engines.device import pick_device
from bdd_inst.training.console import quiet_libraries
from bdd_inst.training.seeds import make_deterministic
from bdd_inst.training.signals import passing_on

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LaunchConfig:
    """How many machines, how many processes on each, and who started them (``self``, ``torchrun``, ``slurm`` or ``none`` yet)."""

    machines: int = 1
    processes: int = 1
    started_by: str = "self"

    @property
    def world_size(self) -> int:
        """Processes in all."""
        return self.machines * self.processes


def find_launch_config(num_gpus: int = 1, num_machines: int = 1) -> LaunchConfig:
    """How this process was launched: torchrun's or SLURM's where they started it, else what the command line asks for.

    Args:
        num_gpus: processes wanted on each machine.
        num_machines: machines wanted.

    Returns:
        ``started_by`` is ``none`` where the processes that are wanted are still to be started (:func:`start_processes`).
    """
    env = os.environ
    if TorchElasticEnvironment.detect():
        processes = _count("LOCAL_WORLD_SIZE")
        return LaunchConfig(max(1, _count("WORLD_SIZE") // processes), processes, "torchrun")
    # Inside a SLURM job too our own processes carry LOCAL_RANK: then its numbers are not ours.
    if "LOCAL_RANK" not in env and SLURMEnvironment.detect() and _count("SLURM_NTASKS") > 1:
        machines = _count("SLURM_NNODES")
        return LaunchConfig(machines, max(1, _count("SLURM_NTASKS") // machines), "slurm")
    return LaunchConfig(
        num_machines,
        num_gpus,
        "self" if "LOCAL_RANK" in env or num_gpus * num_machines == 1 else "none",
    )


def _count(variable: str) -> int:
    """How many processes or machines a launcher says there are, 1 where it does not say."""
    return whole_number(variable, "processes or machines", 1) or 1


def start_processes(launch_config: LaunchConfig, machine_rank: int, dist_url: str) -> int:
    """Run this program again, once per process of this machine.

    Args:
        launch_config: how many machines and processes.
        machine_rank: this machine's, from 0.
        dist_url: where the processes meet, ``tcp://HOST:PORT`` of the first machine; ``auto`` on one machine.

    Returns:
        The exit code: 0 when all ended well.
    """
    return wait_for_all(
        [*restart_words(), *option_words()],
        launch_config.processes,
        machines=launch_config.machines,
        machine_rank=machine_rank,
        url=dist_url,
    )


def wait_for_all(
    command: Sequence[str],
    processes: int,
    machines: int = 1,
    machine_rank: int = 0,
    url: str = "auto",
) -> int:
    """Run ``command`` in ``processes`` processes that know their place (LOCAL_RANK, RANK, WORLD_SIZE, MASTER_ADDR ...) and wait.

    Stop signals are passed on, and when one process fails the others are ended: none is left waiting for it.
    """
    address, port = parse_url(url, machines)
    shared = {
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
        "NODE_RANK": str(machine_rank),
        "WORLD_SIZE": str(machines * processes),
    }
    workers = []
    for local_rank in range(processes):
        env = (
            os.environ
            | shared
            | {"LOCAL_RANK": str(local_rank), "RANK": str(machine_rank * processes + local_rank)}
        )
        workers.append(subprocess.Popen(list(command), env=env))

    with passing_on(workers):
        return wait(workers)


def wait(workers: list[subprocess.Popen]) -> int:
    """Until all have ended, or one has failed and the others were ended for it. Returns the first failure's exit code."""
    while True:
        codes = [worker.poll() for worker in workers]
        failed = [code for code in codes if code]
        if failed:
            end(workers)
            # Popen gives -9 where signal 9 ended a process; shells say 128 + 9.
            return failed[0] if failed[0] > 0 else 128 - failed[0]
        if all(code == 0 for code in codes):
            return 0
        time.sleep(0.05)


def end(workers: list[subprocess.Popen]) -> None:
    """Kill what still runs: after a failure the others hang in a collective and would never see a polite signal."""
    time.sleep(1.0)  # the same error usually reaches all of them; let them say so
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
    for worker in workers:
        worker.wait()


def parse_url(url: str, machines: int) -> tuple[str, int]:
    """Address and port of ``tcp://host:port``; ``auto`` takes a free port, on one machine only."""
    if url in ("", "auto"):
        if machines > 1:
            raise ConfigError(
                "--num-machines above 1 needs --dist-url tcp://HOST:PORT of the first machine, the same on all"
            )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            # Free now, and hardly taken in the second until the first process listens on it.
            return "127.0.0.1", probe.getsockname()[1]
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    if not url.startswith("tcp://") or not host or not port.isdigit():
        raise ConfigError(f"--dist-url {url}: expected tcp://HOST:PORT")
    return host, int(port)


def make_fabric(cfg: CfgNode, launch_config: LaunchConfig) -> Fabric:
    """Lightning's Fabric for MODEL.DEVICE and SOLVER.AMP, its process group started."""
    quiet_libraries()  # importing Lightning has set its own levels
    accelerator = pick_accelerator(cfg)
    if accelerator == "cuda" and launch_config.processes > torch.cuda.device_count():
        raise ConfigError(
            f"--num-gpus {launch_config.processes}: this machine has {torch.cuda.device_count()}"
        )
    strategy: object = "auto"
    plugins: list = []
    if launch_config.world_size > 1:
        # Norm buffers are each process's own, as in Detectron2; rank 0's are saved. SyncBN shares what should be shared.
        strategy = DDPStrategy(
            process_group_backend="nccl" if accelerator == "cuda" else "gloo",
            broadcast_buffers=False,
        )
        environments = {"torchrun": TorchElasticEnvironment, "self": LightningEnvironment}
        plugins.append(
            SLURMEnvironment(auto_requeue=False)
            if launch_config.started_by == "slurm"
            else environments[launch_config.started_by]()
        )
    precision = pick_precision(cfg, accelerator)
    devices = pick_devices(cfg, accelerator, launch_config)
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=launch_config.machines,
        strategy=strategy,
        precision=precision,
        plugins=plugins,
    )
    fabric.launch()
    set_threads(accelerator, launch_config)
    return fabric


def prepare_torch(cfg: CfgNode) -> None:
    """Global switches of torch, before anything is built."""
    if cfg.FLOAT32_PRECISION:
        torch.set_float32_matmul_precision(cfg.FLOAT32_PRECISION)
    torch.backends.cudnn.benchmark = cfg.CUDNN_BENCHMARK
    if cfg.DETERMINISTIC:
        make_deterministic()


def pick_accelerator(cfg: CfgNode) -> str:
    """``cuda``, ``mps`` or ``cpu``; the config is corrected, and the log says so, where its device is not there."""
    device = pick_device(cfg.MODEL.DEVICE)
    if not cfg.MODEL.DEVICE.startswith(device.type):
        cfg.MODEL.DEVICE = device.type
    return device.type


def pick_devices(cfg: CfgNode, accelerator: str, launch_config: LaunchConfig) -> int | list[int]:
    """The number of processes of this machine, or the one GPU that ``cuda:N`` names."""
    _, _, number = cfg.MODEL.DEVICE.partition(":")
    return (
        [int(number)]
        if accelerator == "cuda" and number and launch_config.world_size == 1
        else launch_config.processes
    )


def pick_precision(cfg: CfgNode, accelerator: str) -> str:
    """Fabric's name for SOLVER.AMP. ``auto`` is bf16 where the hardware has it: no loss scale, no overflow where float32 has none."""
    amp = cfg.SOLVER.AMP
    if not amp.ENABLED:
        return "32-true"
    if amp.PRECISION == "fp16" and accelerator == "cpu":
        log.warning("SOLVER.AMP.PRECISION fp16 needs a GPU: bf16 is used on the CPU")
    if accelerator == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        log.warning(
            "SOLVER.AMP.ENABLED: this CPU has no bf16 arithmetic; steps take longer than without it"
        )
    has_bf16 = accelerator != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    fp16 = accelerator != "cpu" and (amp.PRECISION == "fp16" or not has_bf16)
    return "16-mixed" if fp16 else "bf16-mixed"


def set_threads(accelerator: str, launch_config: LaunchConfig) -> None:
    """On the CPU the processes of a machine share its cores; beside a GPU torch's own choice stands."""
    if accelerator == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        cores = (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
        torch.set_num_threads(max(1, cores // launch_config.processes))
