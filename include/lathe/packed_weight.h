// Constant weights of matrix products, in the order in which kernels read them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <lathe/error.h>
#include <lathe/ops.h>
#include <lathe/tensor_view.h>

namespace lathe {

struct PackOptions {
  /// Two weights of one shape in one, [2n, k]: gate over up. Their kernels have both products.
  bool pair = false;
  /// Columns side by side; 0: what the tuner chose for this weight (n, k and type) on this host, or
  /// what is usually fastest on the library's target. 16 suit every target, for a file that is
  /// mapped on several.
  int panel = 0;
  /// The type to pack it in, its own where unset. i8 quantises an f32, f16 or bf16 weight: each row
  /// to codes x / scale rounded to nearest even, its scale being max|x| / 127.
  std::optional<DataType> as{};
  /// Of a weight that is i8 already: f32 [n] (with `pair` [2n]), what one step of each row's codes
  /// is worth.
  TensorView scales{};
};

struct MapOptions {
  /// Read the whole file once and compare its checksum. On by default: a flipped bit in a weight
  /// is a wrong answer that nothing else would notice, and the pages read are those that the first
  /// product reads anyway. Off, pages come from the disk only when a kernel reads them.
  bool verify = true;
};

namespace runtime {
struct PackedWeightData;
}

/// A packed weight: memory of its own, or a file that is mapped. Cheap to copy, immutable, safe to
/// use from several threads; outlives its Library. An empty one (default constructed) has no parts.
class PackedWeight {
 public:
  PackedWeight() = default;

  /// The operands of a `linear` kernel that stand for the weight, in call order; their memory is
  /// aligned to 64 bytes, lives as long as any copy of this, and must not be written.
  std::span<const TensorView> parts() const;

  /// The operation y = x * transpose(w) with this weight: set epilogue, types and rows, then fetch.
  Linear linear() const;

  /// What the kernels must agree with: "panels16 bf16 4096x2048".
  std::string_view layout() const;
  /// The same as parameters of a problem line: "n=4096 k=2048 weight=bf16 panel=16".
  std::string_view parameters() const;
  int64_t bytes() const;
  bool is_mapped() const;

  /// Writes a file for Library::map_weight, in one step: readers see the whole file or the one
  /// that was there before, which stays as it was for those who have it mapped. Links are followed;
  /// the umask and an existing file's mode hold. io_error where it cannot be written.
  Status save(const std::string& path) const;

 private:
  friend class Library;
  friend class Kernel;
  explicit PackedWeight(std::shared_ptr<const runtime::PackedWeightData> data)
      : data_(std::move(data)) {}
  std::shared_ptr<const runtime::PackedWeightData> data_;
};

}  // namespace lathe
