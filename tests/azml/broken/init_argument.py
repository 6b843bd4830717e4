def init(what):
    return what


def run(data):
    return data
