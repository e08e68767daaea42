// Quotients: the divider, or its estimate and one Newton step where the divider is the bottleneck.
#include "compiler/math/math.h"

namespace lathe::compiler::math {
namespace {

// The factor of the Newton step lies within 2^-10 of 1. It is NaN or -inf where the estimate is 0
// or inf, and thereby right already: max then puts a factor in its place that keeps it so.
Vec refined(Builder& b, Vec estimate, Vec factor) {
  return b.mul(estimate, b.max(factor, b.constant(0.5F)));
}

}  // namespace

Vec reciprocal(Builder& b, Vec x, const Options& options) {
  if (options.division == Division::exact) return b.div(b.constant(1.0F), x);
  const Vec estimate = b.recip_approx(x);
  return refined(b, estimate, b.fnma(x, estimate, b.constant(2.0F)));
}

Vec divide(Builder& b, Vec x, Vec y, const Options& options) {
  if (options.division == Division::exact) return b.div(x, y);
  return b.mul(x, reciprocal(b, y, options));
}

Vec rsqrt(Builder& b, Vec x, const Options& options) {
  if (options.division == Division::exact) {
    const Vec root = b.sqrt(x);
    return b.div(b.constant(1.0F), root);
  }
  const Vec estimate = b.rsqrt_approx(x);
  const Vec half = b.mul(estimate, b.constant(0.5F));
  const Vec three_halves = b.constant(1.5F);
  return refined(b, estimate, b.fnma(b.mul(x, estimate), half, three_halves));
}

}  // namespace lathe::compiler::math
