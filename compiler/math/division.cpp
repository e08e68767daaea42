// Quotients: the divider, or its estimate and one Newton step where the divider is the bottleneck.
#include "compiler/math/math.h"

namespace lathe::compiler::math {
namespace {

// The relative correction 1 - (estimate's error) lies within 2^-10 of 0; where it is NaN (0 * inf)
// the estimate is right already, and min puts a harmless number in its place.
Vec correction(Builder& b, Vec error) { return b.min(error, b.constant(0x1p-10F)); }

}  // namespace

Vec reciprocal(Builder& b, Vec x, const Options& options) {
  const Vec one = b.constant(1.0F);
  if (options.division == Division::exact) return b.div(one, x);
  const Vec estimate = b.recip_approx(x);
  return b.fma(estimate, correction(b, b.fnma(x, estimate, one)), estimate);
}

Vec divide(Builder& b, Vec x, Vec y, const Options& options) {
  if (options.division == Division::exact) return b.div(x, y);
  return b.mul(x, reciprocal(b, y, options));
}

Vec rsqrt(Builder& b, Vec x, const Options& options) {
  const Vec one = b.constant(1.0F);
  if (options.division == Division::exact) return b.div(one, b.sqrt(x));
  const Vec estimate = b.rsqrt_approx(x);
  const Vec error = correction(b, b.fnma(b.mul(x, estimate), estimate, one));
  return b.fma(b.mul(estimate, b.constant(0.5F)), error, estimate);
}

}  // namespace lathe::compiler::math
