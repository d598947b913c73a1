"""The pace of clients, and the memory that all of them share."""

from __future__ import annotations

import asyncio

import pytest

from censor.service.ledger import Account, Ledger
from censor.service.pace import Pace
from censor.service.problems import Problem


def test_who_was_fast_may_stand_still_no_longer_than_others() -> None:
    async def run() -> float:
        pace, loop = Pace(seconds=0.1, rate=1000), asyncio.get_running_loop()
        for _ in range(10):
            async with pace:
                await asyncio.sleep(0)
            pace.moved(10**9)
        start = loop.time()
        with pytest.raises(TimeoutError):
            async with pace:
                await asyncio.sleep(5)
        return loop.time() - start

    assert 0.05 < asyncio.run(run()) < 2


def test_a_byte_now_and_then_is_not_enough() -> None:
    async def run() -> int:
        pace = Pace(seconds=0.1, rate=1000)
        for came in range(100):
            try:
                async with pace:
                    await asyncio.sleep(0.02)
            except TimeoutError:
                return came
            pace.moved(1)
        return 100

    assert 1 <= asyncio.run(run()) < 10


def test_who_keeps_the_pace_goes_on_and_time_between_does_not_count() -> None:
    async def run() -> None:
        pace = Pace(seconds=0.3, rate=1000)
        for _ in range(8):
            async with pace:
                await asyncio.sleep(0.05)
                assert pace.behind > 0.02
                pace.moved(1000)
            assert pace.behind == 0
        await asyncio.sleep(0.4)
        async with pace:
            await asyncio.sleep(0)

    asyncio.run(run())


def test_no_more_is_held_than_there_is() -> None:
    ledger = Ledger(100)
    one, other = Account(ledger), Account(ledger)
    one.hold(60)
    with pytest.raises(Problem, match="busy"):
        other.hold(41)
    other.hold(40)
    assert ledger.held == 100
    one.close()
    one.close()
    assert ledger.held == 40


def test_an_answer_takes_the_place_of_the_upload_and_of_an_earlier_answer() -> None:
    ledger = Ledger(100)
    account = Account(ledger)
    account.hold(30)
    account.hold_answer(70)
    account.hold_answer(50)
    assert ledger.held == account.held == 80
    with pytest.raises(Problem, match="busy"):
        account.hold_answer(71)
    account.drop_upload()
    assert ledger.held == account.held == 50
    account.hold_answer(100)
    account.close()
    assert ledger.held == account.held == 0


def test_who_stands_still_gives_way_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("censor.service.ledger._GIVES_WAY_SECONDS", 50)  # a busy machine may take long over the first
    cut: list[str] = []

    async def stand(name: str, account: Account) -> None:
        account.hold(30)
        account.pace = Pace(seconds=60, rate=1)
        try:
            async with account.pace:
                await asyncio.sleep(60)
        except TimeoutError:
            cut.append(name)
            with pytest.raises(Problem, match="busy"):
                account.hold(1)  # what came in the meantime

    async def run() -> None:
        ledger = Ledger(100)
        accounts = [Account(ledger) for _ in range(4)]
        first = asyncio.create_task(stand("first", accounts[0]))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(stand("second", accounts[1]))
        await asyncio.sleep(0.01)
        with pytest.raises(Problem, match="busy"):
            accounts[2].hold(50)  # nobody has stood still for long enough
        monkeypatch.setattr("censor.service.ledger._GIVES_WAY_SECONDS", 0.05)
        await asyncio.sleep(0.08)
        with pytest.raises(Problem, match="busy"):
            accounts[2].hold(101)  # all of them would not do, so nobody is cut off
        accounts[2].hold(50)
        assert ledger.held == 80
        await asyncio.sleep(0.01)
        assert cut == ["first"]
        accounts[3].hold(45)  # and those that are not waited for keep what they have
        await asyncio.gather(first, second)
        assert cut == ["first", "second"]
        assert ledger.held == 95

    asyncio.run(run())
