"""Few labels by a random forest, the peer of `rank --labels`: forest.py TABLE.csv [LABELS ...]

TABLE.csv is what `weightsmith bench rank --labels 50 --csv` writes: a name that holds the code of the network, its
accuracy, and its counts. The forest (scikit-learn, 100 trees) reads the standings by all counts and the code, one-hot.
Prints Kendall's tau-b on the other networks, mean and standard deviation over 20 draws.
"""

import csv
import re
import sys

import numpy as np
from scipy.stats import kendalltau, rankdata
from sklearn.ensemble import RandomForestRegressor

DRAWS = 20


def main():
    path, *counts = sys.argv[1:]
    rows = list(csv.DictReader(open(path)))
    accuracies = np.array([float(row["accuracy"]) for row in rows])
    names = [key for key in rows[0] if key not in ("name", "accuracy", "joined")]
    standings = np.array([rankdata([float(row[name]) for row in rows]) for name in names]).T
    codes = [re.findall(r"[a-z]+\d?-\d|\d", row["name"]) for row in rows]
    length = max(map(len, codes))
    codes = [code + [""] * (length - len(code)) for code in codes]
    features = [standings]
    for place in zip(*codes):
        features.append(np.array([[value == known for known in sorted(set(place))] for value in place]))
    features = np.concatenate(features, 1).astype(float)
    for count in [int(count) for count in counts] or [50, 100]:
        taus = []
        for draw in range(DRAWS):
            order = np.random.default_rng(draw).permutation(len(rows))
            own, others = order[:count], order[count:]
            forest = RandomForestRegressor(100, random_state=draw).fit(features[own], accuracies[own])
            taus.append(kendalltau(forest.predict(features[others]), accuracies[others]).statistic)
        print(f"{path}: {count} labels: {np.mean(taus):.3f} +- {np.std(taus):.3f}")


if __name__ == "__main__":
    main()
