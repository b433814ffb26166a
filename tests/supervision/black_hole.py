"""A TCP proxy that can go silent in the two ways in which a network or a server does.

    drop    what arrives is thrown away by the kernel, unacknowledged: a pulled cable, a firewall
    stall   what arrives is acknowledged and goes nowhere: a server or a middle box that hangs

Neither closes anything, so whoever waits for an answer is told nothing.
"""

import contextlib
import ctypes
import socket
import struct
import threading

CHUNK_BYTES = 1 << 16
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
# One instruction of classic BPF, "return 0": keep no byte of any packet.
_DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
_PROGRAM = struct.pack("HL", 1, ctypes.addressof(_DROP_ALL))


class BlackHole:
    """Forwards connections to its own loopback port to another address, while it is told to."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = {self._listener}
        self._lock = threading.Lock()
        self._is_dropping = self._is_closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where clients connect, on 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    def drop(self) -> None:
        """From now on nothing arrives, and nobody is told."""
        self._flowing.clear()
        with self._lock:
            self._is_dropping = True
            for each in self._sockets:
                each.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, _PROGRAM)

    def stall(self) -> None:
        """From now on bytes are taken and kept."""
        self._flowing.clear()

    def restore(self) -> None:
        """Connections that outlived the silence go on, with what was kept."""
        with self._lock:
            for each in self._sockets if self._is_dropping else ():
                each.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
            self._is_dropping = False
        self._flowing.set()

    def close(self) -> None:
        """Every connection is gone."""
        self._is_closed = True
        self._flowing.set()
        with self._lock:
            for each in self._sockets:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _address = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                # Only what clients send is thrown away: the server's side is simply not read.
                self._sockets.add(client)
                if self._is_dropping:
                    client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, _PROGRAM)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                self._flowing.wait()
                sink.sendall(data)
        self._flowing.wait()
        with self._lock:
            for each in (source, sink):
                self._sockets.discard(each)
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
