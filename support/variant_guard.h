// A pitfall of std::variant where memory runs out.
#pragma once

namespace lathe::support {

/// The last alternative, never held, of a std::variant whose others are numbers, strings, vectors
/// and the like. libstdc++ takes such a variant for one that always holds a value; while an
/// exception leaves the copying of it (seen with GCC 12, where an allocation of the copy fails) it
/// holds none, and its destruction jumps to nowhere. This alternative is not of that kind, so that
/// the library looks before it destroys.
struct VariantGuard {
  VariantGuard() = default;
  VariantGuard(const VariantGuard&) {}
  VariantGuard& operator=(const VariantGuard&) { return *this; }
  bool operator==(const VariantGuard&) const { return true; }
};

}  // namespace lathe::support
