"""What the tests of the host share."""

import pytest
from gevent import socket


@pytest.fixture
def pair():
    client, server = socket.socketpair()
    yield client, server
    client.close()
    server.close()
