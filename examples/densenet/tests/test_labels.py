from collections import Counter

from trihook_densenet.labels import read_labels


def test_there_is_one_label_a_class_in_the_order_of_ilsvrc():
    labels = read_labels()
    assert len(labels) == 1000
    assert (labels[0], labels[285], labels[665], labels[967], labels[999]) == (
        "tench",
        "Egyptian cat",
        "moped",
        "espresso",
        "toilet tissue",
    )


def test_labels_are_short_and_but_for_two_pairs_unique():
    labels = read_labels()
    assert all(label and label == label.strip() and "," not in label for label in labels)
    assert {label for label, n in Counter(labels).items() if n > 1} == {"crane", "maillot"}


def test_the_labels_are_read_once():
    assert read_labels() is read_labels()
