#!/usr/bin/python3
"""The stacks of Python, Debian's packages. Commands come in as lines of JSON and events go out (adapter_test.go says
which). The argument names the stack, because each has an event loop of its own."""
import asyncio
import importlib.metadata
import json
import logging
import sys
import threading


output = threading.Lock()


def say(message):
    with output:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


class Client:
    """What the adapter keeps of one connection. A stack sets send, fragments and close."""

    def __init__(self, number):
        self.number = number
        self.send = self.fragments = self.close = None

    def tell(self, event, **more):
        say({"id": self.number, "event": event, **more})

    def opened(self):
        self.tell("open")

    def message(self, data):
        text = data if isinstance(data, str) else data.decode()
        if len(text) > 1000:
            self.tell("message", size=len(text))
        else:
            self.tell("message", text=text)

    def sees(self, text):
        self.tell("sees", text=text.strip())

    def last(self, text):
        self.tell("sees", text=text.strip(), last=True)


def described(error):
    return f"{type(error).__name__} {error}".strip()


def closed_error(error):
    """What an application reads from ConnectionClosed of websockets."""
    return f"{type(error).__name__} {error.code} {error.reason}"


class Websockets:
    package = "websockets"

    async def connect(self, client, url):
        import websockets

        async with websockets.connect(url) as socket:
            client.close = socket.close
            await self.use(client, socket)

    async def use(self, client, socket):
        import websockets

        client.send = client.fragments = socket.send
        client.opened()
        try:
            async for message in socket:
                client.message(message)
        except websockets.ConnectionClosed as error:
            client.last(closed_error(error))
        else:
            # The loop ends without an exception after 1000 and 1001 only.
            client.last(f"end of the loop, close_code {socket.close_code}")


class WebsocketsAsyncFor(Websockets):
    async def connect(self, client, url):
        import websockets

        client.close = asyncio.current_task().cancel
        logger = logging.getLogger(f"client {client.number}")
        logger.setLevel(logging.INFO)
        logger.addHandler(Logged(client))
        async for socket in websockets.connect(url, logger=logger):
            await self.use(client, socket)


class Logged(logging.Handler):
    """Tells what the library logs of refused handshakes: the application of an iterator sees nothing else."""

    def __init__(self, client):
        super().__init__()
        self.client = client

    def emit(self, record):
        if "connect failed" in record.getMessage():
            self.client.last("nothing (a line in the log)")


class Aiohttp:
    package = "aiohttp"

    async def connect(self, client, url):
        import aiohttp

        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url) as socket:
                client.send = socket.send_str
                client.close = socket.close
                client.opened()
                async for message in socket:
                    if message.type == aiohttp.WSMsgType.ERROR:
                        client.sees(described(message.data))
                    else:
                        client.message(message.data)
                client.last(f"end of the loop, close_code {socket.close_code}")


class Tornado:
    package = "tornado"

    async def connect(self, client, url):
        from tornado.websocket import websocket_connect

        socket = await websocket_connect(url)
        client.send = socket.write_message
        client.close = socket.close
        client.opened()
        while (message := await socket.read_message()) is not None:
            client.message(message)
        client.last(f"message None, close {socket.close_code} {socket.close_reason}")


class Autobahn:
    package = "autobahn"

    async def connect(self, client, url):
        from urllib.parse import urlsplit

        from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol

        class Protocol(WebSocketClientProtocol):
            def onOpen(self):
                client.send = lambda text: self.sendMessage(text.encode())
                client.fragments = self.send_fragments
                client.close = self.sendClose
                client.opened()

            def send_fragments(self, parts):
                self.sendMessage("".join(parts).encode(), fragmentSize=len(parts[0]))

            def onMessage(self, payload, isBinary):
                client.message(payload)

            def onClose(self, wasClean, code, reason):
                client.last(f"onClose {code} {reason or ''}")

        factory = WebSocketClientFactory(url)
        factory.protocol = Protocol
        address = urlsplit(url)
        await asyncio.get_running_loop().create_connection(factory, address.hostname, address.port)


class WebsocketClient:
    """websocket-client has callbacks in a thread of its own."""

    package = "websocket-client"

    async def connect(self, client, url):
        import websocket

        def fragments(parts):
            first, *rest = parts
            app.sock.send_frame(websocket.ABNF.create_frame(first, websocket.ABNF.OPCODE_TEXT, 0))
            for i, part in enumerate(rest):
                last = int(i == len(rest) - 1)
                app.sock.send_frame(websocket.ABNF.create_frame(part, websocket.ABNF.OPCODE_CONT, last))

        app = websocket.WebSocketApp(
            url,
            on_open=lambda app: client.opened(),
            on_message=lambda app, text: client.message(text),
            on_error=lambda app, error: client.sees(f"on_error {described(error)}"),
            on_close=lambda app, code, reason: client.last(f"on_close {code} {reason or ''}"),
        )
        client.send = lambda text: app.send(text)
        client.fragments = fragments
        client.close = app.close
        threading.Thread(target=app.run_forever, daemon=True).start()


class Soup:
    """libsoup through GObject introspection; its main loop runs in a thread of its own."""

    def __init__(self):
        import gi

        gi.require_version("Soup", "3.0")
        from gi.repository import GLib, Soup

        self.GLib, self.Soup = GLib, Soup
        self.version = f"{Soup.get_major_version()}.{Soup.get_minor_version()}.{Soup.get_micro_version()}"
        self.session = Soup.Session()
        threading.Thread(target=GLib.MainLoop().run, daemon=True).start()

    async def connect(self, client, url):
        self.GLib.idle_add(self.begin, client, url)

    def begin(self, client, url):
        message = self.Soup.Message.new("GET", url)
        self.session.websocket_connect_async(message, None, [], 0, None, self.connected, client)

    def connected(self, session, result, client):
        try:
            socket = session.websocket_connect_finish(result)
        except self.GLib.Error as error:
            client.last(f"error {error.message}")
            return
        client.socket = socket
        client.send = lambda text: self.GLib.idle_add(lambda: socket.send_text(text))
        client.close = lambda: self.GLib.idle_add(self.close, socket)
        socket.connect("message", lambda socket, kind, data: client.message(data.get_data()))
        socket.connect("error", lambda socket, error: client.sees(f"error {error.message}"))
        socket.connect(
            "closed", lambda socket: client.last(f"closed {socket.get_close_code()} {socket.get_close_data() or ''}")
        )
        client.opened()

    def close(self, socket):
        if socket.get_state() == self.Soup.WebsocketState.OPEN:
            socket.close(1000, None)


class Qt:
    """QWebSocket; Qt's event loop is that of the main thread."""

    def __init__(self):
        from PyQt6.QtCore import QT_VERSION_STR

        self.version = QT_VERSION_STR

    def run(self):
        from PyQt6.QtCore import QCoreApplication, QObject, pyqtSignal

        class Lines(QObject):
            line = pyqtSignal(str)

        app, lines, clients = QCoreApplication([]), Lines(), {}
        lines.line.connect(lambda line: self.act(clients, json.loads(line)) if line else app.quit())

        def read():
            for line in sys.stdin:
                lines.line.emit(line)
            lines.line.emit("")

        threading.Thread(target=read, daemon=True).start()
        app.exec()

    def act(self, clients, command):
        client = clients.setdefault(command["id"], Client(command["id"]))
        action = command["do"]
        if action == "open":
            self.connect(client, command["url"])
        elif action == "send":
            client.send(command["text"])
        elif action == "close":
            client.close()

    def connect(self, client, url):
        from PyQt6.QtCore import QUrl
        from PyQt6.QtWebSockets import QWebSocket

        client.socket = socket = QWebSocket()
        client.send = socket.sendTextMessage
        client.close = socket.close
        socket.connected.connect(client.opened)
        socket.textMessageReceived.connect(client.message)
        socket.error.connect(lambda error: client.sees(f"error {error.name} {socket.errorString()}"))
        socket.disconnected.connect(
            lambda: client.last(f"disconnected {socket.closeCode().value} {socket.closeReason()}")
        )
        socket.open(QUrl(url))


STACKS = {
    "python websockets": Websockets,
    "python websockets, async for": WebsocketsAsyncFor,
    "aiohttp": Aiohttp,
    "tornado": Tornado,
    "autobahn": Autobahn,
    "websocket-client": WebsocketClient,
    "libsoup": Soup,
    "Qt": Qt,
}


class Asyncio:
    """Carries commands out on asyncio's event loop."""

    def __init__(self, stack):
        self.stack = stack
        self.clients = {}
        self.tasks = set()

    async def run(self):
        loop = asyncio.get_running_loop()
        lines = asyncio.Queue()

        def read():
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

        threading.Thread(target=read, daemon=True).start()
        while line := await lines.get():
            self.spawn(self.carry_out(json.loads(line)))

    def spawn(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def carry_out(self, command):
        client = self.clients.setdefault(command["id"], Client(command["id"]))
        try:
            await self.act(client, command)
        except Exception as error:
            client.tell("failed", text=described(error))

    async def act(self, client, command):
        action = command["do"]
        if action == "open":
            try:
                await self.stack.connect(client, command["url"])
            except Exception as error:
                client.last(described(error))
        elif action == "close":
            if client.close:
                await settled(client.close())
        elif action == "send":
            await settled(client.send(command["text"]))
        elif action == "fragments":
            await settled(client.fragments(command["parts"]))


async def settled(value):
    if asyncio.iscoroutine(value) or asyncio.isfuture(value):
        await value


def main():
    name = sys.argv[1]
    stack = STACKS[name]()
    version = getattr(stack, "version", None) or importlib.metadata.version(stack.package)
    say({"id": 0, "event": "hello", "versions": {name: version}})
    if hasattr(stack, "run"):
        stack.run()
    else:
        asyncio.run(Asyncio(stack).run())


main()
