"""Trains on two machines, kills one, starts it again, and compares the losses with those of one process.

    python benchmarks/two_nodes.py [--loopback] [--folder DIR]

Each machine is a network namespace with an address of its own, joined to the other by a virtual cable, which takes root
and `ip`. Where that cannot be had, or with --loopback, both are addresses of this machine, and a line says why. On each
runs one `torchrun` with one process, gloo between them, and the folder of the run is shared, as it must be.

    undisturbed   nothing happens
    second killed the second machine's processes get SIGKILL; it is started again, and the first one waits for it
    cable cut     the second machine loses its cable before it is killed, so that nothing says goodbye
    first killed  the machine of the rendezvous dies; the second gives up by itself, and both are started again

The losses of every step must be those of one process but for rounding (gradients are added in another order), and those
of the disturbed runs digit for digit those of the undisturbed one. Exit code 1 where they are not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from detect.annotations.sample import draw_sample

ROOT = Path(__file__).parent.parent
SMALL = ["--size", "64", "--channels", "64", "--smallest-anchor", "16", "--norm", "group", "--batch-size", "4",
         "--epochs", "4", "--warmup", "3", "--optimizer", "sgd", "--lr", "1e-4", "--augment", "flip", "--workers", "0",
         "--log-every", "1", "--eval-every", "4", "--save-every", "1", "--device", "cpu", "--resume"]  # fmt: skip
STEPS = 16
KILL_AT = 6  # in the middle of an epoch: two of four steps are done again
CLOSE = 1e-4  # relative; where the network learns fast, each step makes more of the rounding before it
PATIENCE = 300.0  # seconds
PORT = 29577
Curve = list[tuple[float, float]]


class Machine:
    """One of two: where its processes run, and how they reach the other's."""

    def __init__(self, number: int, address: str, interface: str, prefix: list[str]) -> None:
        self.number, self.address, self.interface, self._prefix = number, address, interface, prefix
        self.started = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, out: Path, arguments: list[str], rendezvous: str) -> None:
        """Start `torchrun`; what it says goes to a file beside the run."""
        self.started += 1
        command = [
            *self._prefix, sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
            "--max-restarts", "3", "--rdzv-backend", "c10d", "--rdzv-endpoint", rendezvous, "--rdzv-id", out.name,
            "--rdzv-conf", f"is_host={self.number == 0}", "--local-addr", self.address,
            str(ROOT / "train_retinanet.py"), *arguments,
        ]  # fmt: skip
        environment = os.environ | {
            "GLOO_SOCKET_IFNAME": self.interface,  # else gloo asks what the machine's name resolves to
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # else who comes back waits for ever
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }
        with (out.parent / f"{out.name}-{self.number}.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)

    def wait(self) -> int:
        """Its exit code."""
        return self._running().wait(timeout=PATIENCE)

    def kill(self) -> None:
        """SIGKILL to `torchrun` and to all that it started, so that none of them can say goodbye."""
        process = self._running()
        if process.poll() is not None:
            return  # its number may be another's by now
        process.send_signal(signal.SIGSTOP)  # else it may see the others end, and end as it likes
        for number in reversed([process.pid, *_descendants(process.pid)]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, 9)
        process.wait(timeout=PATIENCE)

    def cable(self, state: str) -> None:
        """Its cable ``up`` or ``down``."""
        _ip("-n", self._prefix[3], "link", "set", self.interface, state)

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise RuntimeError(f"machine {self.number} was not started")
        return self.process


def _descendants(process: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(folder.name))
    found = list(parents.get(process, ()))
    for number in found:
        found += parents.get(number, ())
    return found


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@contextlib.contextmanager
def namespaces() -> Iterator[list[Machine]]:
    """Two network namespaces, joined by a cable, for as long as they are needed."""
    names = [f"censor-{os.getpid()}-{number}" for number in (0, 1)]
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("link", "add", "wire", "netns", names[0], "type", "veth", "peer", "name", "wire", "netns", names[1])
        machines = []
        for number, name in enumerate(names):
            address = f"10.213.7.{number + 1}"
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "wire")
            for interface in ("lo", "wire"):
                _ip("-n", name, "link", "set", interface, "up")
            machines.append(Machine(number, address, "wire", ["ip", "netns", "exec", name]))
        yield machines
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


@contextlib.contextmanager
def loopback() -> Iterator[list[Machine]]:
    """Two addresses of this machine."""
    yield [Machine(number, f"127.0.0.{number + 1}", "lo", []) for number in (0, 1)]


def why_no_namespaces() -> str | None:
    """Why two namespaces cannot be made here; None if they can."""
    try:
        with namespaces():
            return None
    except FileNotFoundError:
        return "there is no command `ip`"
    except subprocess.CalledProcessError as error:
        return " ".join(error.stderr.split())


def curve(out: Path) -> Curve:
    """Both losses of each step that is logged, in order; a line that is being written does not count."""
    with contextlib.suppress(FileNotFoundError):
        lines = (out / "losses.jsonl").read_text().split("\n")[:-1]
        rows = [json.loads(line) for line in lines]
        if [row["step"] for row in rows] != list(range(len(rows))):
            raise RuntimeError(f"{out}: steps are {[row['step'] for row in rows]}")
        return [(row["classification"], row["bbox_regression"]) for row in rows]
    return []


def wait_for_step(out: Path, step: int, machines: list[Machine]) -> None:
    """Wait until a run has logged a step.

    Raises:
        RuntimeError: It ended first, or takes too long.
    """
    deadline = time.monotonic() + PATIENCE
    while len(curve(out)) <= step:
        codes = [machine.process.poll() for machine in machines if machine.process]
        if time.monotonic() > deadline or any(code is not None for code in codes):
            raise RuntimeError(f"{out}: no step {step}; exit codes are {codes}: see the logs beside it")
        time.sleep(0.02)


def train_together(
    out: Path, arguments: list[str], machines: list[Machine], disturb: Callable[[], None] | None
) -> Curve:
    """One run on two machines, disturbed in its middle, to its end."""
    rendezvous = f"{machines[0].address}:{PORT}"
    for machine in machines:
        machine.started = 0
        machine.start(out, [*arguments, "--out", str(out)], rendezvous)
    try:
        if disturb is not None:
            wait_for_step(out, KILL_AT, machines)
            disturb()
            for machine in machines:
                if machine.process is not None and machine.process.poll() is not None:
                    machine.start(out, [*arguments, "--out", str(out)], rendezvous)
        codes = [machine.wait() for machine in machines]
    finally:
        for machine in machines:
            machine.kill()
    if codes != [0, 0]:
        raise RuntimeError(f"{out}: exit codes are {codes}: see the logs beside it")
    return curve(out)


def disturbances(machines: list[Machine], *, cables: bool) -> dict[str, Callable[[], None] | None]:
    """What happens to each run, by name."""
    first, second = machines

    def cut() -> None:
        second.cable("down")
        second.kill()
        second.cable("up")

    def kill_first() -> None:
        first.kill()
        if second.wait() == 0:
            raise RuntimeError("the second machine said that it was done, without the first")

    found: dict[str, Callable[[], None] | None] = {"undisturbed": None, "second killed": second.kill}
    return found | ({"cable cut": cut} if cables else {}) | {"first killed": kill_first}


def difference(found: Curve, expected: Curve) -> float:
    """The largest relative difference of two curves of one length."""
    pairs = [pair for rows in zip(found, expected, strict=True) for pair in zip(*rows, strict=True)]
    return max(abs(one - other) / abs(other) for one, other in pairs)


def rehearse(folder: Path, *, on_loopback: bool) -> int:
    """Every run in turn, and a line for each; the exit code."""
    why = "asked for" if on_loopback else why_no_namespaces()
    print("machines: two network namespaces" if why is None else f"machines: two loopback addresses ({why})")
    draw_sample(folder / "shapes", train=16, val=4, seed=0)
    arguments = list(SMALL)
    for part in ("train", "val"):
        arguments += [
            f"--{part}",
            str(folder / f"shapes/{part}.json"),
            f"--{part}-images",
            str(folder / f"shapes/{part}"),
        ]
    command = [sys.executable, str(ROOT / "train_retinanet.py"), *arguments, "--out", str(folder / "one")]
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    expected, right, undisturbed = curve(folder / "one"), len(curve(folder / "one")) == STEPS, None
    print(f"{'run':14} {'steps':>5} {'torchruns':>10} {'from one process':>17}  from undisturbed")
    with namespaces() if why is None else loopback() as machines:
        for name, disturb in disturbances(machines, cables=why is None).items():
            found = train_together(folder / name.replace(" ", "-"), arguments, machines, disturb)
            undisturbed = undisturbed or found
            far = difference(found, expected)
            right = right and far < CLOSE and found == undisturbed
            same = "the same digits" if found == undisturbed else f"{difference(found, undisturbed):.1e}"
            starts = " + ".join(str(machine.started) for machine in machines)
            print(f"{name:14} {len(found):5} {starts:>10} {far:17.1e}  {same}", flush=True)
    return 0 if right else 1


def main() -> int:
    """What the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loopback", action="store_true", help="two addresses of this machine, without namespaces")
    parser.add_argument("--folder", type=Path, help="new folder to keep runs and logs in")
    given = parser.parse_args()
    if given.folder is not None:
        given.folder.mkdir(parents=True)
        return rehearse(given.folder.resolve(), on_loopback=given.loopback)
    with tempfile.TemporaryDirectory() as folder:
        return rehearse(Path(folder), on_loopback=given.loopback)


if __name__ == "__main__":
    sys.exit(main())
