// The noise policy: how batches of timings become decisions. Everything else in the tuner asks
// here.
//
// Timings on a shared machine are the kernel's time plus a disturbance that is never negative,
// skewed, and correlated over seconds. So: the mean is biased by rare long disturbances, and the
// minimum is lucky (it compares each candidate's luckiest moment). We quote the median over
// batches, compare candidates by paired batches (each round times all of them in turn, so that a
// slow second hits all alike), and decide by a sign test on the pairs, which assumes nothing about
// the distribution.
#pragma once

#include <span>
#include <vector>

namespace lathe::tuner {

double median(std::vector<double> samples);  ///< 0 for none

/// Quartile range over median: how noisy a series was. 0 for fewer than 4 samples.
double relative_spread(std::vector<double> samples);

/// How sure we are that a's times lie below b's, from paired rounds: 1 - p of the one-sided sign
/// test. 0.5 for no pairs. Pairs are a[i], b[i]; ties are dropped.
double confidence_faster(std::span<const double> a, std::span<const double> b);

/// Below it, what was chosen so far stays: the default, a layout.
inline constexpr double kCertain = 0.9;
/// As many pairs as can say so at all, however long a call takes.
inline constexpr int kLeastRounds = 4;

/// A candidate may be dropped when it is slower than the leader beyond doubt: by more than `margin`
/// in the median and with confidence_faster(leader, candidate) >= `certainty`.
bool clearly_slower(std::span<const double> candidate, std::span<const double> leader,
                    double margin = 0.02, double certainty = 0.95);

/// After its first batch: a candidate that takes so many times as long as the leader is not timed
/// again. Disturbances of that size are rare, and a good schedule's neighbours get their turn.
inline constexpr double kHopeless = 1.5;
/// The same for batches of kLongBatch seconds and more, in which a disturbance is diluted.
inline constexpr double kHopelessLong = 1.15;
inline constexpr double kLongBatch = 5e-3;

/// Standard error of the median of a series over the median, from the mean absolute deviation as
/// for a normal distribution; of five samples and more the farthest does not count, for it may be a
/// disturbance. Infinite for fewer than three samples.
double relative_error(std::vector<double> samples);

/// Whether more rounds can change nothing that matters between two candidates: the median of their
/// paired ratios lies within `margin` of 1 by two standard errors.
bool tied(std::span<const double> a, std::span<const double> b, double margin = 0.01);

/// Two candidates' batches of one task, paired by round, and what a unit of its time counts in a
/// sum.
struct WeightedPairs {
  double weight = 1;
  std::span<const double> a, b;
};

/// How sure we are that the weighted sum of a's medians over tasks lies below that of b's: the
/// share of resamplings of the rounds in which it does, ties half (Efron 1979; pairs stay together,
/// tasks are drawn apart and may have any number of rounds). The same for the same batches. 0.5 for
/// none.
double confidence_smaller_sum(std::span<const WeightedPairs> tasks);

}  // namespace lathe::tuner
