run = 3


def init():
    pass
