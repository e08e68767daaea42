// Files that somebody else may have made: opened once, and read only where nobody but their owner
// could have changed them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "support/descriptor.h"
#include "support/error.h"

namespace lathe::runtime::packages {

/// An open file of whose path nothing is asked again: what is checked is what is read.
class GuardedFile {
 public:
  /// `what`: the file's kind, for errors ("package"). Links are followed. Errors: not_found;
  /// io_error where it cannot be opened, is a folder, a pipe or a device, belongs to somebody who
  /// is neither this user nor root, may be written by others, or has more than `most_bytes`.
  static Result<GuardedFile> open(const std::filesystem::path& path, std::string_view what,
                                  std::size_t most_bytes);

  /// All of its bytes. io_error where it has grown meanwhile.
  Result<std::string> read() const;
  /// The same into memory of the caller's, and how many there are; nothing is kept elsewhere.
  Result<std::size_t> read_into(std::span<char> memory) const;

  /// Whether its mode lets group or others read it.
  bool is_readable_by_others() const { return readable_by_others_; }

 private:
  GuardedFile(support::Descriptor file, std::filesystem::path path, std::size_t bytes,
              bool readable_by_others)
      : file_(std::move(file)),
        path_(std::move(path)),
        bytes_(bytes),
        readable_by_others_(readable_by_others) {}

  support::Descriptor file_;
  std::filesystem::path path_;
  std::size_t bytes_;  ///< when it was opened
  bool readable_by_others_;
};

}  // namespace lathe::runtime::packages
