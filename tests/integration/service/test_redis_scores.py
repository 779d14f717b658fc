"""Scores from a real Redis: messages, keys, garbage, staleness, and a Redis that goes away and comes back."""

import asyncio
import contextlib
import json
import secrets
import shutil
import socket
import subprocess
from urllib.parse import urlsplit

import pytest
import redis
import redis.asyncio
from loguru import logger

from alpha_pulse.runtime.clock import SystemClock
from alpha_pulse.service.redis_scores import RedisScores
from alpha_pulse.service.settings import load_service_settings


@pytest.fixture
def asset():
    """An asset that nobody else has: the prefix of this test's keys."""
    return f"T{secrets.token_hex(5).upper()}"


@pytest.fixture
def publisher(redis_url, asset):
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.delete(*(f"{kind}:latest:{asset}{end}" for kind in ("sentiment", "depth") for end in ("", ":ts_ms")))


def now_ms(ago_s=0.0):
    return SystemClock().now_ms() - round(ago_s * 1000)


def score_text(value, ago_s=0.0):
    return json.dumps({"score": value, "ts_ms": now_ms(ago_s)})


@pytest.fixture
async def follow(redis_url, asset):
    """Starts followers; all are closed with the test."""
    made = []

    async def start(url=redis_url, **variables):
        given = {"HE_REDIS_URL": url, "HE_ASSETS": asset, "HE_REDIS_POLL_S": "0.05", "HE_STALE_SCORE_S": "60", **variables}
        scores = RedisScores(load_service_settings(given), SystemClock())
        made.append(scores)
        await scores.start()
        return scores

    yield start
    for scores in made:
        await scores.close()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.01)


async def test_a_key_is_read(follow, publisher, asset):
    publisher.set(f"sentiment:latest:{asset}", score_text(0.7))
    scores = await follow()
    await until(lambda: scores.score(asset).value == 0.7)
    assert scores.problem() == ""
    assert 0.0 <= scores.ages_s()[asset] < 60.0


async def test_a_bare_number_needs_its_stamp_key(follow, publisher, asset):
    publisher.set(f"sentiment:latest:{asset}", "0.4")
    scores = await follow()
    await until(lambda: "no stamp" in scores.score(asset).reason)
    publisher.set(f"sentiment:latest:{asset}:ts_ms", now_ms())
    await until(lambda: scores.score(asset).value == 0.4)


async def test_a_message_alone_will_do(follow, publisher, asset):
    scores = await follow(HE_REDIS_POLL_S="3600")
    await until(lambda: publisher.publish(f"sentiment:latest:{asset}", score_text(0.9)))
    await until(lambda: scores.score(asset).value == 0.9)


async def test_a_message_with_a_bare_number_fetches_its_stamp(follow, publisher, asset):
    scores = await follow(HE_REDIS_POLL_S="3600")
    await until(lambda: not scores.problem())
    publisher.mset({f"sentiment:latest:{asset}": "0.6", f"sentiment:latest:{asset}:ts_ms": now_ms()})
    await until(lambda: publisher.publish(f"sentiment:latest:{asset}", "0.6"))
    await until(lambda: scores.score(asset).value == 0.6)


async def test_stale_absent_and_garbage_are_refused_with_a_reason_and_come_back(follow, publisher, asset):
    scores = await follow()
    await until(lambda: not scores.problem())
    assert "no score" in scores.score(asset).reason
    publisher.set(f"sentiment:latest:{asset}", score_text(0.5, ago_s=120))
    await until(lambda: "stale" in scores.score(asset).reason)
    publisher.set(f"sentiment:latest:{asset}", "<html>")
    await until(lambda: "no number" in scores.score(asset).reason)
    publisher.set(f"sentiment:latest:{asset}", score_text(0.5))
    await until(lambda: scores.score(asset).value == 0.5)


async def test_a_key_of_another_type_is_no_score(follow, publisher, asset):
    publisher.rpush(f"sentiment:latest:{asset}", "0.5")
    scores = await follow()
    await until(lambda: not scores.problem())
    assert scores.score(asset).value is None


async def test_depths_are_read_too(follow, publisher, asset):
    publisher.set(f"depth:latest:{asset}", json.dumps({"depth_usd": 2.5e6, "ts_ms": now_ms()}))
    scores = await follow()
    await until(lambda: scores.depth_usd(asset) == 2.5e6)
    publisher.set(f"depth:latest:{asset}", "1e6")
    await until(lambda: scores.depth_usd(asset) == 1e6)
    publisher.set(f"depth:latest:{asset}", "much")
    await until(lambda: scores.depth_usd(asset) is None)


class Proxy:
    """Lies between a client and Redis, and answers by itself what it is told to answer."""

    def __init__(self, url):
        self.behind = redis.connection.parse_url(url)
        self.answers = {}  # by a word of the command
        self.answered = 0
        self.lines = []

    async def connected(self, reader, writer):
        self.lines.append(asyncio.current_task())
        from_redis, to_redis = await asyncio.open_connection(self.behind["host"], self.behind["port"])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.pass_on(from_redis, writer))
            with contextlib.suppress(OSError):
                while data := await reader.read(2**16):
                    answer = next((text for word, text in self.answers.items() if word in data), None)
                    self.answered += answer is not None
                    (to_redis if answer is None else writer).write(data if answer is None else answer)
            to_redis.close()

    async def pass_on(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(2**16):
                writer.write(data)
        writer.close()


@pytest.fixture
async def proxy(redis_url):
    lying = Proxy(redis_url)
    server = await asyncio.start_server(lying.connected, "127.0.0.1", 0)
    behind, port = urlsplit(redis_url), server.sockets[0].getsockname()[1]
    credentials, at, _ = behind.netloc.rpartition("@")
    lying.url = behind._replace(netloc=f"{credentials}{at}127.0.0.1:{port}").geturl()
    yield lying
    server.close()
    for line in lying.lines:
        line.cancel()
    await asyncio.gather(*lying.lines, return_exceptions=True)


@pytest.fixture
def told():
    """What the log said, from information on."""
    lines = []
    sink = logger.add(lambda line: lines.append(line.record["message"]), level="INFO")
    yield lines
    logger.remove(sink)


async def test_scores_come_again_after_an_answer_that_is_no_redis(proxy, follow, publisher, asset):
    proxy.answers = {b"MGET": b":abc\r\n", b"SUBSCRIBE": b":abc\r\n"}
    scores = await follow(proxy.url)
    await until(lambda: scores.problem() == "Redis gives no keys (ValueError); Redis gives no messages (ValueError)")
    proxy.answers = {b"MGET": b":1\r\n"}
    await until(lambda: scores.problem() == "Redis gives no keys (TypeError)")
    proxy.answers = {}
    publisher.set(f"sentiment:latest:{asset}", score_text(0.7))
    await until(lambda: scores.score(asset).value == 0.7)
    await until(lambda: publisher.publish(f"sentiment:latest:{asset}", score_text(0.9)))
    await until(lambda: not scores.problem())


async def test_messages_that_are_refused_are_one_steady_problem_and_one_line_in_the_log(proxy, follow, publisher, asset, told):
    publisher.set(f"sentiment:latest:{asset}", score_text(0.7))
    proxy.answers = {b"SUBSCRIBE": b"-NOPERM this user has no permissions to run the 'subscribe' command\r\n"}
    scores = await follow(proxy.url)
    await until(lambda: scores.score(asset).value == 0.7 and proxy.answered)
    problems = set()
    await until(lambda: problems.add(scores.problem()) or proxy.answered > 3)
    proxy.answers = {}
    await until(lambda: not scores.problem())
    assert "Redis gives no messages (NoPermissionError)" in problems
    assert all(problems)
    assert [line for line in told if "Redis" in line] == [
        "Redis gives no messages: this user has no permissions to run the 'subscribe' command",
        "Redis gives messages again",
    ]


async def test_a_redis_that_is_away_from_the_start_is_logged(own_redis, follow, told):
    scores = await follow(own_redis.url)
    await until(lambda: "no messages" in scores.problem() and "no keys" in scores.problem())
    assert sorted(line.partition(":")[0] for line in told) == ["Redis gives no keys", "Redis gives no messages"]
    await own_redis.start()
    await until(lambda: not scores.problem())
    assert sorted(told)[:2] == ["Redis gives keys again", "Redis gives messages again"]


class OwnRedis:
    """A Redis process of this test, which can be killed and started again."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self.process = None

    async def start(self):
        self.process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own server, with fixed arguments
            [shutil.which("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
        )
        async with asyncio.timeout(20), redis.asyncio.Redis.from_url(self.url) as client:
            while True:
                try:
                    return await client.ping()
                except redis.RedisError:
                    await asyncio.sleep(0.02)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def own_redis(tmp_path):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: no Redis can be killed")
    server = OwnRedis(tmp_path)
    yield server
    server.kill()


async def test_a_redis_that_goes_away_is_found_again_by_itself(own_redis, follow, asset):
    scores = await follow(own_redis.url, HE_STALE_SCORE_S="1")
    await until(lambda: "Redis gives no keys" in scores.problem())
    assert "Redis gives no keys" in scores.score(asset).reason
    for value in (0.3, 0.8):
        await own_redis.start()
        async with redis.asyncio.Redis.from_url(own_redis.url) as client:
            await until(lambda: not scores.problem())
            await client.set(f"sentiment:latest:{asset}", score_text(value))
            await until(lambda expected=value: scores.score(asset).value == expected)
        own_redis.kill()
        await until(lambda: "stale" in scores.score(asset).reason and "Redis gives no keys" in scores.score(asset).reason)


async def test_closing_while_redis_is_away_is_quick_and_leaves_nothing(own_redis, follow):
    scores = await follow(own_redis.url)
    await until(scores.problem)
    await scores.close()
    await scores.close()


def test_the_service_answers_503_until_there_is_a_score(serve, redis_url, publisher, asset):
    variables = {"HE_REDIS_URL": redis_url, "HE_ASSETS": asset, "HE_REDIS_POLL_S": "0.02"}
    served = serve(variables, scores=None)
    question = {"asset": asset, "amount_usd": 1000.0}
    refused = served.client.post("/hedge", json=question)
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    assert "no score" in refused.json()["detail"]
    assert refused.headers["retry-after"] == "1"
    for _ in range(400):
        publisher.set(f"sentiment:latest:{asset}", score_text(0.7))
        answer = served.client.post("/hedge", json=question)
        if answer.status_code == 200:
            break
    assert answer.json()["depth_source"] == "default"
    assert served.log.decisions[-1].contributions["score"]["source"] == "redis"
    publisher.set(f"depth:latest:{asset}", "5e6")
    for _ in range(400):
        publisher.set(f"sentiment:latest:{asset}", score_text(0.7))
        answer = served.client.post("/hedge", json=question)
        if answer.json().get("depth_source") == "redis":
            break
    assert answer.json()["depth_source"] == "redis"
