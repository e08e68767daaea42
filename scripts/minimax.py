#!/usr/bin/env python3
"""Minimax polynomials of compiler/math: prints the coefficients that stand in its files, as f32.

    python3 scripts/minimax.py [name …]        needs mpmath; about ten seconds for all

Each fit is a Remez exchange on a weighted error. The coefficients are rounded to f32 one at a time,
the lowest power first, and the others are fitted again, so that the rounding of one is made good by
the rest. The error printed is that of the polynomial with its f32 coefficients in exact arithmetic.
"""

import struct
import sys

import mpmath as mp

mp.mp.dps = 60
LN2 = mp.log(2)


def f32(value):
    return mp.mpf(struct.unpack("<f", struct.pack("<f", float(value)))[0])


def bits(value):
    return struct.unpack("<I", struct.pack("<f", float(value)))[0]


def evaluate(coefficients, x):
    return mp.fsum(c * x**power for power, c in coefficients.items())


def exchange(points, values, weights, powers):
    """The best weighted approximation on the points: ({power: coefficient}, largest error)."""
    count = len(powers)
    last = len(points) - 1
    reference = [int(round(last * (1 - mp.cos(mp.pi * i / count)) / 2)) for i in range(count + 1)]
    coefficients, largest = {}, mp.inf
    for _ in range(40):
        matrix, right = mp.matrix(count + 1), mp.matrix(count + 1, 1)
        for row, i in enumerate(reference):
            for column, power in enumerate(powers):
                matrix[row, column] = points[i] ** power
            matrix[row, count] = (-1) ** row / weights[i]
            right[row] = values[i]
        solution = mp.lu_solve(matrix, right)
        candidate = {power: solution[i] for i, power in enumerate(powers)}
        errors = [(v - evaluate(candidate, x)) * w for x, v, w in zip(points, values, weights)]
        worst = max(abs(e) for e in errors)
        if worst < largest:
            coefficients, largest = candidate, worst
        if worst <= abs(solution[count]) * mp.mpf("1.001"):
            break
        extrema = []
        for i, error in enumerate(errors):
            if not extrema or (error > 0) != (errors[extrema[-1]] > 0):
                extrema.append(i)
            elif abs(error) > abs(errors[extrema[-1]]):
                extrema[-1] = i
        while len(extrema) > count + 1:
            ends_only = len(extrema) == count + 2
            if ends_only:
                extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
            else:
                pair = min(range(len(extrema) - 1),
                           key=lambda j: max(abs(errors[extrema[j]]), abs(errors[extrema[j + 1]])))
                del extrema[pair:pair + 2]
        if len(extrema) < count + 1:
            break
        reference = extrema
    return coefficients, largest


def fit(function, weight, low, high, degree, fixed=(), grid=400):
    """{power: f32 coefficient} and the largest weighted error; `fixed` holds the first coefficients."""
    low, high = mp.mpf(low), mp.mpf(high)
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * grid))
              for i in range(grid)]
    exact, weights = [function(x) for x in points], [weight(x) for x in points]
    done = {power: f32(c) for power, c in enumerate(fixed)}
    for power in range(len(done), degree + 1):
        # What is left is x^power times a polynomial; dividing keeps the alternation theorem valid
        # where the interval holds 0.
        rest = [(v - evaluate(done, x)) / x**power for x, v in zip(points, exact)]
        scaled = [w * abs(x) ** power for x, w in zip(points, weights)]
        fitted, _ = exchange(points, rest, scaled, list(range(degree + 1 - power)))
        done[power] = f32(fitted[0])
    errors = [abs((v - evaluate(done, x)) * w) for x, v, w in zip(points, exact, weights)]
    return done, max(errors)


def normal_cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def gelu_exponent(u):
    """V(x^2) with gelu(x) = x / (1 + 2^(-x V(x^2))): the logit of the normal distribution function."""
    a = mp.sqrt(u)
    return mp.log(normal_cdf(a) / normal_cdf(-a), 2) / a


def gelu_weight(u):
    # The relative error of gelu(-a) down to |gelu| = 0.1, a tenth of the absolute error below.
    a = mp.sqrt(u)
    return a * LN2 * min(1, a * normal_cdf(-a) / mp.mpf("0.1"))


def erf_exponent(a):
    """Z(a) with erf(a) = 1 - 2^(-a Z(a))."""
    return -mp.log(mp.erfc(a), 2) / a


HALF = mp.mpf("0.5005")  # the reduced argument may pass 1/2 where the product before it was rounded
FITS = {
    "exp5": ("e^r, |r| <= ln2/2, relative",
             lambda: fit(mp.exp, lambda r: mp.exp(-r), -HALF * LN2, HALF * LN2, 5, (1,))),
    "exp6": ("e^r, |r| <= ln2/2, relative",
             lambda: fit(mp.exp, lambda r: mp.exp(-r), -HALF * LN2, HALF * LN2, 6, (1, 1))),
    "exp3_eighth": ("e^r, |r| <= ln2/16, relative",
                    lambda: fit(mp.exp, lambda r: mp.exp(-r), -HALF * LN2 / 8, HALF * LN2 / 8, 3, (1,))),
    "exp2_5": ("2^r, |r| <= 1/2, relative",
               lambda: fit(lambda r: mp.mpf(2) ** r, lambda r: mp.mpf(2) ** -r, -HALF, HALF, 5, (1,))),
    "exp2_3_eighth": ("2^r, |r| <= 1/16, relative",
                      lambda: fit(lambda r: mp.mpf(2) ** r, lambda r: mp.mpf(2) ** -r, -HALF / 8, HALF / 8, 3, (1,))),
    "expm1": ("(e^r - 1) / r, |r| <= ln2/2, relative",
              lambda: fit(lambda r: mp.expm1(r) / r, lambda r: r / mp.expm1(r), -HALF * LN2, HALF * LN2, 5)),
    "exp2m1": ("(2^r - 1) / r, |r| <= 1/2, relative",
               lambda: fit(lambda r: mp.expm1(r * LN2) / r, lambda r: r / mp.expm1(r * LN2), -HALF, HALF, 5)),
    "log": ("(ln(1 + f) - f + f^2/2) / f^3, 1 + f from 1/sqrt 2 to sqrt 2, relative error of ln",
            lambda: fit(lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3, lambda f: abs(f**3 / mp.log1p(f)),
                        "-0.29290", "0.41422", 7)),
    "gelu": ("V(u), 0 < u <= 5.5^2, error of gelu (gelu_weight)",
             lambda: fit(gelu_exponent, gelu_weight, "1e-4", "30.25", 6, grid=800)),
    "erf": ("Z(a), 0 < a <= 4, relative error of erf",
            lambda: fit(erf_exponent, lambda a: a * LN2 * mp.erfc(a) / mp.erf(a), "1e-4", 4, 7)),
}


def main():
    names = sys.argv[1:] or list(FITS)
    for name in names:
        if name not in FITS:
            sys.exit(f"unknown fit '{name}'; known: {' '.join(FITS)}")
        title, compute = FITS[name]
        coefficients, error = compute()
        print(f"{name}: {title}; error {mp.nstr(error, 3)} = 2^{mp.nstr(mp.log(error, 2), 4)}")
        for power in sorted(coefficients):
            c = float(coefficients[power])
            print(f"  c{power} = {c.hex():24} {c:.9g}f  0x{bits(c):08x}")


if __name__ == "__main__":
    main()
