"""Stands between clients and a PostgreSQL server, on loopback, and closes connections when it is told to.

    cut.py PORT FILE

PORT is the server's. FILE gets two ports: that for clients, and that for orders. Orders are lines, each answered by one:

    after N   from now on the N-th message, of any connection and either direction, is the last of its connection;
              the rows of an answer count as one with what follows them
    count     how many messages went since then, and whether one was the last
    close     closes all connections
    to PORT   closes all connections; new ones go to another server

Ends with the connection of who gives orders. What clients say is taken to be neither encrypted nor compressed.
"""

import os
import socket
import struct
import sys
import threading

lock = threading.Lock()
server = int(sys.argv[1])
connections = set()
went = 0
last = 0
was_cut = False


def read(source, count):
    got = b""
    while len(got) < count:
        more = source.recv(count - len(got))
        if not more:
            raise OSError("closed")
        got += more
    return got


def close(pair, at_once=False):
    if pair not in connections:
        return
    connections.remove(pair)
    for end in pair:
        try:
            if at_once:
                # What is on the way is lost, and the other side sees an error.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Wakes who reads, and who reads closes.
            end.shutdown(socket.SHUT_RD if at_once else socket.SHUT_RDWR)
        except OSError:
            pass


def pump(pair, source, target, begins):
    global went, was_cut
    try:
        while True:
            # The first message of a client has no letter before its length.
            head = read(source, 4 if begins else 5)
            begins = False
            body = read(source, struct.unpack("!i", head[-4:])[0] - 4)
            target.sendall(head + body)
            if source is pair[1] and head[:1] == b"D":
                continue
            with lock:
                went += 1
                if went == last:
                    was_cut = True
                    close(pair, at_once=last % 2 == 0)
    except OSError:
        with lock:
            close(pair)
        source.close()


def serve(listener):
    while True:
        client = listener.accept()[0]
        try:
            other = socket.create_connection(("127.0.0.1", server))
        except OSError:
            client.close()
            continue
        pair = (client, other)
        for end in pair:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with lock:
            connections.add(pair)
        threading.Thread(target=pump, args=(pair, client, other, True), daemon=True).start()
        threading.Thread(target=pump, args=(pair, other, client, False), daemon=True).start()


def obey(order, number=None):
    global server, went, last, was_cut
    with lock:
        if order == "after":
            went, last, was_cut = 0, int(number), False
        elif order == "to":
            server = int(number)
        if order in ("close", "to"):
            for pair in list(connections):
                close(pair)
        return "%d %d" % (went, was_cut)


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


clients, orders = listen(), listen()
with open(sys.argv[2] + ".new", "w") as file:
    file.write("%d\n%d\n" % (clients.getsockname()[1], orders.getsockname()[1]))
os.rename(sys.argv[2] + ".new", sys.argv[2])
threading.Thread(target=serve, args=(clients,), daemon=True).start()
lines = orders.accept()[0].makefile("rw")
for line in lines:
    lines.write(obey(*line.split()) + "\n")
    lines.flush()
