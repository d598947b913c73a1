from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from censor.cli import main
from censor.errors import PolicyError
from censor.service import Settings
from censor.service.engine import Engine
from censor.service.metrics import Metrics
from censor.service.policies import Policies
from censor.service.server import serve

OWN = "[labels.FACE_MALE]\ncensor_at = 0.15\nreview_at = 0.3\n"


def test_a_folder_of_policies_stands_beside_the_presets(tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text(OWN)
    policies = Policies.load(Settings(policies=tmp_path))
    assert policies.names == ("default", "strict", "boxes", "faces", "house")
    assert policies.lowest == 0.1
    assert policies.named("house").rules["FACE_MALE"].censor_at == 0.15
    (tmp_path / "strict.toml").write_text(OWN)
    with pytest.raises(PolicyError, match="'strict' is the name of a preset"):
        Policies.load(Settings(policies=tmp_path))


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text(OWN)
    for wrong in (tmp_path / "none", tmp_path / "house.toml"):
        with pytest.raises(PolicyError, match="is no folder"):
            Policies.load(Settings(policies=wrong))


def test_a_sticker_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for sticker in ("text.png", "none.png"):
        (tmp_path / "house.toml").write_text(f'sticker = "{tmp_path / sticker}"\n{OWN}')
        with pytest.raises(PolicyError, match=f"policy 'house': its sticker cannot be used: .*{sticker}"):
            Policies.load(Settings(policies=tmp_path))


def test_the_default_may_lie_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    policies = Policies.load(Settings(policy=str(path)))
    assert policies.default == "mine"
    assert policies.listed()[0].name == "mine"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "mine.toml").write_text(OWN)
    with pytest.raises(PolicyError, match="another policy is called 'mine' already"):
        Policies.load(Settings(policy=str(path), policies=folder))


def test_a_policy_that_was_asked_for_and_cannot_be_served_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text(OWN)
    policies = Policies.load(Settings(policies=tmp_path))
    with pytest.raises(PolicyError, match="never reports FACE_MALE"):
        policies.served_by(
            ("BUTTOCKS_EXPOSED", "FEMALE_BREAST_EXPOSED", "FEMALE_GENITALIA_EXPOSED", "MALE_GENITALIA_EXPOSED")
        )


def test_the_engine_loads_the_installed_detector_down_to_the_lowest_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENSOR_MODELS", str(tmp_path / "none"))
    (tmp_path / "low.toml").write_text(OWN.replace("0.15", "0.01"))

    async def look() -> None:
        settings = Settings(policies=tmp_path, policy="low", in_flight=1)
        engine = await Engine.load(settings, Metrics(), detector=None, load=None)
        try:
            assert await engine.is_ready()  # with a policy that a detector loaded for less could not serve
            assert len(engine.names) == 18
        finally:
            await engine.close()

    asyncio.run(look())


def test_the_command_hands_its_options_to_the_workers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("censor.service.server.serve", served.append)
    monkeypatch.setattr("censor.service.server.Multiprocess", None)
    for name in ("PORT", "POLICIES", "PAGE", "BATCH_WAIT", "API_KEYS_FILE", "ALLOWED_HOSTS"):
        monkeypatch.setenv(f"CENSOR_{name}", "")  # so that what the command sets is taken back
        monkeypatch.delenv(f"CENSOR_{name}")
    (tmp_path / "keys").write_text("key\n")
    options = ["--port", "9", "--policies", str(tmp_path), "--no-page", "--batch-wait", "0.01"]
    options += ["--allowed-hosts", "a.example,*.b.example"]
    done = CliRunner().invoke(main, ["serve", *options, "--api-keys-file", str(tmp_path / "keys")])
    assert done.exit_code == 0, done.output
    (settings,) = served
    assert (settings.port, settings.page, settings.batch_wait) == (9, False, 0.01)
    assert settings.policies == tmp_path
    assert settings.hosts == ("a.example", "*.b.example")
    assert settings == Settings()  # what a worker reads from its environment
    monkeypatch.undo()
    usage = (["--policy", "no"], ["--picture-seconds", "0"], ["--allowed-hosts", "a:80"])
    for wrong, code in ((["--weights", "no.onnx"], 1), *((each, 2) for each in usage)):
        with pytest.MonkeyPatch.context() as patch:
            name = f"CENSOR_{wrong[0][2:].replace('-', '_').upper()}"
            patch.setenv(name, "")
            patch.delenv(name)
            assert CliRunner().invoke(main, ["serve", *wrong]).exit_code == code


def test_serving_supervises_one_process_and_a_bound_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Supervisor:
        def __init__(self, config: object, sockets: list[object]) -> None:
            seen.update(config=config, sockets=sockets)

        def run(self) -> None:
            seen["ran"] = True

    monkeypatch.setenv("WEB_CONCURRENCY", "4")  # uvicorn's own; each would have all of our workers
    monkeypatch.setattr("censor.service.server.Multiprocess", Supervisor)
    serve(Settings(port=0, workers=3))
    (sock,) = seen["sockets"]
    assert sock.getsockname()[0] == "127.0.0.1"
    sock.close()
    assert seen["config"].workers == 1
    assert seen["ran"]
