"""A real browser: Debian's Chromium without a screen, driven over its own debugging protocol."""

import asyncio
import base64
import json
import os
import pathlib
import shutil
import threading
import urllib.request

import websockets

from .place import Process, StageError, wait_for

CHROMIUM = shutil.which("chromium")


class Browser:
    """One page. `with Browser(folder) as page:`; ended by pid with all its processes."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.process = self._socket = None
        self._number, self._waiting = 0, {}
        self.console = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        if not CHROMIUM:
            raise StageError("there is no chromium; ./build.sh deps browser")
        argv = [CHROMIUM, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={self.folder / 'profile'}",
                "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--window-size=1280,900", "about:blank"]
        if os.getuid() == 0:
            argv.insert(1, "--no-sandbox")  # it refuses to be root with it; it shows our own pages only
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "en_US.UTF-8"}
        self.process = Process("chromium", argv, self.folder / "chromium.log", env=env)
        self._thread.start()
        try:
            self._call(self._connect(self._page_url()))
            for domain in ("Page", "Runtime"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._socket:
            self._call(self._socket.close())
        self.process.stop(15)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _page_url(self):
        port_file = self.folder / "profile" / "DevToolsActivePort"
        wait_for(lambda: port_file.exists() and "\n" in port_file.read_text() or self.process.expect_alive(), 120,
                 "chromium listens", every=0.1)
        port = port_file.read_text().split("\n")[0]

        def page():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=30) as answer:
                return next((t["webSocketDebuggerUrl"] for t in json.load(answer) if t["type"] == "page"), None)
        return wait_for(page, 60, "chromium has a page", every=0.2)

    def _call(self, coroutine, limit=60):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(limit)

    async def _connect(self, url):
        self._socket = await websockets.connect(url, max_size=None, ping_interval=None, close_timeout=2)
        asyncio.ensure_future(self._listen())

    async def _listen(self):
        try:
            async for text in self._socket:
                message = json.loads(text)
                if "id" in message:
                    self._waiting.pop(message["id"]).set_result(message)
                elif message["method"] == "Runtime.consoleAPICalled":
                    self.console.append(" ".join(str(a.get("value", a.get("description"))) for a
                                                 in message["params"]["args"]))
        except websockets.ConnectionClosed:
            pass

    async def _ask(self, method, params):
        self._number += 1
        answer = self._waiting[self._number] = self._loop.create_future()
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        return await asyncio.wait_for(answer, 50)

    def ask(self, method, **params):
        """One command of the protocol; its result."""
        answer = self._call(self._ask(method, params))
        if "error" in answer:
            raise StageError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def navigate(self, url):
        self.ask("Page.navigate", url=url)

    def value(self, script):
        """What an expression gives in the page; None while the page is being changed."""
        try:
            got = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        except StageError:
            return None  # the page it ran in is gone
        return got["result"].get("value")

    def text(self):
        """What a person reads."""
        return self.value("document.body ? document.body.innerText : ''") or ""

    def picture(self, path):
        data = self.ask("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))
