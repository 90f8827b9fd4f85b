"""A TCP connection of a mobile node with a correspondent, and what arrives by it."""

import socket
from threading import Thread

from mcoa.lab.namespaces import Namespace

WITHIN_S = 20.0


def transfer(
    node: Namespace, peer: Namespace, address: str, octets: bytes, *, up: bool
) -> tuple[bytes, str]:
    """Send octets in one connection that the node opens to an address of the peer.

    Returns:
        What arrived, and the address of the node as the peer saw it.
    """
    server = peer.call(lambda: socket.create_server(("::", 0), family=socket.AF_INET6))
    client = node.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
    with server, client:
        for each in (server, client):
            each.settimeout(WITHIN_S)
        client.connect((address, server.getsockname()[1]))
        accepted, (source, *_) = server.accept()
        with accepted:
            accepted.settimeout(WITHIN_S)
            sender, receiver = (client, accepted) if up else (accepted, client)

            def send() -> None:
                sender.sendall(octets)
                sender.shutdown(socket.SHUT_WR)

            sending = Thread(target=send)
            sending.start()
            received = bytearray()
            while chunk := receiver.recv(1 << 20):
                received += chunk
            sending.join()
    return bytes(received), source
