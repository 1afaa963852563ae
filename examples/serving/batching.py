"""Batches of texts from requests that arrive at almost the same time."""

import asyncio
import concurrent.futures


class TooBusy(Exception):
    """More texts wait than may."""


class Batcher:
    """Answers texts in batches, one batch after the other, in a thread of its own.

    A batch starts when `batch_size` texts wait, or `wait` seconds after its first text. A text that
    the model refuses fails alone.

    Args:
        model: An `attnzoo.runtime.Model`.
        batch_size: Largest number of texts in a batch.
        wait: How long a batch waits for more texts, in seconds.
        max_waiting: Largest number of texts that wait.
        observe: Function of the number of texts in each batch.
    """

    def __init__(self, model, *, batch_size, wait, max_waiting, observe):
        self._model = model
        self._batch_size = batch_size
        self._wait = wait
        self._queue: asyncio.Queue = asyncio.Queue(max_waiting)
        self._observe = observe
        self._thread = concurrent.futures.ThreadPoolExecutor(1)

    async def __aenter__(self):
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error):
        self._task.cancel()
        self._thread.shutdown()

    async def answer(self, texts) -> list[dict]:
        """Return the results of the texts of one request.

        Raises:
            ValueError: If the model refuses one of them.
            TooBusy: If the queue has no room for all of them.
        """
        room = self._queue.maxsize - self._queue.qsize()
        if len(texts) > room:
            raise TooBusy(f"The server is busy: {self._queue.qsize()} texts wait. Ask again later.")
        answers = [asyncio.get_running_loop().create_future() for _ in texts]
        for text, answer in zip(texts, answers, strict=True):
            self._queue.put_nowait((text, answer))
        results = await asyncio.gather(*answers, return_exceptions=True)
        for place, result in enumerate(results):
            if isinstance(result, ValueError):
                # It was asked for alone: its place is that in the request.
                rule = str(result).removesuffix(" at position 0")
                raise ValueError(f"{rule} at position {place}")
            if isinstance(result, BaseException):
                raise result
        return results

    async def _run(self):
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            deadline = loop.time() + self._wait
            while len(batch) < self._batch_size:
                try:
                    left = deadline - loop.time()
                    batch.append(await asyncio.wait_for(self._queue.get(), left))
                except TimeoutError:
                    break
            self._observe(len(batch))
            found = await loop.run_in_executor(
                self._thread, self._compute, [text for text, _ in batch]
            )
            for (_, answer), result in zip(batch, found, strict=True):
                if answer.done():  # Who asked has gone.
                    continue
                if isinstance(result, Exception):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)

    def _compute(self, texts):
        """Return a result or an error for each text."""
        try:
            found = self._model(texts, batch_size=self._batch_size)
        except Exception as error:
            if len(texts) == 1:
                return [error]
            return [result for text in texts for result in self._compute([text])]
        return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
