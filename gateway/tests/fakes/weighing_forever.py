"""A process that weighs until it is killed: prints each record's uuid and number after the store called it saved.

python weighing_forever.py FOLDER FIRST_NUMBER
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fakes.weighings import draft, open_store  # noqa: E402
from scaleledger.domain.delivery import ItemOutcome, Outcome  # noqa: E402
from scaleledger.observe.failpoints import arm_from_environment  # noqa: E402


async def weigh(store, first, step):
    for number in count(first, step):
        record = await store.ledger.append(draft(number))
        print(record.uuid, record.seq, flush=True)
        if number % 7 == 0:
            await store.outbox.settle("central", [ItemOutcome(record.seq, Outcome.ACKED)])


async def main(folder, first):
    import os

    arm_from_environment(os.environ)
    store = await open_store(Path(folder))
    print("ready", flush=True)
    await asyncio.gather(*(weigh(store, first + lane, 4) for lane in range(4)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
