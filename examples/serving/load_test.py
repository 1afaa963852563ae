"""Load a running server with clients that ask one after the other, and count what comes back.

    python load_test.py http://127.0.0.1:8000 words.txt --clients 1 10 50 --seconds 10

Each answer is compared with the first answer to the same text.
"""

import argparse
import asyncio
import itertools
import json
import pathlib
import time

import aiohttp


async def ask(session, address, words, until, answers, seconds, failures):
    """Ask for one word after the other until a time."""
    while time.perf_counter() < until:
        word = next(words)
        start = time.perf_counter()
        async with session.post(f"{address}/predict", json={"texts": [word]}) as response:
            found = await response.json()
        seconds.append(time.perf_counter() - start)
        if response.status != 200:
            failures.append(found)
            continue
        (result,) = found["results"]
        if answers.setdefault(word, result["text"]) != result["text"]:
            failures.append((word, result["text"]))


async def measure(address, words, clients, duration, answers) -> dict:
    """Return the numbers of one load: answers a second, and times in milliseconds."""
    seconds, failures = [], []
    words = itertools.cycle(words)
    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(connector=connector) as session:
        start = time.perf_counter()
        until = start + duration
        every = [
            ask(session, address, words, until, answers, seconds, failures) for _ in range(clients)
        ]
        await asyncio.gather(*every)
        duration = time.perf_counter() - start
    seconds.sort()
    p50, p99 = (1000 * seconds[int(share * (len(seconds) - 1))] for share in (0.50, 0.99))
    return {
        "clients": clients,
        "answers": len(seconds),
        "failures": len(failures),
        "answers_per_second": round(len(seconds) / duration, 1),
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("words", help="a file with one text a line")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    words = pathlib.Path(arguments.words).read_text(encoding="utf-8").split("\n")
    words = [word for word in words if word.strip()]
    answers: dict[str, str] = {}
    for clients in arguments.clients:
        load = measure(arguments.address, words, clients, arguments.seconds, answers)
        print(json.dumps(asyncio.run(load)), flush=True)


if __name__ == "__main__":
    main()
