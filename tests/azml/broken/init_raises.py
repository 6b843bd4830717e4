def init():
    raise ValueError("no model")


def run(data):
    return data
