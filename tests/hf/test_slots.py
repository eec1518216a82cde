"""Slots: never more than the limit, the heaviest waiter first, and none is lost."""

from __future__ import annotations

import asyncio
import random

from alwrity_checks.hf.slots import Slots


def test_the_limit_holds_and_can_change() -> None:
    """However many ask, so many hold; a raised limit lets more in at once."""

    async def scenario() -> list[int]:
        slots, held, most = Slots(2), 0, 0

        async def work() -> None:
            nonlocal held, most
            async with slots.hold(1):
                held += 1
                most = max(most, held)
                await asyncio.sleep(0.001)
                held -= 1

        first = [asyncio.create_task(work()) for _ in range(6)]
        await asyncio.gather(*first)
        seen = [most]
        slots.limit = 5
        await asyncio.gather(*(work() for _ in range(10)))
        return [*seen, most, held]

    assert asyncio.run(scenario()) == [2, 5, 0]


def test_the_heaviest_comes_first() -> None:
    """Also where it is the one that has just let go."""

    async def scenario() -> list[str]:
        slots, order = Slots(1), []

        async def work(name: str, weights: list[int]) -> None:
            for weight in weights:
                async with slots.hold(weight):
                    order.append(name)
                    await asyncio.sleep(0)

        await asyncio.gather(work("light", [1]), work("heavy", [3, 2, 1]))
        return order

    assert asyncio.run(scenario()) == ["heavy", "heavy", "light", "heavy"]


def test_a_cancelled_one_gives_its_slot_back() -> None:
    """Cancelled while it waits, while it holds, and between being granted and running."""

    async def scenario() -> bool:
        slots, chance = Slots(3), random.Random(7)  # noqa: S311 - moments to cancel at

        async def work() -> None:
            async with slots.hold(chance.randrange(3)):
                await asyncio.sleep(chance.random() / 1000)

        tasks = [asyncio.create_task(work()) for _ in range(200)]
        while not all(task.done() for task in tasks):
            chance.choice(tasks).cancel()
            await asyncio.sleep(chance.choice([0, 0, 0.0005]))
        async with asyncio.timeout(5), slots.hold(1), slots.hold(1), slots.hold(1):
            return True

    assert asyncio.run(scenario())
