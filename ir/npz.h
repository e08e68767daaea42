// NumPy's .npz archives: named .npy members in a zip file.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ir/npy.h"
#include "ir/tensor.h"
#include "support/error.h"

namespace lathe::ir {

/// An archive held in memory; members are unpacked and checked (CRC-32) when asked for. Stored and
/// deflated members; zip64 and encryption are `unsupported`. Const use is safe from several
/// threads.
class Npz {
 public:
  static Result<Npz> parse(std::string bytes);
  static Result<Npz> open(const std::filesystem::path& path);

  /// Without the .npy ending, sorted.
  std::vector<std::string> names() const;
  bool has(std::string_view name) const { return members_.contains(std::string(name)); }

  /// not_found names the nearest facts: the archive and its number of members.
  Result<Tensor> read(std::string_view name) const;
  Result<DoubleArray> read_doubles(std::string_view name) const;

 private:
  struct Member {
    size_t local_header;
    size_t packed;
    size_t unpacked;
    uint32_t crc;
    bool deflated;
  };
  Result<std::string> unpack(std::string_view name) const;

  std::string bytes_;
  std::map<std::string, Member> members_;
};

/// A stored (not deflated) archive with one .npy member per entry; resource_exhausted above 4 GiB.
Result<std::string> format_npz(const std::map<std::string, Tensor>& tensors);

}  // namespace lathe::ir
